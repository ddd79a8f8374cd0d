package platform

import (
	"os"
	"os/exec"
	"testing"

	"github.com/seed57308aee/process_exporter/platform/process"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// A child is a helper program and its open Process.
type child struct {
	*process.Process
	*testenv.EdgeCase
}

// startChild starts testdata/edgecase, waits until it is ready, and opens it. change,
// unless nil, alters the command before the start.
func startChild(t testing.TB, change func(*exec.Cmd), verbs ...string) *child {
	t.Helper()
	c := testenv.StartEdgeCase(t, change, verbs...)
	p := must[*process.Process](t)(process.Open(c.Cmd.Process.Pid))
	t.Cleanup(func() { _ = p.Close() })
	return &child{p, c}
}

// startZombie returns a child that has exited and is not reaped.
func startZombie(t *testing.T) *child {
	t.Helper()
	c := startChild(t, nil)
	if err := c.Kill(); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, func() bool { // the main thread may exit before other threads
		return statusOf(t, c.Process) == process.StatusZombie && must[int](t)(c.NumThreads()) == 1
	})
	return c
}

func statusOf(t *testing.T, p *process.Process) process.Status {
	t.Helper()
	return must[process.Status](t)(p.Status())
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
