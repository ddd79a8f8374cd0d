package grouping

import "strings"

// A cgroupInfo describes where a process runs, according to its cgroup paths. Users
// who can create cgroups, such as below user@1000.service, choose the names of those
// cgroups and so control the values for their own processes.
type cgroupInfo struct {
	Unit        string // innermost systemd unit: a service if any encloses the process
	Slice       string // innermost systemd slice
	ContainerID string // innermost container: 64 hexadecimal digits, or a name with some runtimes
	Runtime     string // container runtime, "" if the path does not identify it
	PodUID      string // UID of the innermost Kubernetes pod, in the spelling of its API
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

// parseCgroup parses one path from the innermost cgroup outwards. It skips elements
// without information, such as the ".." of cgroups outside of the namespace.
func parseCgroup(path string) cgroupInfo {
	var c cgroupInfo
	rest := strings.TrimSuffix(path, " (deleted)") // the kernel appends it to a removed cgroup with zombies
	for rest != "" {
		var name string
		rest, name = splitLast(rest)
		c.addUnit(name)
		if c.PodUID == "" {
			c.PodUID = podUID(name)
		}
		if c.ContainerID == "" {
			c.ContainerID, c.Runtime = container(rest, name)
		}
	}
	return c
}

// hostContainer returns the ID of the container, and the UID of the pod, that the host runs:
// those of the outermost cgroups. Programs in a container choose the names of cgroups below
// its own. Below the user slice, users choose the names, so that it returns "" there.
func hostContainer(paths []string) (id, pod string) {
	for _, path := range paths {
		if strings.Contains(path, "/user.slice/") {
			return "", ""
		}
		var pathID, pathPod string
		for rest := strings.TrimSuffix(path, " (deleted)"); rest != ""; {
			var name string
			rest, name = splitLast(rest)
			if uid := podUID(name); uid != "" {
				pathPod = uid
			}
			if outer, _ := container(rest, name); outer != "" {
				pathID = outer
			}
		}
		if pathID != "" && (id == "" || pod == "") || id == "" && pod == "" {
			id, pod = pathID, pathPod
		}
	}
	return id, pod
}

// splitLast splits a path before its last element.
func splitLast(path string) (rest, last string) {
	i := strings.LastIndexByte(path, '/')
	return path[:max(i, 0)], path[i+1:]
}

// maxUnitName is the maximum length of the name of a systemd unit, in bytes.
const maxUnitName = 255

// addUnit records the cgroup name if it is a unit or slice. Names must be added
// from the innermost outwards. A service replaces scopes inside it, because a desktop
// creates a scope for every program that is started.
func (c *cgroupInfo) addUnit(name string) {
	name = strings.TrimPrefix(name, "_") // systemd escapes names that clash with kernel files, such as memory.service
	i := strings.LastIndexByte(name, '.')
	if i < 1 || len(name) > maxUnitName || !isAlphanumericOr(name, `:-_.\@`) {
		return
	}
	switch name[i:] {
	case ".slice":
		if c.Slice == "" {
			c.Slice = name
		}
	case ".service":
		if !strings.HasSuffix(c.Unit, ".service") {
			c.Unit = name
		}
	case ".scope", ".socket", ".mount", ".swap":
		if c.Unit == "" {
			c.Unit = name
		}
	}
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
