package grouping

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/platform"
)

const (
	hostID    = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	nestedID  = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	hostPod   = "0a1b2c3d-1111-2222-3333-444455556666"
	podCgroup = "/kubepods.slice/kubepods-pod0a1b2c3d_1111_2222_3333_444455556666.slice/cri-containerd-" + hostID + ".scope"
)

// TestHostContainer checks that names of containers come from the cgroups that the host
// creates, not from cgroups that a user, or a program in a container, creates.
func TestHostContainer(t *testing.T) {
	for _, tt := range []struct {
		name, paths, id, pod string
	}{
		{"pod", podCgroup, hostID, hostPod},
		{"Docker", "/system.slice/docker-" + hostID + ".scope", hostID, ""},
		{"Docker in a pod", podCgroup + "/docker/" + nestedID, hostID, hostPod},
		{"another pod in a pod", podCgroup + "/pod11111111-1111-2222-3333-444455556666/" + nestedID, hostID, hostPod},
		{"cgroup namespace", "/../.." + strings.TrimPrefix(podCgroup, "/kubepods.slice"), hostID, hostPod},
		{"removed", podCgroup + " (deleted)", hostID, hostPod},
		{"user slice", "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" + hostID + ".scope", "", ""},
		{"user slice in a namespace", "/../../user.slice/user-1000.slice/user@1000.service/docker-" + hostID + ".scope", "", ""},
		{"version 1", "/system.slice/x.service," + podCgroup, hostID, hostPod},
		{"service", "/system.slice/x.service", "", ""},
	} {
		if id, pod := hostContainer(strings.Split(tt.paths, ",")); id != tt.id || pod != tt.pod {
			t.Errorf("%s: got %q, %q, want %q, %q", tt.name, id, pod, tt.id, tt.pod)
		}
	}
}

// A fakeFinder returns the same names for each container.
type fakeFinder struct {
	names   platform.ContainerNames
	final   bool
	lookups int
}

func (f *fakeFinder) Lookup(id, podUID string) (platform.ContainerNames, bool) {
	if f.lookups++; id != hostID || podUID != hostPod {
		return platform.ContainerNames{}, true
	}
	return f.names, f.final
}

// inPod is a source whose processes are in a container of a pod.
type inPod struct{ replaySource }

func (s *inPod) Identify(ctx context.Context, p *platform.Sample, fields platform.IdentityFields) (platform.Identity, error) {
	id, err := s.replaySource.Identify(ctx, p, fields)
	id.Cgroups = []string{podCgroup}
	return id, err
}

// TestContainerNames checks that a process moves to another group when the name of its
// container becomes known, and that other rules cause no lookup.
func TestContainerNames(t *testing.T) {
	live := walkStep{live: []platform.Sample{liveSample(7, 1150, "nginx", 1, 1)}}
	for _, tt := range []struct {
		name, known, unknown string
		lookups              int // while the names are not final
	}{
		{"{{.PodNamespace}}/{{.Pod}}/{{.ContainerName}}", "shop/web-1/nginx", "//", 3},
		{"{{with .ComposeService}}{{$.ComposeProject}}/{{.}}{{else}}none{{end}}", "project/web", "none", 3},
		{"{{.Comm}} {{.PodUID}}", "nginx " + hostPod, "nginx " + hostPod, 0},
	} {
		m, err := Parse("test.yaml", []byte("process_names:\n- name: '"+tt.name+"'\n  comm: nginx\n"))
		if err != nil {
			t.Fatal(err)
		}
		finder := &fakeFinder{}
		o := replayOptions
		o.Containers, o.RemoveEmpty = finder, true
		tr := NewTracker(&inPod{replaySource{steps: []walkStep{live, live, live, live, live}}}, m, o)
		update := func(want string) {
			t.Helper()
			groups, err := tr.Update(t.Context())
			if err != nil || len(groups) != 1 || groups[0].Name != want {
				t.Errorf("%s: got %+v, %v, want %q", tt.name, groups, err, want)
			}
		}
		for range 3 {
			update(tt.unknown)
		}
		if finder.lookups != tt.lookups {
			t.Errorf("%s: got %d lookups, want %d", tt.name, finder.lookups, tt.lookups)
		}
		finder.final = true
		finder.names = platform.ContainerNames{
			Pod: "web-1", PodNamespace: "shop", Container: "nginx", ComposeService: "web", ComposeProject: "project",
		}
		update(tt.known)
		before := finder.lookups
		update(tt.known)
		if finder.lookups > before+1 { // a young process is identified twice
			t.Errorf("%s: got %d lookups after the names were known", tt.name, finder.lookups-before)
		}
	}
}

// TestUnknownContainerName checks that a process whose container has no name is not
// identified forever.
func TestUnknownContainerName(t *testing.T) {
	m, err := Parse("test.yaml", []byte("process_names:\n- name: '{{.ContainerName}}'\n  comm: nginx\n"))
	if err != nil {
		t.Fatal(err)
	}
	finder := &fakeFinder{}
	o := replayOptions
	o.Containers = finder
	steps := make([]walkStep, int(containerNameAge/time.Second)+10) // one second each
	for i := range steps {
		steps[i].live = []platform.Sample{liveSample(7, 1100, "nginx", 1, 1)}
	}
	tr := NewTracker(&inPod{replaySource{steps: steps}}, m, o)
	for range steps {
		if _, err := tr.Update(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if finder.lookups < 50 || finder.lookups > 62 {
		t.Errorf("got %d lookups, want one per second for a minute", finder.lookups)
	}
}
