package platform

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/procfstree"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

// A blockingFile is a FIFO in place of a file of a process. A read of it blocks, as that of a
// process whose mmap lock is held.
type blockingFile struct {
	t    *testing.T
	path string
}

func newBlockingFile(t *testing.T, tree *procfstree.Tree, pid int, file string) blockingFile {
	t.Helper()
	f := blockingFile{t, filepath.Join(tree.Root, strconv.Itoa(pid), file)}
	if err := os.Remove(f.path); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(f.path, 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

// unblock ends the blocked read with an empty text. It reports whether there was one.
func (b blockingFile) unblock() bool {
	f, err := os.OpenFile(b.path, os.O_WRONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ENXIO) {
		return false
	}
	if err != nil {
		b.t.Fatal(err)
	}
	_ = f.Close()
	return true
}

// threeProcesses returns a tree with the processes 10, 11 and 12.
func threeProcesses(t *testing.T) *procfstree.Tree {
	tree := procfstree.New(t, 1000)
	for pid := 10; pid <= 12; pid++ {
		tree.Set(procfstree.Process{PID: pid, Comm: "p" + strconv.Itoa(pid), Args: []string{"x"}, Start: uint64(pid)})
	}
	return tree
}

// TestUnresponsiveProcess checks that a blocked read delays no other process, and that the
// process is read again when the read has returned.
func TestUnresponsiveProcess(t *testing.T) {
	for _, file := range []string{"stat", "status", "wchan"} {
		t.Run(file, func(t *testing.T) { testUnresponsiveFile(t, file) })
	}
}

func testUnresponsiveFile(t *testing.T, file string) {
	tree := threeProcesses(t)
	src := openSource(t, tree.Root)
	var snap Snapshot
	walk(t, src, &snap, everything)
	if file == "wchan" { // read only if the process has run
		tree.Set(procfstree.Process{PID: 11, Comm: "p11", Args: []string{"x"}, Start: 11, Voluntary: 7})
	}
	blocked := newBlockingFile(t, tree, 11, file)
	for range 3 { // the first walk finds the process unresponsive, the others skip it
		if err := src.Walk(context.Background(), &snap); err != nil {
			t.Fatal(err)
		}
		if len(snap.Samples) != 3 || snap.Unresponsive != 1 {
			t.Fatalf("got %d Samples and %d unresponsive processes, want 3 and 1", len(snap.Samples), snap.Unresponsive)
		}
		for i, s := range snap.Samples {
			id := ID{PID: 10 + i, Start: uint64(10 + i)}
			if unresponsive := s.PID == 11; unresponsive != (s.Have == 0) || s.ID != id || s.Want != everything {
				t.Errorf("got %+v, want measurements of 10 and 12 only", s)
			}
		}
	}
	if !blocked.unblock() {
		t.Fatal("got no blocked read")
	}
	tree.Set(procfstree.Process{PID: 11, Comm: "p11", Args: []string{"x"}, Start: 11})
	testenv.Eventually(t, func() bool {
		if err := src.Walk(context.Background(), &snap); err != nil {
			t.Fatal(err)
		}
		return snap.Unresponsive == 0 && snap.Samples[1].Have&FieldStatus != 0
	})
}

// TestIdentifyUnresponsiveProcess checks Identify of an unresponsive process and of another one.
func TestIdentifyUnresponsiveProcess(t *testing.T) {
	tree := threeProcesses(t)
	blocked := newBlockingFile(t, tree, 11, "cmdline")
	src := openSource(t, tree.Root)
	var snap Snapshot
	walk(t, src, &snap, FieldStat)
	if _, err := src.Identify(context.Background(), &snap.Samples[1], IdentityArgs); !errors.Is(err, ErrUnresponsive) {
		t.Errorf("got error %v, want ErrUnresponsive", err)
	}
	if id, err := src.Identify(context.Background(), &snap.Samples[2], IdentityArgs); err != nil || id.Comm != "p12" {
		t.Errorf("got %+v, %v of another process, want p12", id, err)
	}
	blocked.unblock()
}

// TestManyUnresponsiveProcesses lets many known processes block, when their identity or an
// additional field is read. Only few reads may block, and the next walk must read all other
// processes.
func TestManyUnresponsiveProcesses(t *testing.T) {
	const first, count = 10, 20
	for file, read := range map[string]func(src *procfsSource, snap *Snapshot){
		"cmdline": func(src *procfsSource, snap *Snapshot) {
			at := make([]int, count)
			for i := range at {
				at[i] = i
			}
			src.Fingerprints(context.Background(), snap, at, IdentityArgs, make([]uint64, count))
		},
		"smaps_rollup": func(src *procfsSource, snap *Snapshot) {
			for i := range count {
				snap.Samples[i].Want = everything
			}
			src.Complete(context.Background(), snap)
		},
	} {
		t.Run(file, func(t *testing.T) {
			tree := procfstree.New(t, 1000)
			for pid := first; pid < first+count; pid++ {
				tree.Set(procfstree.Process{PID: pid, Comm: "p", Args: []string{"x"}, Start: 5, State: "D"})
			}
			tree.Set(procfstree.Process{PID: 99, Comm: "other", Args: []string{"x"}, Start: 5})
			src := openSource(t, tree.Root).(*procfsSource)
			var snap Snapshot
			walk(t, src, &snap, FieldStat)
			var blocked []blockingFile
			for pid := first; pid < first+count; pid++ {
				blocked = append(blocked, newBlockingFile(t, tree, pid, file))
			}
			read(src, &snap)
			if got := src.quarantine.size(); got != checkFirstThreshold {
				t.Errorf("got %d blocked reads, want %d", got, checkFirstThreshold)
			}
			if err := src.Walk(context.Background(), &snap); err != nil {
				t.Fatal(err)
			}
			s := snap.Samples[snap.Index(99)]
			if s.Have&FieldStat == 0 || snap.Incomplete || len(snap.Samples) != count+1 || snap.Unresponsive != count {
				t.Errorf("got %d Samples, %d unresponsive, Incomplete %v, the other process %+v; want %d, %d, false",
					len(snap.Samples), snap.Unresponsive, snap.Incomplete, s, count+1, count)
			}
			for _, b := range blocked {
				b.unblock()
			}
		})
	}
}

// TestNonBlockingStats checks the values of an unresponsive process that never block, in the
// walk that finds it and in the following ones.
func TestNonBlockingStats(t *testing.T) {
	tree := procfstree.New(t, 1000)
	for pid := 10; pid < 13; pid++ {
		tree.Set(procfstree.Process{PID: pid, Comm: "p", Args: []string{"x"}, Start: 5, State: "D", RSS: 3, VSize: 8192, SwapKB: 2})
	}
	src := openSource(t, tree.Root).(*procfsSource)
	src.statusNeverBlocks = true
	var snap Snapshot
	walk(t, src, &snap, everything)
	blocked := newBlockingFile(t, tree, 11, "stat")
	page := uint64(os.Getpagesize())
	for i := range 3 {
		if err := src.Walk(context.Background(), &snap); err != nil {
			t.Fatal(err)
		}
		s := snap.Samples[1]
		if s.Have != FieldMemory || s.ResidentBytes != 3*page || s.SwapBytes != 2048 ||
			s.NumThreads != 1 || s.State != 'D' || s.Unreadable != everything || s.Start != 5 {
			t.Errorf("walk %d: got %+v, want FieldMemory", i, s)
		}
	}
	blocked.unblock()
}

// TestMaxBlockedReads uses more unresponsive processes than reads may block.
func TestMaxBlockedReads(t *testing.T) {
	tree := procfstree.New(t, 1000)
	var blocked []blockingFile
	for pid := 10; pid < 12+maxBlockedReads; pid++ {
		tree.Set(procfstree.Process{PID: pid, Comm: "p", Start: 5})
	}
	src := openSource(t, tree.Root)
	var snap Snapshot
	walk(t, src, &snap, FieldStat)
	for pid := 10; pid < 11+maxBlockedReads; pid++ {
		blocked = append(blocked, newBlockingFile(t, tree, pid, "stat"))
	}
	if err := src.Walk(context.Background(), &snap); err != nil {
		t.Fatal(err)
	}
	if !snap.Incomplete || snap.Unresponsive != maxBlockedReads || len(snap.Samples) != maxBlockedReads+2 {
		t.Errorf("got Incomplete %v, %d unresponsive, %d Samples; want true, %d, %d",
			snap.Incomplete, snap.Unresponsive, len(snap.Samples), maxBlockedReads, maxBlockedReads+2)
	}
	if err := src.Walk(context.Background(), &snap); err != nil || !snap.Incomplete || len(snap.Samples) != maxBlockedReads+2 {
		t.Errorf("got error %v, Incomplete %v, %d Samples of the next walk; want nil, true, %d",
			err, snap.Incomplete, len(snap.Samples), maxBlockedReads+2)
	}
	for _, b := range blocked[:maxBlockedReads] {
		if !b.unblock() {
			t.Error("got no blocked read")
		}
	}
}
