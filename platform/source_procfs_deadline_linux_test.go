package platform

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/procfstree"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

// An errContext is a context that only its Err method ends.
type errContext struct {
	context.Context
	err func() error
}

func (c errContext) Err() error { return c.err() }

// TestWalkResumesAfterDeadline ends walks once the read of a process has blocked. Each walk
// must start with the processes that the previous one did not reach.
func TestWalkResumesAfterDeadline(t *testing.T) {
	tree := threeProcesses(t)
	src := openSource(t, tree.Root).(*procfsSource)
	var snap Snapshot
	walk(t, src, &snap, FieldStat)
	walkUntil := func(pid int) {
		t.Helper()
		blocked := newBlockingFile(t, tree, pid, "stat")
		ctx := errContext{context.Background(), func() error {
			if src.quarantine.contains(pid, 0) {
				return context.DeadlineExceeded
			}
			return nil
		}}
		if err := src.Walk(ctx, &snap); err != nil || !snap.Incomplete {
			t.Fatalf("got error %v, Incomplete %v; want nil, true", err, snap.Incomplete)
		}
		blocked.unblock()
		testenv.Eventually(t, func() bool { return !src.quarantine.contains(pid, 0) })
		tree.Set(procfstree.Process{PID: pid, Comm: "p" + strconv.Itoa(pid), Args: []string{"x"}, Start: uint64(pid)})
	}
	walkUntil(11)
	if got := readPIDs(&snap); !slices.Equal(got, []int{10}) {
		t.Errorf("got processes %v read by a walk that ended at 11, want 10", got)
	}
	walkUntil(10)
	if got := readPIDs(&snap); !slices.Equal(got, []int{12}) {
		t.Errorf("got processes %v read by a walk that started after 11 and ended at 10, want 12", got)
	}
	walk(t, src, &snap, FieldStat)
	if got := readPIDs(&snap); !slices.Equal(got, []int{10, 11, 12}) || snap.Incomplete {
		t.Errorf("got processes %v read without a deadline, Incomplete %v; want all, false", got, snap.Incomplete)
	}
}

// TestUnresponsiveReturns ends the blocked read of a process after a walk has skipped it, and before
// that walk ends. Its Sample has no measurement, so it must count as unresponsive.
func TestUnresponsiveReturns(t *testing.T) {
	tree := threeProcesses(t)
	src := openSource(t, tree.Root).(*procfsSource)
	var snap Snapshot
	walk(t, src, &snap, FieldStat)
	blocked := newBlockingFile(t, tree, 11, "stat")
	if walk(t, src, &snap, FieldStat); snap.Unresponsive != 1 {
		t.Fatalf("got %d unresponsive processes, want 1", snap.Unresponsive)
	}
	later := newBlockingFile(t, tree, 12, "stat")
	defer later.unblock()
	returned := false
	ctx := errContext{context.Background(), func() error {
		if src.quarantine.contains(12, 0) && !returned {
			returned = true
			blocked.unblock()
			testenv.Eventually(t, func() bool { return !src.quarantine.contains(11, 0) })
		}
		return nil
	}}
	src.resumePID = 11 // the walk reads process 10 last
	err := src.Walk(ctx, &snap)
	if got := readPIDs(&snap); err != nil || !returned || !slices.Equal(got, []int{10}) || snap.Unresponsive != 2 {
		t.Errorf("got error %v, processes %v read and %d unresponsive ones; want nil, 10 and 2", err, got, snap.Unresponsive)
	}
}

// TestWalkWithoutDescriptors exhausts the file descriptors in the first part of a resumed
// walk. Samples of the other part must not look as if they had been read.
func TestWalkWithoutDescriptors(t *testing.T) {
	tree := threeProcesses(t)
	src := openSource(t, tree.Root).(*procfsSource)
	var snap Snapshot
	walk(t, src, &snap, everything)
	src.resumePID = 11
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	restore := limit
	limit.Cur = 0
	// Walk calls Err after it has listed the processes, and before it reads one.
	exhaust := func() error { return unix.Setrlimit(unix.RLIMIT_NOFILE, &limit) }
	err := src.Walk(errContext{context.Background(), exhaust}, &snap)
	_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &restore)
	if !errors.Is(err, unix.EMFILE) {
		t.Fatalf("got error %v, want EMFILE", err)
	}
	if got := readPIDs(&snap); len(got) != 0 {
		t.Errorf("got processes %v read by a walk that failed at 11, want none", got)
	}
	walk(t, src, &snap, everything)
	if got := readPIDs(&snap); !slices.Equal(got, []int{10, 11, 12}) {
		t.Errorf("got processes %v read by the next walk, want all", got)
	}
}

// readPIDs returns the PIDs of the processes with a measurement.
func readPIDs(snap *Snapshot) (pids []int) {
	for _, s := range snap.Samples {
		if s.Have != 0 {
			pids = append(pids, s.PID)
		}
	}
	return pids
}

// TestWalkDeadline checks that a walk without time keeps all Samples without measurements.
func TestWalkDeadline(t *testing.T) {
	tree := threeProcesses(t)
	src := openSource(t, tree.Root)
	var snap Snapshot
	walk(t, src, &snap, FieldStat)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := src.Walk(ctx, &snap); err != nil {
		t.Fatal(err)
	}
	if !snap.Incomplete || len(snap.Samples) != 3 {
		t.Fatalf("got Incomplete %v and %d Samples, want true and 3", snap.Incomplete, len(snap.Samples))
	}
	for _, s := range snap.Samples {
		if s.Have != 0 || s.Start == 0 {
			t.Errorf("got %+v, want a Sample with identity and without measurements", s)
		}
	}
}

// TestCompleteDeadline checks that Complete sets Incomplete if it has no time.
func TestCompleteDeadline(t *testing.T) {
	src := openSource(t, threeProcesses(t).Root)
	var snap Snapshot
	if err := src.Walk(context.Background(), &snap); err != nil || snap.Incomplete {
		t.Fatalf("got error %v, Incomplete %v of a walk without deadline", err, snap.Incomplete)
	}
	for i := range snap.Samples {
		snap.Samples[i].Want = everything
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	src.Complete(ctx, &snap)
	if !snap.Incomplete || snap.Samples[0].Have != FieldStat {
		t.Errorf("got Incomplete %v, Have %b, want true and stat only", snap.Incomplete, snap.Samples[0].Have)
	}
	if walk(t, src, &snap, everything); snap.Incomplete || snap.Samples[0].Have != everything {
		t.Errorf("got Incomplete %v, Have %b of the next walk, want everything", snap.Incomplete, snap.Samples[0].Have)
	}
}
