package platform

import (
	"context"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/testdata/proctree"
)

// herd returns a tree of processes whose proportional memory a test sets.
func herd(t *testing.T, n int) (tree *proctree.Tree, set func(kb uint64)) {
	tree = proctree.New(t, 1000)
	return tree, func(kb uint64) {
		for pid := 1; pid <= n; pid++ {
			tree.Set(proctree.Process{PID: pid, Comm: "c", Start: 5, RSS: 10, PSSKB: kb, USSKB: kb, Voluntary: kb})
		}
	}
}

// fresh counts the Samples whose memory is what set wrote last.
func fresh(snap *Snapshot, kb uint64) (n int) {
	for _, s := range snap.Samples {
		if s.Have&FieldSmaps != 0 && s.PSSBytes == kb<<10 {
			n++
		}
	}
	return n
}

func TestSmapsBudget(t *testing.T) {
	const processes = 20
	tree, set := herd(t, processes)
	set(100)
	src, err := Open(Options{Root: tree.Root, SmapsBudget: 10 * time.Microsecond})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var snap Snapshot
	walk(t, src, &snap, everything)
	if got := fresh(&snap, 100); got != processes {
		t.Fatalf("got %d processes read when they were met, want all %d", got, processes)
	}
	set(200)
	tree.Uptime(2000)
	walk(t, src, &snap, everything)
	if got := fresh(&snap, 200); got == processes {
		t.Errorf("all %d processes were read in 10 microseconds", got)
	}
	for _, s := range snap.Samples {
		if want := uint64(1000); s.PSSBytes == 100<<10 && (s.SmapsTicks != want || s.Have&FieldSmaps == 0) {
			t.Errorf("process %d: got its memory of tick %d, want %d", s.PID, s.SmapsTicks, want)
		}
	}
	eventually(t, func() bool { // everyone's turn comes
		walk(t, src, &snap, everything)
		return fresh(&snap, 200) == processes
	})
}

func TestSmapsWithoutBudget(t *testing.T) {
	tree, set := herd(t, 5)
	src := openSource(t, tree.Root)
	var snap Snapshot
	for kb := uint64(1); kb < 5; kb++ {
		set(kb)
		walk(t, src, &snap, everything)
		if got := fresh(&snap, kb); got != 5 {
			t.Errorf("got %d processes read, want 5", got)
		}
	}
}

func TestSmapsOfLargeProcessesIsLeftOut(t *testing.T) {
	tree := proctree.New(t, 1000)
	tree.Set(proctree.Process{PID: 1, Comm: "large", RSS: 1000, PSSKB: 9}, proctree.Process{PID: 2, Comm: "small", RSS: 1, PSSKB: 9})
	src, err := Open(Options{Root: tree.Root, SmapsMaxRSS: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var snap Snapshot
	for range 3 {
		walk(t, src, &snap, everything)
		large, small := snap.Samples[0], snap.Samples[1]
		if large.Have&FieldSmaps != 0 || large.Skipped != FieldSmaps || large.Lost != 0 || large.PSSBytes != 0 {
			t.Errorf("large: got Have %b, Skipped %b, Lost %b", large.Have, large.Skipped, large.Lost)
		}
		if small.Have&FieldSmaps == 0 || small.PSSBytes != 9<<10 {
			t.Errorf("small: got Have %b, PSS %d", small.Have, small.PSSBytes)
		}
	}
	src.Complete(context.Background(), &snap) // must not take what was left out for missing
}

// TestSmapsOfTheIdleWaits has a process that runs, and faults at times. With a
// budget it is read again at once when it has faulted, else in its turn.
func TestSmapsOfTheIdleWaits(t *testing.T) {
	tree := proctree.New(t, 1000)
	p := proctree.Process{PID: 1, Comm: "c", Start: 5, RSS: 10}
	src, err := Open(Options{Root: tree.Root, SmapsBudget: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var snap Snapshot
	look := func(kb uint64) bool {
		t.Helper()
		p.PSSKB, p.Voluntary = kb, p.Voluntary+1
		tree.Set(p)
		walk(t, src, &snap, everything)
		return fresh(&snap, kb) == 1
	}
	look(1)
	reads := 0
	for kb := range uint64(2 * refresh) {
		if look(100 + kb) {
			reads++
		}
	}
	if reads < 1 || reads > 4 {
		t.Errorf("got the memory of an idle process read %d times in %d walks", reads, 2*refresh)
	}
	for kb, change := range []func(){func() { p.MinFlt++ }, func() { p.MajFlt++ }, func() { p.RSS-- }} {
		change()
		if !look(200 + uint64(kb)) {
			t.Errorf("change %d: the memory was not read again", kb)
		}
	}
}
