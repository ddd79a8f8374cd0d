package grouping

import "strings"

// A cgroupInfo describes where a process runs, according to its cgroup paths. A path is
// trusted from the root up to the first unit or container, whose owner chooses the names below
// it. Container IDs below a service other than a user manager are trusted too, because the
// service may be a container runtime.
type cgroupInfo struct {
	Unit        string // systemd unit, the first cgroup of the path that is not a slice
	Slice       string // innermost systemd slice around the unit
	ContainerID string // outermost container: 64 hexadecimal digits, or a name with some runtimes
	Runtime     string // container runtime, "" if the path does not identify it
	PodUID      string // UID of the Kubernetes pod, in the spelling of its API
}

// parseCgroups returns the most specific cgroupInfo of the paths. It takes all values
// from one path: one hierarchy may show a container, another the service that started
// it. Of paths that are equally specific it uses the longest, because with cgroup version 1
// the controllers that are managed have longer paths than the others.
func parseCgroups(paths []string) cgroupInfo {
	var best cgroupInfo
	bestRank, longest := 0, 0
	for _, path := range paths {
		c := parseCgroup(path)
		rank := c.rank()
		if rank > bestRank || rank == bestRank && len(path) > longest {
			best, bestRank, longest = c, rank, len(path)
		}
	}
	return best
}

// rank returns a number that is higher for more specific values: a container ranks
// above a pod, a pod above a unit, and a unit above a slice.
func (c *cgroupInfo) rank() (n int) {
	for i, value := range [...]string{c.Slice, c.Unit, c.PodUID, c.ContainerID} {
		if value != "" {
			n |= 1 << i
		}
	}
	return n
}

// parseInnerCgroups returns the most specific cgroupInfo inside the container of the
// paths, or below the manager of a user's units, such as user@1000.service. The
// container or the user chooses these names.
func parseInnerCgroups(paths []string) cgroupInfo {
	var best cgroupInfo
	bestRank := 0
	for _, path := range paths {
		outer, below := parsePath(path, false)
		if outer.ContainerID == "" && !isUserManager(outer.Unit) {
			continue
		}
		if c, _ := parsePath(below, true); c.rank() > bestRank {
			best, bestRank = c, c.rank()
		}
	}
	return best
}

// isUserManager reports whether unit runs the units of a user.
func isUserManager(unit string) bool {
	return strings.HasPrefix(unit, "user@") && strings.HasSuffix(unit, ".service")
}

// parseCgroup parses one path.
func parseCgroup(path string) cgroupInfo {
	c, _ := parsePath(path, false)
	return c
}

// hostContainer returns the ID of the container, and the UID of the pod, that the host
// runs.
func hostContainer(paths []string) (id, pod string) {
	c := parseCgroups(paths)
	return c.ContainerID, c.PodUID
}

// parsePath parses a path from its first cgroup on, and returns the part of it that the
// unit or the container controls. It skips the ".." of cgroups outside of the cgroup
// namespace and, in an inner path, cgroups without information.
func parsePath(path string, inner bool) (c cgroupInfo, below string) {
	path = strings.TrimSuffix(path, " (deleted)") // the kernel appends it to a removed cgroup with zombies
	for end := 0; end < len(path); {
		start := end
		end = nextSlash(path, start+1)
		name := strings.TrimPrefix(path[start:end], "/")
		unit := unitName(name)
		switch {
		case name == "" || name == "..":
		case strings.HasSuffix(unit, ".slice"):
			c.Slice = unit
			if uid := podUID(name); uid != "" {
				c.PodUID = uid
			}
		case c.addContainer(path[:start], name):
			c.Unit = unit
			return c, path[end:]
		case unit != "" || isRuntimeRoot(name):
			c.Unit = unit
			if !isUserManager(unit) && (unit == "" || strings.HasSuffix(unit, ".service")) {
				end = c.addFirstContainer(path, end)
			}
			return c, path[end:]
		case !inner:
			return c, ""
		}
	}
	return c, ""
}

// nextSlash returns the index of the first slash of path from an index on, or the
// length of path.
func nextSlash(path string, from int) int {
	if i := strings.IndexByte(path[min(from, len(path)):], '/'); i >= 0 {
		return from + i
	}
	return len(path)
}

// addContainer records the container and the pod of a cgroup. It reports whether the
// cgroup is a container.
func (c *cgroupInfo) addContainer(parent, name string) bool {
	if uid := podUID(name); uid != "" {
		c.PodUID = uid
	}
	c.ContainerID, c.Runtime = container(parent, name)
	return c.ContainerID != ""
}

// addFirstContainer records the outermost container in the part of path from an index
// on, and returns the index of its end: container runtimes create cgroups below their
// root or their service. Without a container it returns from.
func (c *cgroupInfo) addFirstContainer(path string, from int) int {
	for end := from; end < len(path); {
		start := end
		end = nextSlash(path, start+1)
		if name := path[start+1 : end]; name != "" && c.addContainer(path[:start], name) {
			return end
		}
	}
	return from
}

// isRuntimeRoot reports whether a cgroup has the containers of a runtime that does not
// use systemd.
func isRuntimeRoot(name string) bool {
	switch name {
	case "docker", "kubepods", "burstable", "besteffort", "libpod_parent", "lxc", "lxc.payload", "garden", "ecs", "k8s.io", "default",
		"buildkit", "actions_job":
		return true
	}
	return podUID(name) != ""
}

