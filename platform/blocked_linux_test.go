package platform

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
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
				if len(snap.Samples) != 3 || snap.Unresponsive != 1 {
					t.Fatalf("got %d Samples and %d blocked, want 3 and 1", len(snap.Samples), snap.Unresponsive)
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
				return snap.Unresponsive == 0 && snap.Samples[1].Have&FieldStatus != 0
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
	if _, err := src.Identify(context.Background(), &snap.Samples[1], IdentityArgs); !errors.Is(err, ErrUnresponsive) {
		t.Errorf("got error %v, want ErrUnresponsive", err)
	}
	if id, err := src.Identify(context.Background(), &snap.Samples[2], IdentityArgs); err != nil || id.Comm != "p12" {
		t.Errorf("got %+v, %v of the process beside it", id, err)
	}
	stuck.pull()
}

// TestManyBlockOnceKnown has processes that block when they are known already, of
// which the words, or a part that is wanted now, are read. Few readers hang, and the
// next walk is whole but for them.
func TestManyBlockOnceKnown(t *testing.T) {
	const first, count = 10, 20
	for file, read := range map[string]func(src *source, snap *Snapshot){
		"cmdline": func(src *source, snap *Snapshot) {
			at := make([]int, count)
			for i := range at {
				at[i] = i
			}
			src.Fingerprints(context.Background(), snap, at, IdentityArgs, make([]uint64, count))
		},
		"smaps_rollup": func(src *source, snap *Snapshot) {
			for i := range count {
				snap.Samples[i].Want = everything
			}
			src.Complete(context.Background(), snap)
		},
	} {
		t.Run(file, func(t *testing.T) {
			tree := proctree.New(t, 1000)
			for pid := first; pid < first+count; pid++ {
				tree.Set(proctree.Process{PID: pid, Comm: "p", Args: []string{"x"}, Start: 5, State: "D"})
			}
			tree.Set(proctree.Process{PID: 99, Comm: "neighbour", Args: []string{"x"}, Start: 5})
			src := openSource(t, tree.Root).(*source)
			var snap Snapshot
			walk(t, src, &snap, FieldStat)
			var plugs []plug
			for pid := first; pid < first+count; pid++ {
				plugs = append(plugs, newPlug(t, tree, pid, file))
			}
			read(src, &snap)
			if got := src.quarantine.size(); got != waryAt {
				t.Errorf("got %d readers that hang, want %d", got, waryAt)
			}
			if err := src.Walk(context.Background(), &snap); err != nil {
				t.Fatal(err)
			}
			if s := snap.Samples[snap.Index(99)]; s.Have&FieldStat == 0 || snap.Partial || len(snap.Samples) != count+1 || snap.Unresponsive != count {
				t.Errorf("got %d Samples, %d blocked, Partial %v, the neighbour %+v", len(snap.Samples), snap.Unresponsive, snap.Partial, s)
			}
			for _, p := range plugs {
				p.pull()
			}
		})
	}
}

// TestVitals has processes that do not answer: what never waits is told of them
// nonetheless, by the walk that finds out and those after it.
func TestVitals(t *testing.T) {
	tree := proctree.New(t, 1000)
	for pid := 10; pid < 13; pid++ {
		tree.Set(proctree.Process{PID: pid, Comm: "p", Args: []string{"x"}, Start: 5, State: "D", RSS: 3, VSize: 8192, SwapKB: 2})
	}
	src := openSource(t, tree.Root).(*source)
	src.vital = true
	var snap Snapshot
	walk(t, src, &snap, everything)
	stuck := newPlug(t, tree, 11, "stat")
	page := uint64(os.Getpagesize())
	for i := range 3 {
		if err := src.Walk(context.Background(), &snap); err != nil {
			t.Fatal(err)
		}
		s := snap.Samples[1]
		if s.Have != FieldMemory || s.ResidentBytes != 3*page || s.SwapBytes != 2048 || s.Threads != 1 || s.State != 'D' || s.Lost != everything || s.Start != 5 {
			t.Errorf("walk %d: got %+v", i, s)
		}
	}
	stuck.pull()
}

// TestLooksStuck tells by what never waits whether a process should be left alone.
func TestLooksStuck(t *testing.T) {
	tree := proctree.New(t, 1000)
	const one, other = 1000, 1001
	for pid, p := range map[int]proctree.Process{10: {}, 11: {UIDs: [4]uint32{one, one, one, one}}, 12: {UIDs: [4]uint32{other, other, other, other}}, 13: {State: "D"}} {
		p.PID, p.Comm, p.Start, p.RSS = pid, "p", 5, 1
		tree.Set(p)
	}
	for _, tt := range []struct {
		name   string
		owners []uint32 // of those that hang
		want   []int    // whom to avoid
	}{
		{"nobody hangs", nil, nil},
		{"few hang", []uint32{one, one, one}, nil},
		{"many of a user's", []uint32{one, one, one, one}, []int{11, 13}},
		{"some of each of many users", []uint32{2, 2, 3, 3, 4, 4}, []int{13}},
		{"nearly all that may hang", []uint32{2, 2, 2, 3, 3, 3, 4, 4, 4, 0}, []int{11, 12, 13}},
		{"those of root", []uint32{0, 0, 0, 0}, []int{13}},
	} {
		src := openSource(t, tree.Root).(*source)
		for i, owner := range tt.owners {
			src.quarantine.add(new(worker), captive{pid: 100 + i, owner: owner})
		}
		w := newWorker(src)
		var got []int
		for pid := 10; pid <= 13; pid++ {
			if w.avoids(pid, 0) {
				got = append(got, pid)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestQuarantineOfAnother has a process that hangs, and another with its PID.
func TestQuarantineOfAnother(t *testing.T) {
	q := quarantine{stuck: make(map[*worker]captive)}
	late := new(worker)
	q.add(new(worker), captive{pid: 10, inode: 5})
	q.add(late, captive{pid: 10, inode: 7})
	q.add(new(worker), captive{pid: 11})
	if q.release(late); q.size() != 2 {
		t.Errorf("got %d that hang, want 2", q.size())
	}
	for _, tt := range []struct {
		pid   int
		inode uint64
		want  bool
	}{{10, 5, true}, {10, 0, true}, {10, 6, false}, {11, 6, true}, {12, 5, false}} {
		if got := q.has(tt.pid, tt.inode); got != tt.want {
			t.Errorf("PID %d, inode %d: got %v", tt.pid, tt.inode, got)
		}
	}
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
	if !snap.Partial || snap.Unresponsive != maxStuck || len(snap.Samples) != maxStuck+2 {
		t.Errorf("got Partial %v, %d blocked, %d Samples; want true, %d, %d", snap.Partial, snap.Unresponsive, len(snap.Samples), maxStuck, maxStuck+2)
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
