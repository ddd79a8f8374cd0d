package platform

import (
	"context"
	"os"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/testdata/proctree"
)

// TestWalkGoesOnWhereItStopped has walks end while a process keeps them waiting.
// Each begins with those that the one before had no time for.
func TestWalkGoesOnWhereItStopped(t *testing.T) {
	tree := three(t)
	src := openSource(t, tree.Root).(*source)
	var snap Snapshot
	walk(t, src, &snap, FieldStat)
	cut := func(pid int) {
		t.Helper()
		stuck := newPlug(t, tree, pid, "stat")
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		ended := make(chan error)
		go func() { ended <- src.Walk(ctx, &snap) }()
		var writer *os.File // which the reader waits for as long as it is open
		eventually(t, func() (met bool) {
			var err error
			writer, err = os.OpenFile(stuck.path, os.O_WRONLY|unix.O_NONBLOCK, 0)
			return err == nil
		})
		cancel()
		if err := <-ended; err != nil || !snap.Partial {
			t.Fatalf("got error %v, Partial %v", err, snap.Partial)
		}
		_ = writer.Close()
		eventually(t, func() bool { return !src.quarantine.has(pid) })
		tree.Set(proctree.Process{PID: pid, Comm: "p" + strconv.Itoa(pid), Args: []string{"x"}, Start: uint64(pid)})
	}
	cut(11)
	if got := readPIDs(&snap); !slices.Equal(got, []int{10}) {
		t.Errorf("got %v read of a walk that ended at 11, want 10", got)
	}
	cut(10)
	if got := readPIDs(&snap); !slices.Equal(got, []int{12}) {
		t.Errorf("got %v read of a walk that began behind 11 and ended at 10, want 12", got)
	}
	walk(t, src, &snap, FieldStat)
	if got := readPIDs(&snap); !slices.Equal(got, []int{10, 11, 12}) || snap.Partial {
		t.Errorf("got %v read of a walk that has time, Partial %v", got, snap.Partial)
	}
}

// readPIDs returns the processes of which something was read.
func readPIDs(snap *Snapshot) (pids []int) {
	for _, s := range snap.Samples {
		if s.Have != 0 {
			pids = append(pids, s.PID)
		}
	}
	return pids
}
