//go:build amd64 || arm64

package platform

import (
	"testing"

	"github.com/seed57308aee/process_exporter/procfs"
	"github.com/seed57308aee/process_exporter/test/procfstree"
)

// TestUnreportedProcesses compares a copy of /proc with the PIDs of scans.
func TestUnreportedProcesses(t *testing.T) {
	tree := procfstree.New(t, 1000)
	set := func(pid int, state string) {
		tree.Set(procfstree.Process{PID: pid, Comm: "p", State: state})
	}
	mount, err := procfs.Open(tree.Root)
	if err != nil {
		t.Fatal(err)
	}
	defer mount.Close()
	r := procfs.NewReader(mount)
	for _, pid := range []int{1, 2, 3, 4, 5} {
		set(pid, "S")
	}
	set(5, "X")
	steps := []struct {
		name    string
		walk    uint64
		scanned []int
		later   []int  // found by one more scan
		during  func() // between the list and the scan
		want    int
		list    string
		scans   int // after the first one
	}{
		{"first walk", 0, []int{2, 3}, nil, nil, 0, "", 0},
		{"PID 1 again, 4 only before", 1, []int{2, 3, 4}, []int{2, 3, 4}, nil, 1, "1 (p)", maxScans},
		{"no check", 2, []int{2}, nil, nil, 1, "1 (p)", 0},
		{"next check", unreportedInterval, []int{1, 2, 4}, nil, nil, 1, "1 (p)", 0},
		{"exits during the walk", unreportedInterval + 1, []int{1, 2, 4}, nil, func() { tree.Remove(3) }, 0, "", 0},
		{"execve during the walk", 2 * unreportedInterval, []int{1, 2}, nil, nil, 0, "", 0},
		{"execve during two walks", 2*unreportedInterval + 1, []int{1, 2}, []int{1, 2, 4}, nil, 0, "", 1},
		{"no check again", 2*unreportedInterval + 2, nil, nil, func() { set(6, "S"); set(7, "S"); set(8, "S"); set(9, "S") }, 0, "", 0},
		{"last check", 3 * unreportedInterval, nil, nil, nil, 0, "", 0},
		{"nothing is reported", 3*unreportedInterval + 1, nil, nil, nil, 7, "1 (p), 2 (p), 4 (p), 6 (p), 7 (p)", maxScans},
	}
	var c unreportedCheck
	for _, step := range steps {
		c.begin(r, step.walk)
		if step.during != nil {
			step.during()
		}
		scans := 0
		err := c.end(r, step.walk, step.scanned, func() ([]int, error) { scans++; return step.later, nil })
		if c.count != step.want || c.list != step.list || scans != step.scans || err != nil {
			t.Errorf("%s: got %d unreported processes, %q, after %d more scans, error %v, want %d, %q, after %d",
				step.name, c.count, c.list, scans, err, step.want, step.list, step.scans)
		}
	}
}

// TestUnreportedInSnapshot checks that walks between two checks repeat the last number.
func TestUnreportedInSnapshot(t *testing.T) {
	src := openBPFSource(t).(*bpfSource)
	var snap Snapshot
	walkAll(t, src, &snap)
	walkAll(t, src, &snap)
	if snap.Index(1) < 0 && snap.Unreported == 0 {
		t.Error("process 1 is missing, and is not counted")
	}
	src.unreported.count = 3
	if walkAll(t, src, &snap); snap.Unreported != 3 {
		t.Errorf("got %d unreported processes, want 3", snap.Unreported)
	}
}
