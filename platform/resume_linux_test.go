package platform

import (
	"context"
	"errors"
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
		eventually(t, func() bool { return !src.quarantine.has(pid, 0) })
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

// TestWalkHoldsAllWithoutFiles runs out of files in the first part of a walk that
// goes on where the one before was cut. Nothing of the other part stays as if it
// had been read.
func TestWalkHoldsAllWithoutFiles(t *testing.T) {
	tree := three(t)
	src := openSource(t, tree.Root).(*source)
	var snap Snapshot
	walk(t, src, &snap, everything)
	stuck := newPlug(t, tree, 11, "stat")
	src.resume = 11
	ended := make(chan error)
	go func() { ended <- src.Walk(context.Background(), &snap) }()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	restore := limit
	limit.Cur = 0
	eventually(t, func() bool { // the walk waits for a writer, then for more files
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &restore); err != nil {
			t.Fatal(err)
		}
		writer, err := os.OpenFile(stuck.path, os.O_WRONLY|unix.O_NONBLOCK, 0)
		if err == nil {
			err = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
			_ = writer.Close()
		}
		return err == nil
	})
	err := <-ended
	_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &restore)
	if !errors.Is(err, unix.EMFILE) {
		t.Fatalf("got error %v, want that there are no files left", err)
	}
	if got := readPIDs(&snap); len(got) != 0 {
		t.Errorf("got %v as if read in a walk that failed at 12 after 11", got)
	}
	walk(t, src, &snap, everything)
	if got := readPIDs(&snap); !slices.Equal(got, []int{10, 12}) {
		t.Errorf("got %v read after that, want 10 and 12", got)
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
