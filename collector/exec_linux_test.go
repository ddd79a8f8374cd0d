package collector

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	osexec "os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

// stageVariable selects the role of a child process of the test: "before" calls
// execve(2), "after" is the program that it executes.
const stageVariable = "PROCESS_EXPORTER_TEST_STAGE"

// sleeps is the number of sleeps of the thread that calls execve(2). Each sleep is a
// voluntary context switch. A test binary that only starts and waits has far fewer.
const sleeps = 5000

// TestExecByAnotherThread checks a real process in which a thread other than the main
// thread calls execve(2). The kernel gives the thread the TID of the main thread, and
// it keeps its context switches, which must not count again.
func TestExecByAnotherThread(t *testing.T) {
	switch os.Getenv(stageVariable) {
	case "before":
		execFromThread()
		return
	case "after":
		say("after")
		return
	}
	marker := fmt.Sprintf("exec-by-another-thread-%d", os.Getpid())
	src, err := platform.Open(platform.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = src.Close() }()
	tr := grouping.NewTracker(src, rules(t, "- {name: g, cmdline: ["+marker+"]}"),
		grouping.Options{Collectors: grouping.AllCollectors &^ grouping.CollectorSmaps})
	switches(t, tr) // the usage of later processes counts from their start
	child := startStage(t, marker)
	child.waitFor(t, "before")
	before := switches(t, tr)
	if before < sleeps {
		t.Fatalf("got %d switches before execve, want at least %d", before, sleeps)
	}
	child.resume(t)
	child.waitFor(t, "after")
	if after := switches(t, tr); after < before || after >= before+sleeps/2 {
		t.Errorf("got %d switches after execve, want from %d to %d", after, before, before+sleeps/2-1)
	}
	if got := tr.Health().CounterDecreases; got != (grouping.CounterDecreases{}) {
		t.Errorf("got %+v, want no counter decreases", got)
	}
}

// switches updates tr and returns the voluntary context switches of its only group.
func switches(t *testing.T, tr *grouping.Tracker) uint64 {
	t.Helper()
	groups, err := tr.Update(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if len(groups) == 0 {
		return 0
	}
	return groups[0].VoluntarySwitches
}

// execFromThread sleeps many times in a thread other than the main thread, waits for
// a line, and calls execve(2) in that thread.
func execFromThread() {
	var run func()
	run = func() {
		runtime.LockOSThread() // never unlocked: the thread calls execve
		if unix.Gettid() == os.Getpid() {
			go run() // in another thread, because this one is locked
			select {}
		}
		for range sleeps {
			_ = unix.Nanosleep(&unix.Timespec{Nsec: 1}, nil)
		}
		say("before")
		_ = os.Setenv(stageVariable, "after")
		err := syscall.Exec("/proc/self/exe", os.Args, os.Environ())
		fmt.Println("cannot exec:", err)
		os.Exit(1)
	}
	go run()
	select {}
}

// say writes a line to stdout and waits for a byte on stdin.
func say(line string) {
	fmt.Println(line)
	_, _ = os.Stdin.Read(make([]byte, 1))
}

// A stage is a running child process and the pipes to it.
type stage struct {
	in  io.Writer
	out *bufio.Scanner
}

// startStage starts this test in a child process in the role "before".
func startStage(t *testing.T, marker string) stage {
	t.Helper()
	cmd := osexec.Command("/proc/self/exe", "-test.run=^TestExecByAnotherThread$", marker)
	cmd.Env = append(os.Environ(), stageVariable+"=before")
	in, out := testenv.StartPiped(t, cmd)
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return stage{in, bufio.NewScanner(out)}
}

// waitFor waits for a line of the child.
func (s stage) waitFor(t *testing.T, line string) {
	t.Helper()
	for s.out.Scan() {
		if strings.TrimSpace(s.out.Text()) == line {
			return
		}
		t.Log("child:", s.out.Text())
	}
	t.Fatalf("got end of output before the line %q: %v", line, s.out.Err())
}

// resume makes say return in the child.
func (s stage) resume(t *testing.T) {
	t.Helper()
	if _, err := s.in.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
}
