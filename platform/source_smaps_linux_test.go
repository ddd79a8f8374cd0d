package platform

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/procfstree"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

// smapsTree returns a tree of n processes, and a function that sets their proportional memory.
func smapsTree(t *testing.T, n int) (tree *procfstree.Tree, set func(kb uint64)) {
	tree = procfstree.New(t, 1000)
	return tree, func(kb uint64) {
		for pid := 1; pid <= n; pid++ {
			tree.Set(procfstree.Process{PID: pid, Comm: "c", Start: 5, RSS: 10, PSSKB: kb, USSKB: kb, Voluntary: kb})
		}
	}
}

// countPSS counts the Samples with a proportional memory.
func countPSS(snap *Snapshot, kb uint64) (n int) {
	for _, s := range snap.Samples {
		if s.Have&FieldSmaps != 0 && s.PSSBytes == kb<<10 {
			n++
		}
	}
	return n
}

// TestSmapsBudget checks that a walk reads new processes always, and others within the budget.
func TestSmapsBudget(t *testing.T) {
	const processes = 20
	tree, set := smapsTree(t, processes)
	set(100)
	src, err := Open(Options{Root: tree.Root, SmapsBudget: 10 * time.Microsecond})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var snap Snapshot
	walk(t, src, &snap, everything)
	if got := countPSS(&snap, 100); got != processes {
		t.Fatalf("got %d processes read in the first walk, want %d", got, processes)
	}
	set(200)
	tree.Uptime(2000)
	walk(t, src, &snap, everything)
	if got := countPSS(&snap, 200); got == processes {
		t.Errorf("got all %d processes read with a budget of 10 microseconds", got)
	}
	for _, s := range snap.Samples {
		if want := uint64(1000); s.PSSBytes == 100<<10 && (s.SmapsReadAt != want || s.Have&FieldSmaps == 0) {
			t.Errorf("process %d: got memory of tick %d, want %d", s.PID, s.SmapsReadAt, want)
		}
	}
	testenv.Eventually(t, func() bool { // later walks read all
		walk(t, src, &snap, everything)
		return countPSS(&snap, 200) == processes
	})
}

func TestSmapsWithoutBudget(t *testing.T) {
	tree, set := smapsTree(t, 5)
	src := openSource(t, tree.Root)
	var snap Snapshot
	for kb := uint64(1); kb < 5; kb++ {
		set(kb)
		walk(t, src, &snap, everything)
		if got := countPSS(&snap, kb); got != 5 {
			t.Errorf("got %d processes read, want 5", got)
		}
	}
}

// TestSmapsMaxRSS checks that smaps of large processes are skipped, also by Complete.
func TestSmapsMaxRSS(t *testing.T) {
	tree := procfstree.New(t, 1000)
	tree.Set(procfstree.Process{PID: 1, Comm: "large", RSS: 1000, PSSKB: 9}, procfstree.Process{PID: 2, Comm: "small", RSS: 1, PSSKB: 9})
	src, err := Open(Options{Root: tree.Root, SmapsMaxRSS: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var snap Snapshot
	for range 3 {
		walk(t, src, &snap, everything)
		large, small := snap.Samples[0], snap.Samples[1]
		if large.Have&FieldSmaps != 0 || large.Skipped != FieldSmaps || large.Unreadable != 0 || large.PSSBytes != 0 {
			t.Errorf("large: got Have %b, Skipped %b, Unreadable %b; want FieldSmaps in Skipped only", large.Have, large.Skipped, large.Unreadable)
		}
		if small.Have&FieldSmaps == 0 || small.PSSBytes != 9<<10 {
			t.Errorf("small: got Have %b, PSS %d; want FieldSmaps and %d", small.Have, small.PSSBytes, 9<<10)
		}
	}
	src.Complete(context.Background(), &snap) // must not read the skipped field
}

// TestSmapsAfterFaults uses a running process with a budget. Its smaps are read in the next
// walk if its memory has changed, else every refreshInterval walks.
func TestSmapsAfterFaults(t *testing.T) {
	tree := procfstree.New(t, 1000)
	p := procfstree.Process{PID: 1, Comm: "c", Start: 5, RSS: 10}
	src, err := Open(Options{Root: tree.Root, SmapsBudget: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var snap Snapshot
	readsAgain := func(kb uint64) bool {
		t.Helper()
		p.PSSKB, p.Voluntary = kb, p.Voluntary+1
		tree.Set(p)
		walk(t, src, &snap, everything)
		return countPSS(&snap, kb) == 1
	}
	readsAgain(1)
	reads := 0
	for kb := range uint64(2 * refreshInterval) {
		if readsAgain(100 + kb) {
			reads++
		}
	}
	if reads < 1 || reads > 4 {
		t.Errorf("got %d reads of unchanged memory in %d walks, want 1 to 4", reads, 2*refreshInterval)
	}
	for kb, change := range []func(){func() { p.MinFlt++ }, func() { p.MajFlt++ }, func() { p.RSS-- }} {
		change()
		if !readsAgain(200 + uint64(kb)) {
			t.Errorf("change %d: smaps was not read", kb)
		}
	}
}

// TestSkipSmaps checks that walks with SkipSmaps read the proportional memory of no process and keep
// known values, and that the next walk without it reads what is missing.
func TestSkipSmaps(t *testing.T) {
	for _, source := range []struct {
		name string
		open func(testing.TB) Source
	}{
		{"bpf", openBPFSource},
		{"procfs", func(t testing.TB) Source { return openSource(t, "/proc") }},
	} {
		t.Run(source.name, func(t *testing.T) {
			const size = 64 << 20
			child := testenv.StartEdgeCase(t, nil, "await", fmt.Sprintf("map=anonymous,%d", size))
			src := source.open(t)
			var snap Snapshot
			read := func(skip bool) Sample {
				t.Helper()
				snap.SkipSmaps = skip
				walk(t, src, &snap, everything)
				return snap.Samples[snap.Index(child.Cmd.Process.Pid)]
			}
			for range 2 {
				if s := read(true); (s.Have|s.Unreadable|s.Skipped)&FieldSmaps != 0 || s.PSSBytes != 0 {
					t.Errorf("got PSS %d of a new process, want none", s.PSSBytes)
				}
			}
			known := read(false)
			if known.Have&FieldSmaps == 0 || known.PSSBytes == 0 {
				t.Errorf("got no PSS in the walk after that")
			}
			child.Step(t)
			if s := read(true); s.Have&FieldSmaps == 0 || s.PSSBytes != known.PSSBytes || s.SmapsReadAt != known.SmapsReadAt {
				t.Errorf("got PSS %d of %d, fields %v, unreadable %v, want those of before: %d of %d, %v", s.PSSBytes, s.SmapsReadAt,
					s.Have, s.Unreadable, known.PSSBytes, known.SmapsReadAt, known.Have)
			}
			after := read(false)
			for range refreshInterval { // procfs reads idle processes in one of so many walks
				if after.PSSBytes < size {
					after = read(false)
				}
			}
			if after.PSSBytes < size {
				t.Errorf("got PSS %d in the walks after that, want more than %d", after.PSSBytes, size)
			}
		})
	}
}
