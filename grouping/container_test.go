package grouping

import (
	"strings"
	"testing"
)

const (
	testID  = "8a3f0c5d7e9b1a2c4d6e8f0a1b3c5d7e9f1a2b4c6d8e0f1a3b5c7d9e1f2a4b6c"
	innerID = "1111111122222222333333334444444455555555666666667777777788888888"
	podUID  = "2f4d1b3c-8f6a-4b1e-9c55-0e4d7a9b6c21"
	podUID_ = "2f4d1b3c_8f6a_4b1e_9c55_0e4d7a9b6c21"
	fileUID = "b1e0a7c2d43f5566778899aabbccddee"
)

func TestPlaceOf(t *testing.T) {
	tests := []struct {
		name, path string
		want       place
	}{
		{"docker, cgroupfs", "/docker/" + testID, place{ContainerID: testID, Runtime: "docker"}},
		{"docker, systemd", "/system.slice/docker-" + testID + ".scope", place{"docker-" + testID + ".scope", "system.slice", testID, "docker", ""}},
		{"docker, rootless", "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" + testID + ".scope", place{"user@1000.service", "user.slice", testID, "docker", ""}},
		{"docker, own parent", "/actions_job/" + testID, place{ContainerID: testID}},
		{"docker, systemd as a path", "/system.slice/docker.service/system.slice:docker:" + testID, place{"docker.service", "system.slice", testID, "docker", ""}},
		{"docker, systemd inside", "/system.slice/docker-" + testID + ".scope/system.slice/nginx.service", place{"nginx.service", "system.slice", testID, "docker", ""}},
		{"docker, init inside", "/docker/" + testID + "/init.scope", place{Unit: "init.scope", ContainerID: testID, Runtime: "docker"}},
		{"docker daemon", "/system.slice/docker.service", place{Unit: "docker.service", Slice: "system.slice"}},
		{"docker's group itself", "/docker", place{}},

		{"containerd, guaranteed", "/kubepods.slice/kubepods-pod" + podUID_ + ".slice/cri-containerd-" + testID + ".scope",
			place{"cri-containerd-" + testID + ".scope", "kubepods-pod" + podUID_ + ".slice", testID, "containerd", podUID}},
		{"containerd, burstable", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + podUID_ + ".slice/cri-containerd-" + testID + ".scope",
			place{"cri-containerd-" + testID + ".scope", "kubepods-burstable-pod" + podUID_ + ".slice", testID, "containerd", podUID}},
		{"containerd, static pod", "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + fileUID + ".slice/cri-containerd-" + testID + ".scope",
			place{"cri-containerd-" + testID + ".scope", "kubepods-besteffort-pod" + fileUID + ".slice", testID, "containerd", fileUID}},
		{"containerd, mixed drivers", "/system.slice/containerd.service/kubepods-burstable-pod" + podUID_ + ".slice:cri-containerd:" + testID,
			place{"containerd.service", "system.slice", testID, "containerd", podUID}},
		{"containerd, mixed drivers at the root", "/kubepods-besteffort-pod" + podUID_ + ".slice:cri-containerd:" + testID, place{ContainerID: testID, Runtime: "containerd", PodUID: podUID}},
		{"containerd, group inside", "/kubepods/burstable/pod" + podUID + "/" + testID + "/worker", place{ContainerID: testID, PodUID: podUID}},
		{"containerd, namespace", "/default/" + testID, place{ContainerID: testID, Runtime: "containerd"}},
		{"containerd, namespace of CRI", "/k8s.io/" + testID, place{ContainerID: testID, Runtime: "containerd"}},
		{"nerdctl", "/system.slice/nerdctl-" + testID + ".scope", place{"nerdctl-" + testID + ".scope", "system.slice", testID, "containerd", ""}},

		{"pod, guaranteed", "/kubepods/pod" + podUID + "/" + testID, place{ContainerID: testID, PodUID: podUID}},
		{"pod, burstable", "/kubepods/burstable/pod" + podUID + "/" + testID, place{ContainerID: testID, PodUID: podUID}},
		{"pod, static", "/kubepods/besteffort/pod" + fileUID + "/" + testID, place{ContainerID: testID, PodUID: fileUID}},
		{"pod without container", "/kubepods/burstable/pod" + podUID, place{PodUID: podUID}},
		{"pod, from another namespace", "/../../pod" + podUID + "/" + testID, place{ContainerID: testID, PodUID: podUID}},
		{"pod slice, from another namespace", "/../../kubepods-pod" + podUID_ + ".slice/cri-containerd-" + testID + ".scope",
			place{"cri-containerd-" + testID + ".scope", "kubepods-pod" + podUID_ + ".slice", testID, "containerd", podUID}},
		{"pod, unknown runtime", "/kubepods.slice/kubepods-pod" + podUID_ + ".slice/other-" + testID + ".scope",
			place{Unit: "other-" + testID + ".scope", Slice: "kubepods-pod" + podUID_ + ".slice", PodUID: podUID}},
		{"kubelet", "/system.slice/kubelet.service", place{Unit: "kubelet.service", Slice: "system.slice"}},

		{"CRI-O, systemd", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + podUID_ + ".slice/crio-" + testID + ".scope",
			place{"crio-" + testID + ".scope", "kubepods-burstable-pod" + podUID_ + ".slice", testID, "cri-o", podUID}},
		{"CRI-O, group inside", "/kubepods.slice/kubepods-pod" + podUID_ + ".slice/crio-" + testID + ".scope/container",
			place{"crio-" + testID + ".scope", "kubepods-pod" + podUID_ + ".slice", testID, "cri-o", podUID}},
		{"CRI-O, cgroupfs", "/kubepods/besteffort/pod" + podUID + "/crio-" + testID, place{ContainerID: testID, Runtime: "cri-o", PodUID: podUID}},
		{"CRI-O, conmon", "/kubepods.slice/kubepods-pod" + podUID_ + ".slice/crio-conmon-" + testID + ".scope",
			place{Unit: "crio-conmon-" + testID + ".scope", Slice: "kubepods-pod" + podUID_ + ".slice", PodUID: podUID}},
		{"CRI-O, conmon, cgroupfs", "/kubepods/pod" + podUID + "/crio-conmon-" + testID, place{PodUID: podUID}},

		{"podman, systemd", "/machine.slice/libpod-" + testID + ".scope", place{"libpod-" + testID + ".scope", "machine.slice", testID, "podman", ""}},
		{"podman, crun", "/machine.slice/libpod-" + testID + ".scope/container", place{"libpod-" + testID + ".scope", "machine.slice", testID, "podman", ""}},
		{"podman, conmon", "/machine.slice/libpod-conmon-" + testID + ".scope", place{Unit: "libpod-conmon-" + testID + ".scope", Slice: "machine.slice"}},
		{"podman, rootless", "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + testID + ".scope/container", place{"user@1000.service", "user.slice", testID, "podman", ""}},
		{"podman, pod", "/machine.slice/machine-libpod_pod_" + innerID + ".slice/libpod-" + testID + ".scope",
			place{"libpod-" + testID + ".scope", "machine-libpod_pod_" + innerID + ".slice", testID, "podman", ""}},
		{"podman, quadlet", "/system.slice/web.service/libpod-payload-" + testID, place{"web.service", "system.slice", testID, "podman", ""}},
		{"podman, quadlet's conmon", "/system.slice/web.service/runtime", place{Unit: "web.service", Slice: "system.slice"}},
		{"podman, cgroupfs", "/libpod_parent/libpod-" + testID, place{ContainerID: testID, Runtime: "podman"}},
		{"podman, cgroupfs, conmon", "/libpod_parent/conmon", place{}},
		{"podman, cgroupfs, pod", "/libpod_parent/" + innerID + "/libpod-" + testID, place{ContainerID: testID, Runtime: "podman"}},
		{"podman, cgroupfs, conmon of a pod", "/libpod_parent/" + innerID + "/conmon", place{}},

		{"docker in a pod", "/kubepods/burstable/pod" + podUID + "/" + testID + "/docker/" + innerID, place{ContainerID: innerID, Runtime: "docker", PodUID: podUID}},
		{"docker in docker", "/docker/" + testID + "/docker/" + innerID, place{ContainerID: innerID, Runtime: "docker"}},
		{"kind, cgroupfs", "/docker/" + testID + "/kubelet/kubepods/burstable/pod" + podUID + "/" + innerID, place{ContainerID: innerID, PodUID: podUID}},
		{"kind, systemd", "/system.slice/docker-" + testID + ".scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod" + podUID_ + ".slice/cri-containerd-" + innerID + ".scope",
			place{"cri-containerd-" + innerID + ".scope", "kubelet-kubepods-burstable-pod" + podUID_ + ".slice", innerID, "containerd", podUID}},
		{"kind, the kubelet", "/docker/" + testID + "/kubelet.slice/kubelet.service", place{"kubelet.service", "kubelet.slice", testID, "docker", ""}},

		{"LXC 2", "/lxc/web-1", place{ContainerID: "web-1", Runtime: "lxc"}},
		{"LXC 3", "/lxc.payload/web-1/system.slice/cron.service", place{"cron.service", "system.slice", "web-1", "lxc", ""}},
		{"LXC 4", "/lxc.payload.web-1/system.slice/cron.service", place{"cron.service", "system.slice", "web-1", "lxc", ""}},
		{"LXC, monitor", "/lxc.monitor.web-1", place{}},
		{"LXC, without a name", "/lxc.payload.", place{}},
		{"Proxmox", "/lxc/101/ns/system.slice/ssh.service", place{"ssh.service", "system.slice", "101", "lxc", ""}},
		{"docker in LXC", "/lxc.payload.web-1/docker/" + testID, place{ContainerID: testID, Runtime: "docker"}},

		{"nspawn, scope", `/machine.slice/machine-web\x2d1.scope`, place{Unit: `machine-web\x2d1.scope`, Slice: "machine.slice"}},
		{"nspawn, payload", "/machine.slice/systemd-nspawn@web.service/payload", place{Unit: "systemd-nspawn@web.service", Slice: "machine.slice"}},
		{"libvirt", `/machine.slice/machine-qemu\x2d1\x2dvm.scope/libvirt/emulator`, place{Unit: `machine-qemu\x2d1\x2dvm.scope`, Slice: "machine.slice"}},
		{"garden", "/garden/0a1b2c3d-4e5f-6071-8293-a4b5", place{ContainerID: "0a1b2c3d-4e5f-6071-8293-a4b5", Runtime: "garden"}},
		{"ECS, task", "/ecs/" + podUID + "/" + testID, place{ContainerID: testID, Runtime: "ecs"}},
		{"ECS, cluster", "/ecs/prod/" + fileUID + "/" + testID, place{ContainerID: testID, Runtime: "ecs"}},
		{"ECS, systemd", "/ecstasks.slice/ecstasks-" + fileUID + ".slice/docker-" + testID + ".scope",
			place{"docker-" + testID + ".scope", "ecstasks-" + fileUID + ".slice", testID, "docker", ""}},
		{"ECS, Fargate", "/ecs/" + fileUID + "/" + fileUID + "-2083626190", place{ContainerID: fileUID + "-2083626190", Runtime: "ecs"}},
		{"buildkit", "/docker/buildkit/z9x8c7v6b5n4m3a2s1d0f9g8h", place{ContainerID: "z9x8c7v6b5n4m3a2s1d0f9g8h", Runtime: "buildkit"}},

		{"service", "/system.slice/nginx.service", place{Unit: "nginx.service", Slice: "system.slice"}},
		{"group in a service", "/system.slice/nginx.service/workers", place{Unit: "nginx.service", Slice: "system.slice"}},
		{"template", "/system.slice/system-getty.slice/getty@tty1.service", place{Unit: "getty@tty1.service", Slice: "system-getty.slice"}},
		{"escaped", `/system.slice/system-serial\x2dgetty.slice/serial-getty@ttyS0.service`, place{Unit: "serial-getty@ttyS0.service", Slice: `system-serial\x2dgetty.slice`}},
		{"named like a file of the kernel", "/system.slice/_memory.service", place{Unit: "memory.service", Slice: "system.slice"}},
		{"init", "/init.scope", place{Unit: "init.scope"}},
		{"session", "/user.slice/user-1000.slice/session-3.scope", place{Unit: "session-3.scope", Slice: "user-1000.slice"}},
		{"user's service", "/user.slice/user-1000.slice/user@1000.service/app.slice/app-foo.service", place{Unit: "app-foo.service", Slice: "app.slice"}},
		{"user's scope", "/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-firefox-4711.scope", place{Unit: "user@1000.service", Slice: "app.slice"}},
		{"user's manager", "/user.slice/user-1000.slice/user@1000.service/init.scope", place{Unit: "user@1000.service", Slice: "user-1000.slice"}},
		{"socket", "/system.slice/dbus.socket", place{Unit: "dbus.socket", Slice: "system.slice"}},
		{"mount", "/system.slice/dev-hugepages.mount", place{Unit: "dev-hugepages.mount", Slice: "system.slice"}},
		{"swap", "/system.slice/dev-sda2.swap", place{Unit: "dev-sda2.swap", Slice: "system.slice"}},
		{"slice only", "/system.slice", place{Slice: "system.slice"}},
		{"outlived", "/system.slice/cron.service (deleted)", place{Unit: "cron.service", Slice: "system.slice"}},

		{"empty", "", place{}},
		{"root", "/", place{}},
		{"above", "/..", place{}},
		{"far above", "/../../..", place{}},
		{"slashes", "////", place{}},
		{"suffixes only", "/.service/.slice/.scope", place{}},
		{"no element", "nginx.service", place{Unit: "nginx.service"}},
		{"not UTF-8", "/caf\xe9.service/\xff\xfe", place{}},
		{"blanks", "/a b.service", place{}},
		{"long unit", "/" + strings.Repeat("a", 248) + ".service", place{}},
		{"longest unit", "/" + strings.Repeat("a", 247) + ".service", place{Unit: strings.Repeat("a", 247) + ".service"}},
		{"long path", strings.Repeat("/x", 1<<16) + "/docker/" + testID, place{ContainerID: testID, Runtime: "docker"}},
		{"63 digits", "/docker/" + testID[1:], place{}},
		{"65 digits", "/docker/a" + testID, place{}},
		{"capitals", "/docker/" + strings.ToUpper(testID), place{}},
		{"no digits", "/docker/" + strings.Repeat("g", 64), place{}},
		{"63 digits in a scope", "/docker-" + testID[1:] + ".scope", place{Unit: "docker-" + testID[1:] + ".scope"}},
		{"32 digits", "/process_api/" + fileUID, place{}},
		{"pod without UID", "/kubepods/pod/" + testID, place{ContainerID: testID}},
		{"pod with another", "/kubepods/pod" + podUID[1:], place{}},
		{"pod with dashes elsewhere", "/kubepods/pod2f4d1b3c8f-6a-4b1e-9c55-0e4d7a9b6c21", place{}},
		{"pod slice with dashes", "/kubepods-pod" + podUID + ".slice", place{Slice: "kubepods-pod" + podUID + ".slice", PodUID: podUID}},
		{"something before the pod", "/tripod" + podUID, place{}},
		{"fake LXC", "/lxc/..", place{}},
		{"fake buildkit", "/buildkit/short", place{}},
		{"fake Fargate", "/ecs/" + fileUID + "/" + fileUID + "-12x", place{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := placeOf([]string{tt.path}); got != tt.want {
				t.Errorf("%s: got %+v, want %+v", tt.path, got, tt.want)
			}
		})
	}
}

func TestPlaceOfHierarchies(t *testing.T) {
	nginx := place{Unit: "nginx.service", Slice: "system.slice"}
	docker := place{ContainerID: testID, Runtime: "docker"}
	tests := []struct {
		name  string
		paths []string
		want  place
	}{
		{"none", nil, place{}},
		{"roots", []string{"/", "/", "/"}, place{}},
		{"version 1", []string{"/system.slice/nginx.service", "/", "/system.slice", "/system.slice/nginx.service"}, nginx},
		{"version 1, systemd last", []string{"/", "/system.slice", "/system.slice/nginx.service"}, nginx},
		{"version 1, a session", []string{"/user.slice", "/user.slice/user-0.slice/session-1.scope", "/"}, place{Unit: "session-1.scope", Slice: "user-0.slice"}},
		{"version 1, deeper wins", []string{"/user.slice/user-1.slice/user@1.service", "/user.slice/user-1.slice/user@1.service/app.slice/mail.service"}, place{Unit: "mail.service", Slice: "app.slice"}},
		{"hybrid, docker", []string{"/docker/" + testID, "/docker/" + testID, "/system.slice/containerd.service"}, docker},
		{"hybrid, docker last", []string{"/system.slice/containerd.service", "/docker/" + testID}, docker},
		{"hybrid, pod", []string{"/kubepods/pod" + podUID + "/" + testID, "/system.slice/containerd.service"}, place{ContainerID: testID, PodUID: podUID}},
		{"the first of equals", []string{"/a.service", "/b.service"}, place{Unit: "a.service"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := placeOf(tt.paths); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestPlaceOfAllocs(t *testing.T) {
	paths := []string{"/system.slice/nginx.service", "/docker/" + testID, "/kubepods/burstable/pod" + podUID + "/" + testID}
	if n := testing.AllocsPerRun(100, func() { placeOf(paths) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

// FuzzPlaceOf asserts that whatever a path is, the words that it tells have the
// form of what they are said to be, and stand in it.
func FuzzPlaceOf(f *testing.F) {
	f.Add("/kubepods.slice/kubepods-pod"+podUID_+".slice/crio-"+testID+".scope", "/")
	f.Add("/kubepods/pod"+podUID+"/"+testID, "/lxc.payload.web-1/system.slice/_cpu.service (deleted)")
	f.Add("/docker/buildkit/z9x8c7v6b5n4m3a2s1d0f9g8h", "/ecs/"+fileUID+"/"+fileUID+"-1")
	f.Add("/garden/a/..//.", "x:y:"+testID)
	f.Fuzz(func(t *testing.T, one, two string) {
		p := placeOf([]string{one, two})
		in := func(word string) bool { return strings.Contains(one, word) || strings.Contains(two, word) }
		switch {
		case !in(p.Unit) || !in(p.Slice) || !in(p.ContainerID):
			t.Errorf("%q, %q: %+v is not in them", one, two, p)
		case p.PodUID != "" && !isUID(p.PodUID):
			t.Errorf("%q, %q: pod %q", one, two, p.PodUID)
		case p.Slice != "" && !strings.HasSuffix(p.Slice, ".slice"), len(p.Slice) > maxUnitName, len(p.Unit) > maxUnitName, strings.HasSuffix(p.Unit, ".slice"):
			t.Errorf("%q, %q: unit %q in %q", one, two, p.Unit, p.Slice)
		case p.ContainerID == "" && p.Runtime != "":
			t.Errorf("%q, %q: %s without container", one, two, p.Runtime)
		}
		switch p.Runtime {
		case "lxc", "garden", "buildkit":
			if !isContainerName(p.ContainerID) {
				t.Errorf("%q, %q: container %q", one, two, p.ContainerID)
			}
		case "ecs":
			if !isFargate(p.ContainerID) && (len(p.ContainerID) != 64 || !isHex(p.ContainerID)) {
				t.Errorf("%q, %q: container %q", one, two, p.ContainerID)
			}
		default:
			if p.ContainerID != "" && (len(p.ContainerID) != 64 || !isHex(p.ContainerID)) {
				t.Errorf("%q, %q: container %q", one, two, p.ContainerID)
			}
		}
	})
}
