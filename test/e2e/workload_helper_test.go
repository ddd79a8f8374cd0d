package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// A worker is a helper process that runs commands from its standard input.
type worker struct {
	t       *testing.T
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
}

// startWorker starts testdata/workload with name as its last argument, and waits until it is ready.
// The test cleanup ends it.
func startWorker(t *testing.T, name string) *worker {
	t.Helper()
	return startWorkerOf(t, exec.Command(testenv.BuildGo(t, "workload"), name))
}

// startNamedWorker starts a worker whose program has its own name, in dir.
func startNamedWorker(t *testing.T, dir, name string, attributes *syscall.SysProcAttr) *worker {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.Link(testenv.BuildGo(t, "workload"), path); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(path)
	command.SysProcAttr = attributes
	return startWorkerOf(t, command)
}

// startWorkerOf starts a program with the command protocol of testdata/workload.
func startWorkerOf(t *testing.T, command *exec.Cmd) *worker {
	t.Helper()
	w := &worker{t: t, command: command}
	// Without garbage collection and with one thread for Go code it uses no CPU time while it waits.
	w.command.Env = append(os.Environ(), "GOGC=off", "GOMAXPROCS=1")
	in, out := testenv.StartPiped(t, command)
	w.in, w.out = in, bufio.NewScanner(out)
	t.Cleanup(w.end)
	w.expect("ready")
	return w
}

func (w *worker) expect(want string) {
	w.t.Helper()
	if !w.out.Scan() || w.out.Text() != want {
		w.t.Fatalf("worker %d: got %q, want %q", w.command.Process.Pid, w.out.Text(), want)
	}
}

// do sends a command and waits until it is done.
func (w *worker) do(format string, args ...any) {
	w.t.Helper()
	if _, err := fmt.Fprintf(w.in, format+"\n", args...); err != nil {
		w.t.Fatal(err)
	}
	w.expect("done")
}

// end closes the standard input of the worker and waits for its exit.
func (w *worker) end() {
	if w.command.ProcessState != nil {
		return
	}
	_ = w.in.Close()
	if err := w.command.Wait(); err != nil && !errors.Is(err, os.ErrProcessDone) && !strings.Contains(err.Error(), "signal") {
		w.t.Errorf("worker: %v", err)
	}
}

var tokens atomic.Int64

// uniqueToken returns a word of at most 8 letters and digits for names and command lines of processes. Tests
// run at the same time, and beside those of other packages: equal names would put their processes into one group.
func uniqueToken() string {
	return "u" + strconv.FormatInt(int64(os.Getpid())<<12|tokens.Add(1)&0xfff, 36)
}

// startIdleProcess starts a process with this name that sleeps until the end of the test.
func startIdleProcess(t *testing.T, name string) *exec.Cmd {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	testenv.CopyProgram(t, "/bin/cat", path)
	command := exec.Command(path)
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = command.Wait() }) // exits at the end of its input
	return command
}
