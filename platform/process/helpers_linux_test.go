package process

import (
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/seed57308aee/process_exporter/test/procfstree"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// A child is a helper program and its open Process.
type child struct {
	*Process
	*testenv.EdgeCase
}

// startChild starts testdata/edgecase, waits until it is ready, and opens it. change,
// unless nil, alters the command before the start.
func startChild(t testing.TB, change func(*exec.Cmd), verbs ...string) *child {
	t.Helper()
	c := testenv.StartEdgeCase(t, change, verbs...)
	return &child{openProcess(t, c.Cmd.Process.Pid), c}
}

// startStopped starts a child and stops it, so that its values do not change
// between two reads.
func startStopped(t *testing.T, verbs ...string) *child {
	t.Helper()
	p := startChild(t, nil, verbs...)
	if err := p.Suspend(); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, func() bool { return statusOf(t, p.Process) == StatusStopped })
	return p
}

// startZombie returns a child that has exited and is not reaped.
func startZombie(t *testing.T) *child {
	t.Helper()
	c := startChild(t, nil)
	if err := c.Kill(); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, func() bool { // the main thread may exit before other threads
		return statusOf(t, c.Process) == StatusZombie && must[int](t)(c.NumThreads()) == 1
	})
	return c
}

func openProcess(t testing.TB, pid int) *Process {
	t.Helper()
	p, err := Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func openTestTable(t *testing.T, root string) *Table {
	t.Helper()
	table := must[*Table](t)(OpenTable(root))
	t.Cleanup(func() { _ = table.Close() })
	return table
}

func openIn(t *testing.T, table *Table, pid int) *Process {
	t.Helper()
	p := must[*Process](t)(table.Open(pid))
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// threeProcesses returns a fake process file system with the PIDs 10, 11 and 12.
func threeProcesses(t *testing.T) *procfstree.Tree {
	t.Helper()
	tree := procfstree.New(t, 1000)
	for pid := 10; pid <= 12; pid++ {
		tree.Set(procfstree.Process{PID: pid, Comm: "p" + strconv.Itoa(pid), Args: []string{"x"}, Start: uint64(pid)})
	}
	return tree
}

// pidsOf closes processes and returns their PIDs.
func pidsOf(all []*Process, err error) ([]int, error) {
	pids := make([]int, len(all))
	for i, p := range all {
		pids[i] = p.PID()
	}
	CloseAll(all)
	return pids, err
}

func statusOf(t *testing.T, p *Process) Status {
	t.Helper()
	return must[Status](t)(p.Status())
}

// must returns v, and fails the test on an error.
func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantEqual[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
