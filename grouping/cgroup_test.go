package grouping

import (
	"strings"
	"testing"
)

const (
	outerID     = "8a3f0c5d7e9b1a2c4d6e8f0a1b3c5d7e9f1a2b4c6d8e0f1a3b5c7d9e1f2a4b6c"
	innerID     = "1111111122222222333333334444444455555555666666667777777788888888"
	podID       = "2f4d1b3c-8f6a-4b1e-9c55-0e4d7a9b6c21"
	slicePodID  = "2f4d1b3c_8f6a_4b1e_9c55_0e4d7a9b6c21"
	staticPodID = "b1e0a7c2d43f5566778899aabbccddee"
)

var cgroupTests = []struct {
	name, path string
	want       cgroupInfo
}{
	{"docker, cgroupfs", "/docker/" + outerID, cgroupInfo{ContainerID: outerID, Runtime: "docker"}},
	{"docker, systemd", "/system.slice/docker-" + outerID + ".scope",
		cgroupInfo{"docker-" + outerID + ".scope", "system.slice", outerID, "docker", ""}},
	{"docker, rootless", "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" + outerID + ".scope",
		cgroupInfo{Unit: "user@1000.service", Slice: "user-1000.slice"}},
	{"docker, own parent", "/actions_job/" + outerID, cgroupInfo{ContainerID: outerID}},
	{"docker, systemd as a path", "/system.slice/docker.service/system.slice:docker:" + outerID,
		cgroupInfo{"docker.service", "system.slice", outerID, "docker", ""}},
	{"docker, systemd inside", "/system.slice/docker-" + outerID + ".scope/system.slice/nginx.service",
		cgroupInfo{"docker-" + outerID + ".scope", "system.slice", outerID, "docker", ""}},
	{"docker, init inside", "/docker/" + outerID + "/init.scope", cgroupInfo{ContainerID: outerID, Runtime: "docker"}},
	{"docker daemon", "/system.slice/docker.service", cgroupInfo{Unit: "docker.service", Slice: "system.slice"}},
	{"parent of docker containers", "/docker", cgroupInfo{}},

	{"containerd, guaranteed", "/kubepods.slice/kubepods-pod" + slicePodID + ".slice/cri-containerd-" + outerID + ".scope",
		cgroupInfo{"cri-containerd-" + outerID + ".scope", "kubepods-pod" + slicePodID + ".slice", outerID, "containerd", podID}},
	{"containerd, burstable", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + slicePodID + ".slice/cri-containerd-" +
		outerID + ".scope",
		cgroupInfo{"cri-containerd-" + outerID + ".scope", "kubepods-burstable-pod" + slicePodID + ".slice", outerID, "containerd", podID}},
	{"containerd, static pod", "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + staticPodID +
		".slice/cri-containerd-" + outerID + ".scope",
		cgroupInfo{"cri-containerd-" + outerID + ".scope", "kubepods-besteffort-pod" + staticPodID + ".slice",
			outerID, "containerd", staticPodID}},
	{"containerd, mixed drivers", "/system.slice/containerd.service/kubepods-burstable-pod" + slicePodID + ".slice:cri-containerd:" +
		outerID,
		cgroupInfo{"containerd.service", "system.slice", outerID, "containerd", podID}},
	{"containerd, mixed drivers at the root", "/kubepods-besteffort-pod" + slicePodID + ".slice:cri-containerd:" + outerID,
		cgroupInfo{ContainerID: outerID, Runtime: "containerd", PodUID: podID}},
	{"containerd, group inside", "/kubepods/burstable/pod" + podID + "/" + outerID + "/worker",
		cgroupInfo{ContainerID: outerID, PodUID: podID}},
	{"containerd, namespace", "/default/" + outerID, cgroupInfo{ContainerID: outerID, Runtime: "containerd"}},
	{"containerd, namespace of CRI", "/k8s.io/" + outerID, cgroupInfo{ContainerID: outerID, Runtime: "containerd"}},
	{"nerdctl", "/system.slice/nerdctl-" + outerID + ".scope",
		cgroupInfo{"nerdctl-" + outerID + ".scope", "system.slice", outerID, "containerd", ""}},

	{"pod, guaranteed", "/kubepods/pod" + podID + "/" + outerID, cgroupInfo{ContainerID: outerID, PodUID: podID}},
	{"pod, burstable", "/kubepods/burstable/pod" + podID + "/" + outerID, cgroupInfo{ContainerID: outerID, PodUID: podID}},
	{"pod, static", "/kubepods/besteffort/pod" + staticPodID + "/" + outerID, cgroupInfo{ContainerID: outerID, PodUID: staticPodID}},
	{"pod without container", "/kubepods/burstable/pod" + podID, cgroupInfo{PodUID: podID}},
	{"pod, from another namespace", "/../../pod" + podID + "/" + outerID, cgroupInfo{ContainerID: outerID, PodUID: podID}},
	{"pod slice, from another namespace", "/../../kubepods-pod" + slicePodID + ".slice/cri-containerd-" + outerID + ".scope",
		cgroupInfo{"cri-containerd-" + outerID + ".scope", "kubepods-pod" + slicePodID + ".slice", outerID, "containerd", podID}},
	{"pod, unknown runtime", "/kubepods.slice/kubepods-pod" + slicePodID + ".slice/other-" + outerID + ".scope",
		cgroupInfo{Unit: "other-" + outerID + ".scope", Slice: "kubepods-pod" + slicePodID + ".slice", PodUID: podID}},
	{"kubelet", "/system.slice/kubelet.service", cgroupInfo{Unit: "kubelet.service", Slice: "system.slice"}},

	{"CRI-O, systemd", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + slicePodID + ".slice/crio-" + outerID + ".scope",
		cgroupInfo{"crio-" + outerID + ".scope", "kubepods-burstable-pod" + slicePodID + ".slice", outerID, "cri-o", podID}},
	{"CRI-O, group inside", "/kubepods.slice/kubepods-pod" + slicePodID + ".slice/crio-" + outerID + ".scope/container",
		cgroupInfo{"crio-" + outerID + ".scope", "kubepods-pod" + slicePodID + ".slice", outerID, "cri-o", podID}},
	{"CRI-O, cgroupfs", "/kubepods/besteffort/pod" + podID + "/crio-" + outerID,
		cgroupInfo{ContainerID: outerID, Runtime: "cri-o", PodUID: podID}},
	{"CRI-O, conmon", "/kubepods.slice/kubepods-pod" + slicePodID + ".slice/crio-conmon-" + outerID + ".scope",
		cgroupInfo{Unit: "crio-conmon-" + outerID + ".scope", Slice: "kubepods-pod" + slicePodID + ".slice", PodUID: podID}},
	{"CRI-O, conmon, cgroupfs", "/kubepods/pod" + podID + "/crio-conmon-" + outerID, cgroupInfo{PodUID: podID}},

	{"podman, systemd", "/machine.slice/libpod-" + outerID + ".scope",
		cgroupInfo{"libpod-" + outerID + ".scope", "machine.slice", outerID, "podman", ""}},
	{"podman, crun", "/machine.slice/libpod-" + outerID + ".scope/container",
		cgroupInfo{"libpod-" + outerID + ".scope", "machine.slice", outerID, "podman", ""}},
	{"podman, conmon", "/machine.slice/libpod-conmon-" + outerID + ".scope",
		cgroupInfo{Unit: "libpod-conmon-" + outerID + ".scope", Slice: "machine.slice"}},
	{"podman, rootless", "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + outerID + ".scope/container",
		cgroupInfo{Unit: "user@1000.service", Slice: "user-1000.slice"}},
	{"podman, pod", "/machine.slice/machine-libpod_pod_" + innerID + ".slice/libpod-" + outerID + ".scope",
		cgroupInfo{"libpod-" + outerID + ".scope", "machine-libpod_pod_" + innerID + ".slice", outerID, "podman", ""}},
	{"podman, quadlet", "/system.slice/web.service/libpod-payload-" + outerID,
		cgroupInfo{"web.service", "system.slice", outerID, "podman", ""}},
	{"podman, quadlet's conmon", "/system.slice/web.service/runtime", cgroupInfo{Unit: "web.service", Slice: "system.slice"}},
	{"podman, cgroupfs", "/libpod_parent/libpod-" + outerID, cgroupInfo{ContainerID: outerID, Runtime: "podman"}},
	{"podman, cgroupfs, conmon", "/libpod_parent/conmon", cgroupInfo{}},
	{"podman, cgroupfs, pod", "/libpod_parent/" + innerID + "/libpod-" + outerID, cgroupInfo{ContainerID: outerID, Runtime: "podman"}},
	{"podman, cgroupfs, conmon of a pod", "/libpod_parent/" + innerID + "/conmon", cgroupInfo{}},

	{"docker in a pod", "/kubepods/burstable/pod" + podID + "/" + outerID + "/docker/" + innerID,
		cgroupInfo{ContainerID: outerID, PodUID: podID}},
	{"docker in docker", "/docker/" + outerID + "/docker/" + innerID, cgroupInfo{ContainerID: outerID, Runtime: "docker"}},
	{"kind, cgroupfs", "/docker/" + outerID + "/kubelet/kubepods/burstable/pod" + podID + "/" + innerID,
		cgroupInfo{ContainerID: outerID, Runtime: "docker"}},
	{"kind, systemd", "/system.slice/docker-" + outerID +
		".scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/" +
		"kubelet-kubepods-burstable-pod" + slicePodID + ".slice/cri-containerd-" + innerID + ".scope",
		cgroupInfo{"docker-" + outerID + ".scope", "system.slice", outerID, "docker", ""}},
	{"kind, the kubelet", "/docker/" + outerID + "/kubelet.slice/kubelet.service",
		cgroupInfo{ContainerID: outerID, Runtime: "docker"}},

	{"LXC 2", "/lxc/web-1", cgroupInfo{ContainerID: "web-1", Runtime: "lxc"}},
	{"LXC 3", "/lxc.payload/web-1/system.slice/cron.service", cgroupInfo{ContainerID: "web-1", Runtime: "lxc"}},
	{"LXC 4", "/lxc.payload.web-1/system.slice/cron.service", cgroupInfo{ContainerID: "web-1", Runtime: "lxc"}},
	{"LXC, monitor", "/lxc.monitor.web-1", cgroupInfo{}},
	{"LXC, without a name", "/lxc.payload.", cgroupInfo{}},
	{"Proxmox", "/lxc/101/ns/system.slice/ssh.service", cgroupInfo{ContainerID: "101", Runtime: "lxc"}},
	{"docker in LXC", "/lxc.payload.web-1/docker/" + outerID, cgroupInfo{ContainerID: "web-1", Runtime: "lxc"}},

	{"nspawn, scope", `/machine.slice/machine-web\x2d1.scope`, cgroupInfo{Unit: `machine-web\x2d1.scope`, Slice: "machine.slice"}},
	{"nspawn, payload", "/machine.slice/systemd-nspawn@web.service/payload",
		cgroupInfo{Unit: "systemd-nspawn@web.service", Slice: "machine.slice"}},
	{"libvirt", `/machine.slice/machine-qemu\x2d1\x2dvm.scope/libvirt/emulator`,
		cgroupInfo{Unit: `machine-qemu\x2d1\x2dvm.scope`, Slice: "machine.slice"}},
	{"garden", "/garden/0a1b2c3d-4e5f-6071-8293-a4b5", cgroupInfo{ContainerID: "0a1b2c3d-4e5f-6071-8293-a4b5", Runtime: "garden"}},
	{"ECS, task", "/ecs/" + podID + "/" + outerID, cgroupInfo{ContainerID: outerID, Runtime: "ecs"}},
	{"ECS, cluster", "/ecs/prod/" + staticPodID + "/" + outerID, cgroupInfo{ContainerID: outerID, Runtime: "ecs"}},
	{"ECS, systemd", "/ecstasks.slice/ecstasks-" + staticPodID + ".slice/docker-" + outerID + ".scope",
		cgroupInfo{"docker-" + outerID + ".scope", "ecstasks-" + staticPodID + ".slice", outerID, "docker", ""}},
	{"ECS, Fargate", "/ecs/" + staticPodID + "/" + staticPodID + "-2083626190",
		cgroupInfo{ContainerID: staticPodID + "-2083626190", Runtime: "ecs"}},
	{"buildkit", "/docker/buildkit/z9x8c7v6b5n4m3a2s1d0f9g8h", cgroupInfo{ContainerID: "z9x8c7v6b5n4m3a2s1d0f9g8h", Runtime: "buildkit"}},

	{"service", "/system.slice/nginx.service", cgroupInfo{Unit: "nginx.service", Slice: "system.slice"}},
	{"group in a service", "/system.slice/nginx.service/workers", cgroupInfo{Unit: "nginx.service", Slice: "system.slice"}},
	{"template", "/system.slice/system-getty.slice/getty@tty1.service",
		cgroupInfo{Unit: "getty@tty1.service", Slice: "system-getty.slice"}},
	{"escaped", `/system.slice/system-serial\x2dgetty.slice/serial-getty@ttyS0.service`,
		cgroupInfo{Unit: "serial-getty@ttyS0.service", Slice: `system-serial\x2dgetty.slice`}},
	{"named like a file of the kernel", "/system.slice/_memory.service", cgroupInfo{Unit: "memory.service", Slice: "system.slice"}},
	{"init", "/init.scope", cgroupInfo{Unit: "init.scope"}},
	{"session", "/user.slice/user-1000.slice/session-3.scope", cgroupInfo{Unit: "session-3.scope", Slice: "user-1000.slice"}},
	{"user's service", "/user.slice/user-1000.slice/user@1000.service/app.slice/app-foo.service",
		cgroupInfo{Unit: "user@1000.service", Slice: "user-1000.slice"}},
	{"user's scope", "/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-firefox-4711.scope",
		cgroupInfo{Unit: "user@1000.service", Slice: "user-1000.slice"}},
	{"user's manager", "/user.slice/user-1000.slice/user@1000.service/init.scope",
		cgroupInfo{Unit: "user@1000.service", Slice: "user-1000.slice"}},
	{"socket", "/system.slice/dbus.socket", cgroupInfo{Unit: "dbus.socket", Slice: "system.slice"}},
	{"mount", "/system.slice/dev-hugepages.mount", cgroupInfo{Unit: "dev-hugepages.mount", Slice: "system.slice"}},
	{"swap", "/system.slice/dev-sda2.swap", cgroupInfo{Unit: "dev-sda2.swap", Slice: "system.slice"}},
	{"slice only", "/system.slice", cgroupInfo{Slice: "system.slice"}},
	{"deleted", "/system.slice/cron.service (deleted)", cgroupInfo{Unit: "cron.service", Slice: "system.slice"}},

	{"unit in a unit", "/system.slice/ci.service/system.slice/nginx.service", cgroupInfo{Unit: "ci.service", Slice: "system.slice"}},
	{"unit in a session", "/user.slice/user-1000.slice/session-2.scope/nginx.service",
		cgroupInfo{Unit: "session-2.scope", Slice: "user-1000.slice"}},
	{"container in a session", "/user.slice/user-1000.slice/session-2.scope/docker/" + outerID,
		cgroupInfo{Unit: "session-2.scope", Slice: "user-1000.slice"}},
	{"unit in another cgroup", "/alice/system.slice/nginx.service", cgroupInfo{}},
	{"container in another cgroup", "/alice/docker/" + outerID, cgroupInfo{}},
	{"container scope in another cgroup", "/alice/docker-" + outerID + ".scope", cgroupInfo{}},
	{"pod of a user", "/user.slice/user-1000.slice/user@1000.service/kubepods.slice/kubepods-pod" + slicePodID + ".slice",
		cgroupInfo{Unit: "user@1000.service", Slice: "user-1000.slice"}},
	{"unit, from another namespace", "/../../system.slice/nginx.service", cgroupInfo{Unit: "nginx.service", Slice: "system.slice"}},

	{"empty", "", cgroupInfo{}},
	{"root", "/", cgroupInfo{}},
	{"parent", "/..", cgroupInfo{}},
	{"third parent", "/../../..", cgroupInfo{}},
	{"only slashes", "////", cgroupInfo{}},
	{"suffixes only", "/.service/.slice/.scope", cgroupInfo{}},
	{"no leading slash", "nginx.service", cgroupInfo{Unit: "nginx.service"}},
	{"not UTF-8", "/caf\xe9.service/\xff\xfe", cgroupInfo{}},
	{"spaces", "/a b.service", cgroupInfo{}},
	{"long unit", "/" + strings.Repeat("a", 248) + ".service", cgroupInfo{}},
	{"longest unit", "/" + strings.Repeat("a", 247) + ".service", cgroupInfo{Unit: strings.Repeat("a", 247) + ".service"}},
	{"long path", "/docker" + strings.Repeat("/x", 1<<16) + "/" + outerID, cgroupInfo{ContainerID: outerID}},
	{"63 digits", "/docker/" + outerID[1:], cgroupInfo{}},
	{"65 digits", "/docker/a" + outerID, cgroupInfo{}},
	{"upper-case digits", "/docker/" + strings.ToUpper(outerID), cgroupInfo{}},
	{"no digits", "/docker/" + strings.Repeat("g", 64), cgroupInfo{}},
	{"63 digits in a scope", "/docker-" + outerID[1:] + ".scope", cgroupInfo{Unit: "docker-" + outerID[1:] + ".scope"}},
	{"32 digits", "/process_api/" + staticPodID, cgroupInfo{}},
	{"pod without UID", "/kubepods/pod/" + outerID, cgroupInfo{ContainerID: outerID}},
	{"pod with a bad UID", "/kubepods/pod" + podID[1:], cgroupInfo{}},
	{"pod with dashes elsewhere", "/kubepods/pod2f4d1b3c8f-6a-4b1e-9c55-0e4d7a9b6c21", cgroupInfo{}},
	{"pod slice with dashes", "/kubepods-pod" + podID + ".slice", cgroupInfo{Slice: "kubepods-pod" + podID + ".slice", PodUID: podID}},
	{"other text before the pod", "/tripod" + podID, cgroupInfo{}},
	{"fake LXC", "/lxc/..", cgroupInfo{}},
	{"fake buildkit", "/buildkit/short", cgroupInfo{}},
	{"fake Fargate", "/ecs/" + staticPodID + "/" + staticPodID + "-12x", cgroupInfo{}},
}

