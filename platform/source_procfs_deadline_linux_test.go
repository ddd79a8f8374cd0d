package platform

import (
	"context"
	"errors"
	"os"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/procfstree"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

// TestWalkResumesAfterDeadline ends walks while they read a process that blocks. Each walk
// must start with the processes that the previous one did not reach.
func TestWalkResumesAfterDeadline(t *testing.T) {
	tree := threeProcesses(t)
	src := openSource(t, tree.Root).(*procfsSource)
	var snap Snapshot
	walk(t, src, &snap, FieldStat)
	walkUntil := func(pid int) {
		t.Helper()
		blocked := newBlockingFile(t, tree, pid, "stat")
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		ended := make(chan error)
		go func() { ended <- src.Walk(ctx, &snap) }()
		var writer *os.File // the read blocks while it is open
		testenv.Eventually(t, func() bool {
			var err error
			writer, err = os.OpenFile(blocked.path, os.O_WRONLY|unix.O_NONBLOCK, 0)
			return err == nil
		})
		cancel()
		if err := <-ended; err != nil || !snap.Incomplete {
			t.Fatalf("got error %v, Incomplete %v; want nil, true", err, snap.Incomplete)
		}
		_ = writer.Close()
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

// TestWalkWithoutDescriptors exhausts the file descriptors in the first part of a resumed
// walk. Samples of the other part must not look as if they had been read.
func TestWalkWithoutDescriptors(t *testing.T) {
	tree := threeProcesses(t)
	src := openSource(t, tree.Root).(*procfsSource)
	var snap Snapshot
	walk(t, src, &snap, everything)
	blocked := newBlockingFile(t, tree, 11, "stat")
	src.resumePID = 11
	ended := make(chan error)
	go func() { ended <- src.Walk(context.Background(), &snap) }()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	restore := limit
	limit.Cur = 0
	testenv.Eventually(t, func() bool { // the walk blocks until a writer opens the file, and then needs a descriptor
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &restore); err != nil {
			t.Fatal(err)
		}
		writer, err := os.OpenFile(blocked.path, os.O_WRONLY|unix.O_NONBLOCK, 0)
		if err == nil {
			err = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
			_ = writer.Close()
		}
		return err == nil
	})
	err := <-ended
	_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &restore)
	if !errors.Is(err, unix.EMFILE) {
		t.Fatalf("got error %v, want EMFILE", err)
	}
	if got := readPIDs(&snap); len(got) != 0 {
		t.Errorf("got processes %v read by a walk that failed at 12, want none", got)
	}
	walk(t, src, &snap, everything)
	if got := readPIDs(&snap); !slices.Equal(got, []int{10, 12}) {
		t.Errorf("got processes %v read by the next walk, want 10 and 12", got)
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
