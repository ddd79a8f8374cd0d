package platform

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/seed57308aee/process_exporter/procfs"
	"github.com/seed57308aee/process_exporter/testdata/proctree"
)

// A sleeper is a process whose schedstat and statm a test writes.
type sleeper struct {
	t    *testing.T
	tree *proctree.Tree
	proctree.Process
}

// sets writes what the scheduler says about the process and its threads, and
// how many pages it holds.
func (s *sleeper) sets(slices, pages int) {
	s.t.Helper()
	s.RSS = uint64(pages)
	s.tree.Set(s.Process)
	dir := filepath.Join(s.tree.Root, strconv.Itoa(s.PID))
	sched := fmt.Appendf(nil, "%d 5 %d\n", slices*1000, slices)
	files := map[string][]byte{"schedstat": sched, "statm": fmt.Appendf(nil, "9 %d 0 0 0 0 0\n", pages)}
	tids, err := os.ReadDir(filepath.Join(dir, "task"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, tid := range tids {
		files["task/"+tid.Name()+"/schedstat"] = sched
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}

// TestSleepersAreNotReadAgain writes files that change although the process
// has not run, which no kernel does, to see which are read; and then every
// thing that tells of a change.
func TestSleepersAreNotReadAgain(t *testing.T) {
	for _, threads := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d threads", threads), func(t *testing.T) {
			tree := proctree.New(t, 1000)
			p := &sleeper{t: t, tree: tree, Process: proctree.Process{PID: refresh + 1, Comm: "c", Start: 5, UTime: 1}}
			for i := 1; i < threads; i++ {
				p.Threads = append(p.Threads, proctree.Thread{TID: p.PID + refresh*i, Comm: "t", Start: 5})
			}
			p.sets(1, 10)
			src := openSource(t, tree.Root)
			var snap Snapshot
			look := func() uint64 {
				t.Helper()
				walk(t, src, &snap, everything)
				if len(snap.Samples) != 1 || snap.Samples[0].Have != everything || len(snap.Samples[0].Tasks) != len(p.Threads)+len(p.Threads[:min(1, len(p.Threads))]) {
					t.Fatalf("got %+v", snap.Samples)
				}
				return snap.Samples[0].UserNanos / 1e7
			}
			for range 3 { // to see that it sleeps, and to take its pulse
				look()
			}
			p.UTime = 2
			p.sets(1, 10)
			if got := look(); got != 1 {
				t.Errorf("a process that has not run was read again: got %d ticks", got)
			}
			p.sets(2, 10)
			if got := look(); got != 2 {
				t.Errorf("got %d ticks of a process that has run, want 2", got)
			}
			for range 3 {
				look()
			}
			p.UTime = 3
			p.sets(2, 9)
			if got := look(); got != 3 || snap.Samples[0].ResidentBytes != 9*uint64(os.Getpagesize()) {
				t.Errorf("got %d ticks of a process that lost memory, want 3", got)
			}
			p.UTime = 4
			p.sets(2, 9)
			for range refresh {
				look()
			}
			if got := look(); got != 4 {
				t.Errorf("got %d ticks after %d walks, want 4", got, refresh)
			}
		})
	}
}

// TestMemoryOfSleepers has a process of many threads, which share what it holds:
// what is kept of it at first sight is what statm is compared with later.
func TestMemoryOfSleepers(t *testing.T) {
	p := startChild(t, nil, "threads=200")
	src := openSource(t, "/proc").(*source)
	resident := func() uint64 {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.PID()))
		var st procfs.Statm
		if err != nil || procfs.ParseStatm(text, &st) != nil {
			t.Fatalf("statm: %v, %q", err, text)
		}
		return st.Resident
	}
	eventually(t, func() bool {
		before := resident()
		var snap Snapshot
		walk(t, src, &snap, everything)
		i := slices.IndexFunc(snap.Samples, func(s Sample) bool { return s.PID == p.PID() })
		if i < 0 || len(snap.Samples[i].Tasks) <= 200 || resident() != before {
			return false // it still starts, or takes memory
		}
		if got := uint64(snap.Samples[i].pulse.pages); got != before {
			t.Errorf("got %d pages, want %d", got, before)
		}
		return true
	})
}

// TestSleepersWithoutSchedstat has a kernel that shows zeros there.
func TestSleepersWithoutSchedstat(t *testing.T) {
	tree := proctree.New(t, 1000)
	p := &sleeper{t: t, tree: tree, Process: proctree.Process{PID: 7, Comm: "c", Start: 5}}
	src := openSource(t, tree.Root)
	var snap Snapshot
	for ticks := uint64(1); ticks < 6; ticks++ {
		p.UTime = ticks
		p.sets(0, 10)
		walk(t, src, &snap, everything)
		if got := snap.Samples[0].UserNanos / 1e7; got != ticks {
			t.Errorf("got %d ticks, want %d", got, ticks)
		}
	}
}

// TestWalkAllocates nothing that grows with the number of processes. One that has
// to wait for a CPU may give a reader up and get another.
func TestWalkAllocates(t *testing.T) {
	tree := proctree.New(t, 1000)
	const processes = 1000
	for pid := 1; pid <= processes; pid++ {
		tree.Set(proctree.Process{PID: 10 * pid, Comm: "c" + strconv.Itoa(pid), Start: 5, WChan: "do_wait", FDs: 1,
			Threads: []proctree.Thread{{TID: 10*pid + 1, Comm: "t", Start: 5, WChan: "do_wait"}}[:pid%2]})
	}
	src := openSource(t, tree.Root)
	var snap Snapshot
	for range 4 {
		walk(t, src, &snap, everything)
	}
	n := math.Inf(1)
	for range 5 {
		if n = min(n, testing.AllocsPerRun(3, func() { walk(t, src, &snap, everything) })); n <= processes/50 {
			return
		}
	}
	t.Errorf("got %v allocations in a walk over %d processes, want a few", n, processes)
}
