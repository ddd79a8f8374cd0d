package grouping

import (
	"context"
	"strconv"
	"testing"

	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/testdata/proctree"
)

// TestUpdateAllocates nothing that grows with the number of processes, as long
// as they stay the same.
func TestUpdateAllocates(t *testing.T) {
	tree := proctree.New(t, 1_000_000)
	const processes = 1000
	for pid := 1; pid <= processes; pid++ {
		tree.Set(proctree.Process{PID: pid, Comm: "c", Args: []string{"c"}, Start: 5})
	}
	src, err := platform.Open(platform.Options{Root: tree.Root})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	tr := NewTracker(src, Default(), Options{Children: true, Fields: platform.FieldStat | platform.FieldStatus | platform.FieldIO | platform.FieldTasks})
	update := func() {
		groups, err := tr.Update(context.Background())
		if err != nil || len(groups) != 1 || groups[0].Procs != processes {
			t.Fatalf("got %d groups, error %v", len(groups), err)
		}
	}
	for range 3 {
		update()
	}
	// Where the machine is busy with something else, a reader that takes too long
	// gets another beside it. What an update always allocates, each try shows.
	fewest := testing.AllocsPerRun(1, update)
	for try := 0; try < 4 && fewest > processes/20; try++ {
		fewest = min(fewest, testing.AllocsPerRun(1, update))
	}
	if fewest > processes/20 {
		t.Errorf("got %v allocations in an update of "+strconv.Itoa(processes)+" processes, want a few", fewest)
	}
}