func TestParseCgroups(t *testing.T) {
	for _, tt := range cgroupTests {
		t.Run(tt.name, func(t *testing.T) {
			if got := parseCgroups([]string{tt.path}); got != tt.want {
				t.Errorf("%s: got %+v, want %+v", tt.path, got, tt.want)
			}
		})
	}
}

func TestParseInnerCgroups(t *testing.T) {
	const manager = "/user.slice/user-1000.slice/user@1000.service"
	for _, tt := range []struct {
		name, path string
		want       cgroupInfo
	}{
		{"user's service", manager + "/app.slice/app-foo.service", cgroupInfo{Unit: "app-foo.service", Slice: "app.slice"}},
		{"user's scope", manager + "/app.slice/app-4711.scope", cgroupInfo{Unit: "app-4711.scope", Slice: "app.slice"}},
		{"user's manager", manager + "/init.scope", cgroupInfo{Unit: "init.scope"}},
		{"docker, rootless", manager + "/user.slice/docker-" + outerID + ".scope",
			cgroupInfo{"docker-" + outerID + ".scope", "user.slice", outerID, "docker", ""}},
		{"LXC", "/lxc.payload/web-1/system.slice/cron.service", cgroupInfo{Unit: "cron.service", Slice: "system.slice"}},
		{"Proxmox", "/lxc/101/ns/system.slice/ssh.service", cgroupInfo{Unit: "ssh.service", Slice: "system.slice"}},
		{"docker in LXC", "/lxc.payload.web-1/docker/" + outerID, cgroupInfo{ContainerID: outerID, Runtime: "docker"}},
		{"docker in docker", "/docker/" + outerID + "/docker/" + innerID, cgroupInfo{ContainerID: innerID, Runtime: "docker"}},
		{"kind", "/docker/" + outerID + "/kubelet/kubepods/burstable/pod" + podID + "/" + innerID,
			cgroupInfo{ContainerID: innerID, PodUID: podID}},
		{"system service", "/system.slice/ci.service/system.slice/nginx.service", cgroupInfo{}},
		{"another cgroup", "/alice/docker/" + outerID, cgroupInfo{}},
		{"empty", "", cgroupInfo{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := parseInnerCgroups([]string{"/", tt.path}); got != tt.want {
				t.Errorf("%s: got %+v, want %+v", tt.path, got, tt.want)
			}
		})
	}
}

