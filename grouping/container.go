package grouping

import "strings"

// A place is what the control groups of a process tell about where it runs.
// Whoever may make groups, such as a user below user@1000.service, decides what
// they are called, and so what those of his own processes tell.
type place struct {
	Unit        string // innermost unit of systemd: a service if there is any around it
	Slice       string // innermost slice of systemd
	ContainerID string // of the innermost container: 64 hexadecimal digits, with some runtimes a name
	Runtime     string // that made the container, empty where the path does not tell
	PodUID      string // of the innermost pod of Kubernetes, as its API writes it
}

// placeOf returns the place that the most telling of the paths describes. It is
// one path, or a process could be in a container by one hierarchy and in the
// service that started the container by another. Where version 1 has a path for
// every controller, the few that are managed lead deeper than the rest.
func placeOf(cgroups []string) place {
	var best place
	most, longest := 0, 0
	for _, path := range cgroups {
		p := placeOfPath(path)
		told := p.told()
		if told > most || told == most && len(path) > longest {
			best, most, longest = p, told, len(path)
		}
	}
	return best
}

// told is the larger the more a place says.
func (p *place) told() (n int) {
	for i, word := range [...]string{p.Slice, p.Unit, p.PodUID, p.ContainerID} {
		if word != "" {
			n |= 1 << i
		}
	}
	return n
}

// placeOfPath goes from the innermost group outwards. Elements that say nothing,
// such as the ".." of groups outside of our namespace, are passed over.
func placeOfPath(path string) place {
	var p place
	rest := strings.TrimSuffix(path, " (deleted)") // as the kernel marks groups that zombies have outlived
	for rest != "" {
		var name string
		rest, name = cutLast(rest)
		p.addUnit(name)
		if p.PodUID == "" {
			p.PodUID = podOf(name)
		}
		if p.ContainerID == "" {
			p.ContainerID, p.Runtime = containerOf(rest, name)
		}
	}
	return p
}

// cutLast splits the last element off a path.
func cutLast(path string) (rest, last string) {
	i := strings.LastIndexByte(path, '/')
	return path[:max(i, 0)], path[i+1:]
}

// maxUnitName is how long systemd lets the names of units be, in bytes.
const maxUnitName = 255

// addUnit takes a name further out than those before. A service is preferred to
// the scopes in it: the scopes of a desktop are as many as the programs started.
func (p *place) addUnit(name string) {
	name = strings.TrimPrefix(name, "_") // systemd's escape for what the kernel has a file of, such as memory.service
	i := strings.LastIndexByte(name, '.')
	if i < 1 || len(name) > maxUnitName || !isMadeOf(name, `:-_.\@`) {
		return
	}
	switch name[i:] {
	case ".slice":
		if p.Slice == "" {
			p.Slice = name
		}
	case ".service":
		if !strings.HasSuffix(p.Unit, ".service") {
			p.Unit = name
		}
	case ".scope", ".socket", ".mount", ".swap":
		if p.Unit == "" {
			p.Unit = name
		}
	}
}

// podOf returns the UID in the name of a pod's group, or "". The drivers write
// pod2f4d....-....-... and kubepods-burstable-pod2f4d...._...._....slice; where
// they are not the same on both sides, the slice is followed by a colon and the
// container.
func podOf(name string) string {
	name, _, _ = strings.Cut(name, ":")
	name, isSlice := strings.CutSuffix(name, ".slice")
	i := strings.LastIndex(name, "pod")
	if i < 0 {
		return ""
	}
	uid := name[i+len("pod"):]
	ours := i == 0
	if isSlice {
		uid, ours = strings.ReplaceAll(uid, "_", "-"), strings.HasSuffix(name[:i], "-")
	}
	if !ours || !isUID(uid) {
		return ""
	}
	return uid
}

// isUID tells whether text is a UUID, or the digest that the pods have that a
// kubelet reads from files.
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

// containerOf returns the container that a group of this name below that path
// is made for. Groups of monitors, such as crio-conmon-ID.scope, are none.
func containerOf(above, name string) (id, runtime string) {
	name = strings.TrimSuffix(name, ".scope")
	i := strings.LastIndexAny(name, "-:")
	id = name[i+1:]
	if len(id) != 64 || !isHex(id) {
		return namedContainer(above, name)
	}
	if i < 0 {
		return bareContainer(above, id)
	}
	switch maker := name[:i]; maker[strings.LastIndexByte(maker, ':')+1:] {
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

// bareContainer is containerOf for groups that are called like the container and
// no more. The runtime may show in the path; of a pod's containers it does not.
func bareContainer(above, id string) (string, string) {
	_, parent := cutLast(above)
	switch {
	case parent == "docker":
		return id, "docker"
	case parent == "k8s.io", parent == "default": // namespaces of containerd
		return id, "containerd"
	case parent == "libpod_parent": // a pod of podman
		return "", ""
	case isECSTask(above):
		return id, "ecs"
	}
	return id, ""
}

// isECSTask tells whether path is /ecs/TASK or /ecs/CLUSTER/TASK.
func isECSTask(path string) bool {
	cluster, _ := cutLast(path)
	outer, name := cutLast(cluster)
	_, outerName := cutLast(outer)
	return name == "ecs" || outerName == "ecs"
}

// namedContainer is containerOf for runtimes that give containers other names
// than 64 digits.
func namedContainer(above, name string) (id, runtime string) {
	if id, found := strings.CutPrefix(name, "lxc.payload."); found && isContainerName(id) {
		return id, "lxc"
	}
	_, parent := cutLast(above)
	switch {
	case !isContainerName(name):
	case parent == "lxc", parent == "lxc.payload":
		return name, "lxc"
	case parent == "garden":
		return name, "garden"
	case parent == "buildkit" && len(name) == 25 && isMadeOf(name, ""):
		return name, "buildkit"
	case isFargate(name) && isECSTask(above):
		return name, "ecs"
	}
	return "", ""
}

// isFargate tells whether name is the 32 digits of a task, a dash and a number.
func isFargate(name string) bool {
	task, number, _ := strings.Cut(name, "-")
	return len(task) == 32 && isHex(task) && number != "" && strings.Trim(number, "0123456789") == ""
}

// isContainerName tells whether name may be what a user calls a container.
func isContainerName(name string) bool {
	return name != "" && name[0] != '.' && len(name) <= maxUnitName && isMadeOf(name, "-_.")
}

// isMadeOf tells whether text has letters and digits of ASCII and others only.
func isMadeOf(text, others string) bool {
	for i := range len(text) {
		c := text[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return true
}

// isHex tells whether text has nothing but hexadecimal digits as runtimes write
// them, in lower case.
func isHex(text string) bool {
	return strings.Trim(text, hexDigits) == ""
}
