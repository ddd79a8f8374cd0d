package platform

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed57308aee/process_exporter/testdata/proctree"
)

// TestNoUserWithoutStatus has a process whose status cannot be read. The user
// whose number is 0 is root, and is not to be taken for unknown.
func TestNoUserWithoutStatus(t *testing.T) {
	tree := proctree.New(t, 1000)
	tree.Set(proctree.Process{PID: 10, Comm: "a", Start: 5, UIDs: [4]uint32{0, 4242424, 0, 0}}, proctree.Process{PID: 11, Comm: "b", Start: 5})
	if err := os.Remove(filepath.Join(tree.Root, "11/status")); err != nil {
		t.Fatal(err)
	}
	src := openSource(t, tree.Root)
	var snap Snapshot
	walk(t, src, &snap, FieldStat)
	for i, want := range []string{"4242424", ""} { // the second must not have the user of the first either
		id, err := src.Identify(context.Background(), &snap.Samples[i], IdentityUser)
		if err != nil || id.Username != want {
			t.Errorf("got user %q, error %v of process %d, want %q", id.Username, err, snap.Samples[i].PID, want)
		}
	}
}

// TestIdentifyOfOneThatExits has processes that lost their command line after
// the walk found them, because they are on their way out. Empty words would put
// them into a group of their own.
func TestIdentifyOfOneThatExits(t *testing.T) {
	tests := []struct {
		name   string
		now    proctree.Process
		before proctree.Process
		gone   bool
	}{
		{"turned zombie", proctree.Process{State: "Z"}, proctree.Process{Args: []string{"x"}}, true},
		{"has given up its memory", proctree.Process{State: "D", Flags: flagExiting}, proctree.Process{Args: []string{"x"}}, true},
		{"was a zombie already", proctree.Process{State: "Z"}, proctree.Process{State: "Z"}, false},
		{"a kernel thread", proctree.Process{Flags: flagKernel | flagExiting}, proctree.Process{Flags: flagKernel}, false},
		{"lives", proctree.Process{Args: []string{"x"}}, proctree.Process{Args: []string{"x"}}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.before.PID, tt.before.Comm, tt.before.Start = 10, "c", 5
			tt.now.PID, tt.now.Comm, tt.now.Start = 10, "c", 5
			tree := proctree.New(t, 1000)
			tree.Set(tt.before)
			src := openSource(t, tree.Root)
			var snap Snapshot
			walk(t, src, &snap, FieldStat)
			tree.Set(tt.now)
			id, err := src.Identify(context.Background(), &snap.Samples[0], IdentityArgs)
			if tt.gone != errors.Is(err, ErrGone) || !tt.gone && (err != nil || id.Comm != "c") {
				t.Errorf("got %+v, error %v, want ErrGone %v", id, err, tt.gone)
			}
		})
	}
}

