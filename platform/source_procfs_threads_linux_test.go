package platform

import (
	"slices"
	"testing"

	"github.com/seed57308aee/process_exporter/test/procfstree"
)

// TestWChanIsReadOncePerSleep checks that wchan of a thread is not read again if the thread
// has not switched since.
func TestWChanIsReadOncePerSleep(t *testing.T) {
	tree := procfstree.New(t, 1000)
	p := procfstree.Process{PID: 7, Comm: "c", Start: 5, Voluntary: 1, WChan: "first"}
	tree.Set(p)
	src := openSource(t, tree.Root)
	var snap Snapshot
	steps := []struct {
		name string
		edit func()
		want string
	}{
		{"new", func() {}, "first"},
		{"still sleeping", func() { p.WChan = "second" }, "first"},
		{"has run", func() { p.Voluntary = 2 }, "second"},
		{"was preempted", func() { p.Nonvol, p.WChan = 1, "third" }, "third"},
		{"running", func() { p.State = "R" }, ""},
		{"sleeps on the run queue", func() { p.State, p.WChan = "S", "" }, ""},
		{"has left the run queue", func() { p.WChan = "fourth" }, "fourth"},
		{"sleeps on", func() { p.WChan = "fifth" }, "fourth"},
	}
	for _, s := range steps {
		s.edit()
		tree.Set(p)
		walk(t, src, &snap, everything)
		if got := snap.Samples[0].WChan; got != s.want {
			t.Errorf("%s: got wchan %q, want %q", s.name, got, s.want)
		}
	}
}

// TestThreadIOIsReadIfProcessIOChanged checks that the I/O of a running thread is read only if
// that of its process has changed, or if the thread is new and the process has I/O.
func TestThreadIOIsReadIfProcessIOChanged(t *testing.T) {
	tree := procfstree.New(t, 1000)
	p := procfstree.Process{PID: 7, Comm: "c", Start: 5, Threads: []procfstree.Thread{{TID: 9, Comm: "w", Start: 6}}}
	worker := &p.Threads[0]
	src := openSource(t, tree.Root)
	var snap Snapshot
	steps := []struct {
		name                string
		edit                func()
		wantRead, wantWrite uint64
	}{
		{"process I/O is 0 (impossible)", func() { worker.ReadBytes, worker.WriteBytes = 1, 2 }, 0, 0},
		{"process I/O is not 0", func() { p.ReadBytes, p.WriteBytes = 10, 20 }, 1, 2},
		{"process I/O is unchanged (impossible)", func() { worker.ReadBytes, worker.WriteBytes = 3, 4 }, 1, 2},
		{"process has read", func() { p.ReadBytes++ }, 3, 4},
		{"process has written", func() { p.WriteBytes++; worker.WriteBytes = 5 }, 3, 5},
		{"TID reused", func() { worker.Start, worker.ReadBytes = 7, 6 }, 6, 5},
		{"execve", func() { p.StackStart, worker.ReadBytes = 1, 7 }, 7, 5},
	}
	for _, step := range steps {
		step.edit()
		worker.UTime++
		worker.Voluntary++
		tree.Set(p)
		walk(t, src, &snap, everything)
		tasks := snap.Samples[0].Tasks
		if len(tasks) != 2 || tasks[1].Have&FieldIO == 0 || tasks[1].ReadBytes != step.wantRead || tasks[1].WriteBytes != step.wantWrite ||
			tasks[1].UserNanos != worker.UTime*1e7 {
			t.Errorf("%s: got %+v, want %d bytes read, %d written", step.name, tasks, step.wantRead, step.wantWrite)
		}
	}
}

// TestThreadsChange changes the threads of a running process between walks: they start,
// exit and replace each other.
func TestThreadsChange(t *testing.T) {
	tree := procfstree.New(t, 1000)
	src := openSource(t, tree.Root)
	var snap Snapshot
	for i, tids := range [][]int{{}, {8}, {8, 9}, {9}, {10, 11}, {10, 12}, {13, 14}, {14}, {}, {15}} {
		p := procfstree.Process{PID: 7, Comm: "c", Start: 5, Voluntary: uint64(i), UTime: uint64(i)}
		for _, tid := range tids {
			p.Threads = append(p.Threads, procfstree.Thread{TID: tid, Comm: "t", Start: 6, Voluntary: uint64(i)})
		}
		tree.Set(p)
		walk(t, src, &snap, everything)
		var got []int
		for _, task := range snap.Samples[0].Tasks {
			if got = append(got, task.TID); task.Comm != map[bool]string{true: "c", false: "t"}[task.TID == 7] {
				t.Errorf("thread %d: got name %q, want \"c\" of the main thread and \"t\" of others", task.TID, task.Comm)
			}
		}
		if want := append([]int{7}, tids...); len(tids) > 0 && !slices.Equal(got, want) || len(tids) == 0 && len(got) > 0 {
			t.Errorf("got threads %v, want %v", got, want)
		}
	}
}