func TestParseCgroupsOfSeveralHierarchies(t *testing.T) {
	nginx := cgroupInfo{Unit: "nginx.service", Slice: "system.slice"}
	docker := cgroupInfo{ContainerID: outerID, Runtime: "docker"}
	tests := []struct {
		name  string
		paths []string
		want  cgroupInfo
	}{
		{"none", nil, cgroupInfo{}},
		{"roots", []string{"/", "/", "/"}, cgroupInfo{}},
		{"version 1", []string{"/system.slice/nginx.service", "/", "/system.slice", "/system.slice/nginx.service"}, nginx},
		{"version 1, systemd last", []string{"/", "/system.slice", "/system.slice/nginx.service"}, nginx},
		{"version 1, a session", []string{"/user.slice", "/user.slice/user-0.slice/session-1.scope", "/"},
			cgroupInfo{Unit: "session-1.scope", Slice: "user-0.slice"}},

		{"version 1, longest path",
			[]string{"/user.slice/user-1.slice/user@1.service", "/user.slice/user-1.slice/user@1.service/app.slice/mail.service"},
			cgroupInfo{Unit: "user@1.service", Slice: "user-1.slice"}},
		{"hybrid, docker", []string{"/docker/" + outerID, "/docker/" + outerID, "/system.slice/containerd.service"}, docker},
		{"hybrid, docker last", []string{"/system.slice/containerd.service", "/docker/" + outerID}, docker},
		{"hybrid, pod", []string{"/kubepods/pod" + podID + "/" + outerID, "/system.slice/containerd.service"},
			cgroupInfo{ContainerID: outerID, PodUID: podID}},
		{"the first of equals", []string{"/a.service", "/b.service"}, cgroupInfo{Unit: "a.service"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := parseCgroups(tt.paths); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestParseCgroupsAllocs(t *testing.T) {
	paths := []string{"/system.slice/nginx.service", "/docker/" + outerID, "/kubepods/burstable/pod" + podID + "/" + outerID}
	if n := testing.AllocsPerRun(100, func() { parseCgroups(paths) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

// FuzzParseCgroups checks that the values found in any path are parts of it and have the
// form that their field requires.
func FuzzParseCgroups(f *testing.F) {
	f.Add("/kubepods.slice/kubepods-pod"+slicePodID+".slice/crio-"+outerID+".scope", "/")
	f.Add("/kubepods/pod"+podID+"/"+outerID, "/lxc.payload.web-1/system.slice/_cpu.service (deleted)")
	f.Add("/docker/buildkit/z9x8c7v6b5n4m3a2s1d0f9g8h", "/ecs/"+staticPodID+"/"+staticPodID+"-1")
	f.Add("/garden/a/..//.", "x:y:"+outerID)
	f.Fuzz(func(t *testing.T, one, two string) {
		c := parseCgroups([]string{one, two})
		in := func(value string) bool { return strings.Contains(one, value) || strings.Contains(two, value) }
		switch {
		case !in(c.Unit) || !in(c.Slice) || !in(c.ContainerID):
			t.Errorf("%q, %q: got %+v, want parts of the paths", one, two, c)
		case c.PodUID != "" && !isUID(c.PodUID):
			t.Errorf("%q, %q: got pod UID %q, want a UID", one, two, c.PodUID)
		case c.Slice != "" && !strings.HasSuffix(c.Slice, ".slice"), len(c.Slice) > maxUnitName,
			len(c.Unit) > maxUnitName, strings.HasSuffix(c.Unit, ".slice"):
			t.Errorf("%q, %q: got unit %q in slice %q", one, two, c.Unit, c.Slice)
		case c.ContainerID == "" && c.Runtime != "":
			t.Errorf("%q, %q: got runtime %s without a container", one, two, c.Runtime)
		}
		if c.ContainerID != "" && !isContainerOf(c.Runtime, c.ContainerID) {
			t.Errorf("%q, %q: got invalid container %q of %q", one, two, c.ContainerID, c.Runtime)
		}
	})
}

// isContainerOf reports whether id has the form of the container IDs of a runtime.
func isContainerOf(runtime, id string) bool {
	switch runtime {
	case "lxc", "garden", "buildkit":
		return isContainerName(id)
	case "ecs":
		if isFargate(id) {
			return true
		}
	}
	return len(id) == 64 && isHex(id)
}
