package grouping

import (
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/seed57308aee/process_exporter/platform"
)

// TestNewGroupCopiesStrings checks that a group does not refer to the memory of a
// command line, from which its name and labels are taken.
func TestNewGroupCopiesStrings(t *testing.T) {
	line := strings.Repeat("x", 100) + "name" + "value"
	m := Match{Group: line[100:104], Labels: []string{line[104:]}}
	g := newGroup(&m)
	begin := uintptr(unsafe.Pointer(unsafe.StringData(line)))
	for _, text := range []string{g.name, g.key, g.labels[0], m.Group} {
		if at := uintptr(unsafe.Pointer(unsafe.StringData(text))); at >= begin && at < begin+uintptr(len(line)) {
			t.Errorf("got %q in the memory of the command line, want a copy", text)
		}
	}
	if g.name != "name" || g.labels[0] != "value" {
		t.Errorf("got name %q and labels %q, want name and value", g.name, g.labels)
	}
}

// TestMatchedProcesses checks that Group.Matched is the number of processes that match the
// rule of a group, without zombies and without children that joined the group.
func TestMatchedProcesses(t *testing.T) {
	zombie := func(threads int, s platform.Sample) platform.Sample {
		s.State, s.NumThreads = 'Z', threads
		return s
	}
	job := liveSample(7, young, "job", 1, 1)
	tests := []struct {
		name string
		live []platform.Sample
		want int
	}{
		{"two processes", []platform.Sample{job, liveSample(8, young, "job", 1, 1)}, 2},
		{"zombie", []platform.Sample{zombie(1, job)}, 0},
		{"zombie that is being reaped", []platform.Sample{zombie(0, job)}, 0},
		{"main thread has exited", []platform.Sample{zombie(2, job)}, 1},
		{"child that joined", []platform.Sample{job, childOf(7, liveSample(8, young, "sh", 1, 1))}, 1},
		{"zombie with a child", []platform.Sample{zombie(1, job), childOf(7, liveSample(8, young, "sh", 1, 1))}, 0},
		{"child that matches", []platform.Sample{job, childOf(7, liveSample(8, young, "job", 1, 1))}, 2},
	}
	for _, tt := range tests {
		for _, procfs := range []bool{false, true} {
			t.Run(tt.name+", procfs "+strconv.FormatBool(procfs), func(t *testing.T) {
				groups, _ := replay(t, "- {name: g, comm: [job]}\n", replayOptions, []walkStep{
					{live: append([]platform.Sample{initSample}, tt.live...), procfs: procfs},
				})
				if len(groups) != 1 || groups[0].Procs != len(tt.live) || groups[0].Matched != tt.want {
					t.Errorf("got groups %+v, want one with %d processes, %d matched", groups, len(tt.live), tt.want)
				}
			})
		}
	}
}
