package grouping

import (
	"context"
	"testing"

	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/test/procfstree"
)

// TestUpdateAllocs checks that the allocations of an update do not grow with the
// number of unchanged processes.
func TestUpdateAllocs(t *testing.T) {
	tree := procfstree.New(t, 1_000_000)
	const processes = 1000
	for pid := 1; pid <= processes; pid++ {
		tree.Set(procfstree.Process{PID: pid, Comm: "c", Args: []string{"c"}, Start: 5})
	}
	src, err := platform.Open(platform.Options{Root: tree.Root})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	tr := NewTracker(src, Default(), Options{
		Children:   true,
		Collectors: CollectorSwitches | CollectorIO,
	})
	update := func() {
		groups, err := tr.Update(context.Background())
		if err != nil || len(groups) != 1 || groups[0].Procs != processes {
			t.Fatalf("got %d groups, error %v", len(groups), err)
		}
	}
	for range 3 {
		update()
	}
	// On a busy machine a slow read makes the source start another worker, which
	// allocates. The minimum of several tries has only what every update allocates.
	lowest := testing.AllocsPerRun(1, update)
	for try := 0; try < 4 && lowest > processes/20; try++ {
		lowest = min(lowest, testing.AllocsPerRun(1, update))
	}
	if lowest > processes/20 {
		t.Errorf("got %v allocations in an update of %d processes, want at most %d", lowest, processes, processes/20)
	}
}
