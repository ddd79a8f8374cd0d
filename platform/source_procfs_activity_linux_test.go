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
	"github.com/seed57308aee/process_exporter/test/procfstree"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

// An idleProcess is a process of a fake tree whose schedstat and statm a test writes.
type idleProcess struct {
	t    *testing.T
	tree *procfstree.Tree
	procfstree.Process
}

// set writes schedstat of the process and of its threads, and its resident pages.
func (s *idleProcess) set(slices, pages int) {
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

// TestIdleProcessIsNotRead changes files of a process that has not run, which no kernel does,
// to see whether they are read. Then it makes the changes that require a read.
func TestIdleProcessIsNotRead(t *testing.T) {
	for _, threads := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d threads", threads), func(t *testing.T) { testIdleProcess(t, threads) })
	}
}

func testIdleProcess(t *testing.T, threads int) {
	tree := procfstree.New(t, 1000)
	p := &idleProcess{t: t, tree: tree, Process: procfstree.Process{PID: refreshInterval + 1, Comm: "c", Start: 5, UTime: 1}}
	for i := 1; i < threads; i++ {
		p.Threads = append(p.Threads, procfstree.Thread{TID: p.PID + refreshInterval*i, Comm: "t", Start: 5})
	}
	tasks := 0
	if threads > 1 {
		tasks = threads
	}
	p.set(1, 10)
	src := openSource(t, tree.Root)
	var snap Snapshot
	userTicks := func() uint64 {
		t.Helper()
		walk(t, src, &snap, everything)
		if len(snap.Samples) != 1 || snap.Samples[0].Have != everything || len(snap.Samples[0].Tasks) != tasks {
			t.Fatalf("got %+v", snap.Samples)
		}
		return snap.Samples[0].UserNanos / 1e7
	}
	for range 3 { // until it is idle and has a marker
		userTicks()
	}
	p.UTime = 2
	p.set(1, 10)
	if got := userTicks(); got != 1 {
		t.Errorf("got %d ticks of a process that has not run, want 1", got)
	}
	p.set(2, 10)
	if got := userTicks(); got != 2 {
		t.Errorf("got %d ticks of a process that has run, want 2", got)
	}
	for range 3 {
		userTicks()
	}
	p.UTime = 3
	p.set(2, 9)
	if got := userTicks(); got != 3 || snap.Samples[0].ResidentBytes != 9*uint64(os.Getpagesize()) {
		t.Errorf("got %d ticks of a process that lost memory, want 3", got)
	}
	p.UTime = 4
	p.set(2, 9)
	for range refreshInterval {
		userTicks()
	}
	if got := userTicks(); got != 4 {
		t.Errorf("got %d ticks after %d walks, want 4", got, refreshInterval)
	}
}

// TestResidentPagesOfManyThreads checks the resident pages stored at the first read of a
// process with many threads, with which later walks compare statm.
func TestResidentPagesOfManyThreads(t *testing.T) {
	p := startChild(t, nil, "threads=200")
	src := openSource(t, "/proc").(*procfsSource)
	resident := func() uint64 {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.PID()))
		var st procfs.Statm
		if err != nil || procfs.ParseStatm(text, &st) != nil {
			t.Fatalf("statm: %v, %q", err, text)
		}
		return st.Resident
	}
	testenv.Eventually(t, func() bool {
		before := resident()
		var snap Snapshot
		walk(t, src, &snap, everything)
		i := slices.IndexFunc(snap.Samples, func(s Sample) bool { return s.PID == p.PID() })
		if i < 0 || len(snap.Samples[i].Tasks) <= 200 || resident() != before {
			return false // still starting, or its memory changes
		}
		if got := uint64(src.states.processes[i].activity.residentPages); got != before {
			t.Errorf("got %d pages, want %d", got, before)
		}
		return true
	})
}

// TestIdleWithoutSchedstat uses a kernel whose schedstat contains zeros.
func TestIdleWithoutSchedstat(t *testing.T) {
	tree := procfstree.New(t, 1000)
	p := &idleProcess{t: t, tree: tree, Process: procfstree.Process{PID: 7, Comm: "c", Start: 5}}
	src := openSource(t, tree.Root)
	var snap Snapshot
	for ticks := uint64(1); ticks < 6; ticks++ {
		p.UTime = ticks
		p.set(0, 10)
		walk(t, src, &snap, everything)
		if got := snap.Samples[0].UserNanos / 1e7; got != ticks {
			t.Errorf("got %d ticks, want %d", got, ticks)
		}
	}
}

// TestWalkAllocs checks that the allocations of a walk do not grow with the number of
// processes. A walk without CPU time may abandon a worker and allocate another.
func TestWalkAllocs(t *testing.T) {
	tree := procfstree.New(t, 1000)
	const processes = 1000
	for pid := 1; pid <= processes; pid++ {
		tree.Set(procfstree.Process{PID: 10 * pid, Comm: "c" + strconv.Itoa(pid), Start: 5, WChan: "do_wait", FDs: 1,
			Threads: []procfstree.Thread{{TID: 10*pid + 1, Comm: "t", Start: 5, WChan: "do_wait"}}[:pid%2]})
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
	t.Errorf("got %v allocations in a walk over %d processes, want at most %d", n, processes, processes/50)
}

// TestRenamedIdleThread renames an idle thread, which does not wake it. It is read again when
// its process is due, whatever its own TID.
func TestRenamedIdleThread(t *testing.T) {
	tree := procfstree.New(t, 1000)
	p := &idleProcess{t: t, tree: tree, Process: procfstree.Process{PID: refreshInterval + 1, Comm: "c", Start: 5}}
	p.Threads = []procfstree.Thread{
		{TID: refreshInterval + 4, Comm: "old", Start: 5},
		{TID: refreshInterval + 9, Comm: "other", Start: 5},
	}
	p.set(1, 10)
	src := openSource(t, tree.Root)
	var snap Snapshot
	for range 3 { // until it is idle
		walk(t, src, &snap, everything)
	}
	p.Threads[0].Comm = "new"
	p.set(1, 10)
	for range refreshInterval + 1 {
		walk(t, src, &snap, everything)
	}
	if tasks := snap.Samples[0].Tasks; len(tasks) != 3 || tasks[1].Comm != "new" {
		t.Errorf("got threads %+v, want the new name after %d walks", tasks, refreshInterval+1)
	}
}