// splitLast splits a path before its last element.
func splitLast(path string) (rest, last string) {
	i := strings.LastIndexByte(path, '/')
	return path[:max(i, 0)], path[i+1:]
}

// maxUnitName is the maximum length of the name of a systemd unit, in bytes.
const maxUnitName = 255

// unitName returns the systemd unit or slice of a cgroup name, or "".
func unitName(name string) string {
	name = strings.TrimPrefix(name, "_") // systemd escapes names that clash with kernel files, such as memory.service
	i := strings.LastIndexByte(name, '.')
	if i < 1 || len(name) > maxUnitName || !isAlphanumericOr(name, `:-_.\@`) {
		return ""
	}
	switch name[i:] {
	case ".slice", ".service", ".scope", ".socket", ".mount", ".swap":
		return name
	}
	return ""
}

// podUID returns the UID in the name of a pod's cgroup, or "". The cgroup drivers
// write pod2f4d....-....-... and kubepods-burstable-pod2f4d...._...._....slice. If
// kubelet and container runtime use different drivers, a colon and the container
// follow the slice.
func podUID(name string) string {
	name, _, _ = strings.Cut(name, ":")
	name, isSlice := strings.CutSuffix(name, ".slice")
	i := strings.LastIndex(name, "pod")
	if i < 0 {
		return ""
	}
	uid := name[i+len("pod"):]
	isPod := i == 0
	if isSlice {
		uid, isPod = strings.ReplaceAll(uid, "_", "-"), strings.HasSuffix(name[:i], "-")
	}
	if !isPod || !isUID(uid) {
		return ""
	}
	return uid
}

// isUID reports whether text is a UUID, or the hash that identifies static pods,
// which a kubelet reads from files.
func isUID(text string) bool {
	if len(text) == 32 {
		return isHex(text)
	}
	if len(text) != 36 {
		return false
	}
	for i := range len(text) {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (text[i] == '-') {
			return false
		}
	}
	return isHex(text[:8]) && isHex(text[9:13]) && isHex(text[14:18]) && isHex(text[19:23]) && isHex(text[24:])
}

// container returns the container of the cgroup name below the path parent. Cgroups
// of container monitors, such as crio-conmon-ID.scope, have none.
func container(parent, name string) (id, runtime string) {
	name = strings.TrimSuffix(name, ".scope")
	i := strings.LastIndexAny(name, "-:")
	id = name[i+1:]
	if len(id) != 64 || !isHex(id) {
		return namedContainer(parent, name)
	}
	if i < 0 {
		return unprefixedContainer(parent, id)
	}
	switch prefix := name[:i]; prefix[strings.LastIndexByte(prefix, ':')+1:] {
	case "docker":
		return id, "docker"
	case "cri-containerd", "nerdctl":
		return id, "containerd"
	case "crio":
		return id, "cri-o"
	case "libpod", "libpod-payload":
		return id, "podman"
	}
	return "", ""
}

// unprefixedContainer returns the container of a cgroup whose name is the container
// ID alone. The parent may identify the runtime. The parent of a pod's containers
// does not.
func unprefixedContainer(parent, id string) (string, string) {
	_, parentName := splitLast(parent)
	switch {
	case parentName == "docker":
		return id, "docker"
	case parentName == "k8s.io", parentName == "default": // namespaces of containerd
		return id, "containerd"
	case parentName == "libpod_parent": // a pod of podman
		return "", ""
	case isECSTask(parent):
		return id, "ecs"
	}
	return id, ""
}

// isECSTask reports whether path is /ecs/TASK or /ecs/CLUSTER/TASK.
func isECSTask(path string) bool {
	cluster, _ := splitLast(path)
	outer, name := splitLast(cluster)
	_, outerName := splitLast(outer)
	return name == "ecs" || outerName == "ecs"
}

// namedContainer returns the container of a cgroup of a runtime whose containers
// have other names than 64 digits.
func namedContainer(parent, name string) (id, runtime string) {
	if id, found := strings.CutPrefix(name, "lxc.payload."); found && isContainerName(id) {
		return id, "lxc"
	}
	_, parentName := splitLast(parent)
	switch {
	case !isContainerName(name):
	case parentName == "lxc", parentName == "lxc.payload":
		return name, "lxc"
	case parentName == "garden":
		return name, "garden"
	case parentName == "buildkit" && len(name) == 25 && isAlphanumericOr(name, ""):
		return name, "buildkit"
	case isFargate(name) && isECSTask(parent):
		return name, "ecs"
	}
	return "", ""
}

// isFargate reports whether name is the 32 digits of a task, a dash and a number.
func isFargate(name string) bool {
	task, number, _ := strings.Cut(name, "-")
	return len(task) == 32 && isHex(task) && number != "" && strings.Trim(number, "0123456789") == ""
}

// isContainerName reports whether a user can give a container this name.
func isContainerName(name string) bool {
	return name != "" && name[0] != '.' && len(name) <= maxUnitName && isAlphanumericOr(name, "-_.")
}

// isAlphanumericOr reports whether text consists of ASCII letters, ASCII digits and
// the characters of others.
func isAlphanumericOr(text, others string) bool {
	for i := range len(text) {
		c := text[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return true
}

// isHex reports whether text consists of lower-case hexadecimal digits, as container
// runtimes write them.
func isHex(text string) bool {
	return strings.Trim(text, hexDigits) == ""
}