// TestCompleteStopsAtItsDeadline shows that a Snapshot tells when its Samples
// lack what is wanted for want of time.
func TestCompleteStopsAtItsDeadline(t *testing.T) {
	src := openSource(t, three(t).Root)
	var snap Snapshot
	if err := src.Walk(context.Background(), &snap); err != nil || snap.Partial {
		t.Fatalf("got error %v, Partial %v of a walk in time", err, snap.Partial)
	}
	for i := range snap.Samples {
		snap.Samples[i].Want = everything
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	src.Complete(ctx, &snap)
	if !snap.Partial || snap.Samples[0].Have != FieldStat {
		t.Errorf("got Partial %v, Have %b, want true and stat only", snap.Partial, snap.Samples[0].Have)
	}
	if walk(t, src, &snap, everything); snap.Partial || snap.Samples[0].Have != everything {
		t.Errorf("got Partial %v, Have %b of the next walk, want everything", snap.Partial, snap.Samples[0].Have)
	}
}

// TestHeadlessProcess has a process whose main thread has exited while another goes
// on, which tells what the process has; unless it is on its way out as well. A zombie
// has closed its files indeed.
func TestHeadlessProcess(t *testing.T) {
	thread := proctree.Thread{TID: 11, Comm: "w", Start: 6, State: "R"}
	tests := []struct {
		name       string
		process    proctree.Process
		have, lost Fields
		fds, rss   uint64
	}{
		{"alive", proctree.Process{FDs: 3, RSS: 7, Threads: []proctree.Thread{thread}}, FieldFDs, 0, 3, 7},
		{"headless", proctree.Process{FDs: 3, RSS: 7, Threads: []proctree.Thread{thread}, MainThread: proctree.Thread{State: "Z"}}, FieldFDs, 0, 3, 7},
		{"about to go", proctree.Process{RSS: 7, Threads: []proctree.Thread{{TID: 11, Comm: "w", Start: 6, State: "Z"}}, MainThread: proctree.Thread{State: "Z"}}, 0, FieldFDs, 0, 0},
		{"zombie", proctree.Process{State: "Z"}, FieldFDs, 0, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.process.PID, tt.process.Comm, tt.process.Start = 10, "c", 5
			tree := proctree.New(t, 1000)
			tree.Set(tt.process)
			src := openSource(t, tree.Root)
			var snap Snapshot
			walk(t, src, &snap, everything)
			s := snap.Samples[0]
			if s.Have&FieldFDs != tt.have || s.Lost&FieldFDs != tt.lost || s.FDs != tt.fds || s.ResidentBytes != tt.rss*uint64(os.Getpagesize()) {
				t.Errorf("got Have %b, Lost %b, FDs %d, %d bytes, want %b, %b, %d, %d pages", s.Have, s.Lost, s.FDs, s.ResidentBytes, tt.have, tt.lost, tt.fds, tt.rss)
			}
		})
	}
}

// TestSleepingThreadGetsItsNewName has a thread that another one renames, which
// does not wake it. Its turn to be read anyway comes with that of its process,
// whatever its own id is.
func TestSleepingThreadGetsItsNewName(t *testing.T) {
	tree := proctree.New(t, 1000)
	p := &sleeper{t: t, tree: tree, Process: proctree.Process{PID: refresh + 1, Comm: "c", Start: 5, Threads: []proctree.Thread{
		{TID: refresh + 4, Comm: "old", Start: 5}, {TID: refresh + 9, Comm: "other", Start: 5}}}}
	p.sets(1, 10)
	src := openSource(t, tree.Root)
	var snap Snapshot
	for range 3 { // to see that it sleeps
		walk(t, src, &snap, everything)
	}
	p.Threads[0].Comm = "new"
	p.sets(1, 10)
	for range refresh + 1 {
		walk(t, src, &snap, everything)
	}
	if tasks := snap.Samples[0].Tasks; len(tasks) != 3 || tasks[1].Comm != "new" {
		t.Errorf("got threads %+v, want the new name after %d walks", tasks, refresh+1)
	}
}

// TestExitIsNoExec has a process that gives up its memory on the way out. The
// addresses that tell of execve read as 0 then, though it is the same program.
func TestExitIsNoExec(t *testing.T) {
	for name, exits := range map[string]proctree.Process{"zombie": {State: "Z"}, "not yet": {State: "D", Flags: flagExiting}} {
		t.Run(name, func(t *testing.T) {
			tree := proctree.New(t, 1000)
			tree.Set(proctree.Process{PID: 10, Comm: "c", Start: 5, StackStart: 4096})
			src := openSource(t, tree.Root)
			var snap Snapshot
			walk(t, src, &snap, FieldStat)
			before := snap.Samples[0].ExecID
			exits.PID, exits.Comm, exits.Start = 10, "c", 5
			tree.Set(exits)
			walk(t, src, &snap, FieldStat)
			if got := snap.Samples[0].ExecID; got != before {
				t.Errorf("got token %x of a process that exits and %x before", got, before)
			}
		})
	}
}
