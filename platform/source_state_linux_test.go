package platform

import (
	"context"
	"testing"

	"github.com/seed57308aee/process_exporter/test/procfstree"
)

// TestStateBelongsToSnapshot uses one source with two Snapshots in turn. The state of a
// process in one Snapshot must not make the process look idle in the other.
func TestStateBelongsToSnapshot(t *testing.T) {
	tree := procfstree.New(t, 1000)
	p := &idleProcess{t: t, tree: tree, Process: procfstree.Process{PID: refreshInterval + 1, Comm: "c", Start: 5, UTime: 1,
		Threads: []procfstree.Thread{{TID: refreshInterval + 2, Comm: "t", Start: 5}}}}
	p.set(1, 10)
	src := openSource(t, tree.Root)
	var first, second Snapshot
	for range 3 { // until it is idle
		walk(t, src, &first, everything)
	}
	p.UTime = 2
	p.set(2, 10)
	for range 3 {
		walk(t, src, &second, everything)
	}
	src.Complete(context.Background(), &first) // has nothing to read, and must not use the state of second
	walk(t, src, &first, everything)
	for i, snap := range []*Snapshot{&first, &second} {
		if s := &snap.Samples[0]; s.UserNanos != 2e7 || s.Have != everything || len(s.Tasks) != 2 {
			t.Errorf("snapshot %d: got %+v, want 2 ticks and 2 threads", i, s)
		}
	}
	first = Snapshot{}
	if walk(t, src, &first, everything); len(first.Samples) != 1 || first.Samples[0].Have != everything {
		t.Errorf("got %+v after a reset, want one complete Sample", first.Samples)
	}
}
