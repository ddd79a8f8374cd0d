package platform

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/testdata/proctree"
)

// A plug is a file that blocks whoever opens it, as a file of a process does
// whose memory map a debugger or a network file system holds.
type plug struct {
	t    *testing.T
	path string
}

func newPlug(t *testing.T, tree *proctree.Tree, pid int, file string) plug {
	t.Helper()
	p := plug{t, filepath.Join(tree.Root, strconv.Itoa(pid), file)}
	if err := os.Remove(p.path); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(p.path, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// pull lets the reader that is blocked go on, and puts nothing in the place of
// the file. It reports whether there was a reader.
func (p plug) pull() bool {
	f, err := os.OpenFile(p.path, os.O_WRONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ENXIO) {
		return false
	}
	if err != nil {
		p.t.Fatal(err)
	}
	_ = f.Close()
	return true
}

func three(t *testing.T) *proctree.Tree {
	tree := proctree.New(t, 1000)
	for pid := 10; pid <= 12; pid++ {
		tree.Set(proctree.Process{PID: pid, Comm: "p" + strconv.Itoa(pid), Args: []string{"x"}, Start: uint64(pid)})
	}
	return tree
}

func TestBlockedProcessHoldsUpNobody(t *testing.T) {
	for _, file := range []string{"stat", "status", "wchan"} {
		t.Run(file, func(t *testing.T) {
			tree := three(t)
			src := openSource(t, tree.Root)
			var snap Snapshot
			walk(t, src, &snap, everything)
			if file == "wchan" { // read only of a process that has run
				tree.Set(proctree.Process{PID: 11, Comm: "p11", Args: []string{"x"}, Start: 11, Voluntary: 7})
			}
			stuck := newPlug(t, tree, 11, file)
			for range 3 { // the first walk finds out, the others know
				if err := src.Walk(context.Background(), &snap); err != nil {
					t.Fatal(err)
				}
				if len(snap.Samples) != 3 || snap.Blocked != 1 {
					t.Fatalf("got %d Samples and %d blocked, want 3 and 1", len(snap.Samples), snap.Blocked)
				}
				for i, s := range snap.Samples {
					if blocked := s.PID == 11; blocked != (s.Have == 0) || s.ID != (ID{PID: 10 + i, Start: uint64(10 + i)}) || s.Want != everything {
						t.Errorf("got %+v", s)
					}
				}
			}
			if !stuck.pull() {
				t.Fatal("nobody reads the file")
			}
			tree.Set(proctree.Process{PID: 11, Comm: "p11", Args: []string{"x"}, Start: 11})
			eventually(t, func() bool {
				if err := src.Walk(context.Background(), &snap); err != nil {
					t.Fatal(err)
				}
				return snap.Blocked == 0 && snap.Samples[1].Have&FieldStatus != 0
			})
		})
	}
}

func TestBlockedNewProcess(t *testing.T) {
	tree := three(t)
	stuck := newPlug(t, tree, 11, "cmdline")
	src := openSource(t, tree.Root)
	var snap Snapshot
	walk(t, src, &snap, FieldStat)
	if _, err := src.Identify(context.Background(), &snap.Samples[1], WordArgs); !errors.Is(err, ErrBlocked) {
		t.Errorf("got error %v, want ErrBlocked", err)
	}
	if id, err := src.Identify(context.Background(), &snap.Samples[2], WordArgs); err != nil || id.Comm != "p12" {
		t.Errorf("got %+v, %v of the process beside it", id, err)
	}
	stuck.pull()
}

// TestTooManyBlocked has more processes that do not answer than readers may
// hang.
func TestTooManyBlocked(t *testing.T) {
	tree := proctree.New(t, 1000)
	var plugs []plug
	for pid := 10; pid < 12+maxStuck; pid++ {
		tree.Set(proctree.Process{PID: pid, Comm: "p", Start: 5})
	}
	src := openSource(t, tree.Root)
	var snap Snapshot
	walk(t, src, &snap, FieldStat)
	for pid := 10; pid < 11+maxStuck; pid++ {
		plugs = append(plugs, newPlug(t, tree, pid, "stat"))
	}
	if err := src.Walk(context.Background(), &snap); err != nil {
		t.Fatal(err)
	}
	if !snap.Partial || snap.Blocked != maxStuck || len(snap.Samples) != maxStuck+2 {
		t.Errorf("got Partial %v, %d blocked, %d Samples; want true, %d, %d", snap.Partial, snap.Blocked, len(snap.Samples), maxStuck, maxStuck+2)
	}
	if err := src.Walk(context.Background(), &snap); err != nil || !snap.Partial || len(snap.Samples) != maxStuck+2 {
		t.Errorf("got error %v, Partial %v, %d Samples of the next walk, want all in their places", err, snap.Partial, len(snap.Samples))
	}
	for _, p := range plugs[:maxStuck] {
		if !p.pull() {
			t.Error("nobody reads the file")
		}
	}
}

func TestWalkStopsAtItsDeadline(t *testing.T) {
	tree := three(t)
	src := openSource(t, tree.Root)
	var snap Snapshot
	walk(t, src, &snap, FieldStat)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := src.Walk(ctx, &snap); err != nil {
		t.Fatal(err)
	}
	if !snap.Partial || len(snap.Samples) != 3 {
		t.Fatalf("got Partial %v and %d Samples, want true and 3", snap.Partial, len(snap.Samples))
	}
	for _, s := range snap.Samples {
		if s.Have != 0 || s.Start == 0 {
			t.Errorf("got %+v, want an unread Sample that keeps its identity", s)
		}
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if ok() {
			return
		}
		if time.Now().After(end) {
			t.Fatal("it has not happened")
		}
	}
}
