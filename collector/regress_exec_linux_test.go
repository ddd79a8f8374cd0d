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
)

// stageVariable tells a process that this test started which of the two
// programs it is: the one that calls execve, or the one after it.
const stageVariable = "PROCESS_EXPORTER_TEST_STAGE"

// naps is how often the thread that calls execve sleeps before. Each nap is a
// voluntary switch; a test binary that merely starts and waits has far fewer.
const naps = 5000

// TestExecByAnotherThread has a real process, one of whose threads has slept
// many times when it calls execve. The kernel gives it the id of the main
// thread then, and its switches seem to be those of the process.
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
	tr := grouping.NewTracker(src, rules(t, "- {name: g, cmdline: ["+marker+"]}"), grouping.Options{Fields: Fields(true, false)})
	switches(t, tr) // what is born from now on counts from its birth
	child := startStage(t, marker)
	child.hears(t, "before")
	before := switches(t, tr)
	if before < naps {
		t.Fatalf("got %d switches before execve, want at least %d", before, naps)
	}
	child.goOn(t)
	child.hears(t, "after")
	if after := switches(t, tr); after < before || after >= before+naps/2 {
		t.Errorf("got %d switches after execve and %d before: those of the thread are counted twice", after, before)
	}
	if got := tr.Health().CounterDecreases; got != (grouping.CounterDecreases{}) {
		t.Errorf("got regressions %+v of a process that executed another program", got)
	}
}

// switches updates tr and returns the voluntary switches of its only group.
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

// execFromThread sleeps often on a thread that is not the main one, waits for a
// line, and makes this process another program from there.
func execFromThread() {
	var run func()
	run = func() {
		runtime.LockOSThread() // and never unlocked: the thread ends in execve
		if unix.Gettid() == os.Getpid() {
			go run() // on another thread, for this one is taken
			select {}
		}
		for range naps {
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

// say writes a line and waits for an answer.
func say(line string) {
	fmt.Println(line)
	_, _ = os.Stdin.Read(make([]byte, 1))
}

// A stage is a running child, and the pipes to it.
type stage struct {
	in  io.Writer
	out *bufio.Scanner
}

// startStage starts this test again as the program that calls execve.
func startStage(t *testing.T, marker string) stage {
	t.Helper()
	cmd := osexec.Command("/proc/self/exe", "-test.run=^TestExecByAnotherThread$", marker)
	cmd.Env = append(os.Environ(), stageVariable+"=before")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return stage{in, bufio.NewScanner(out)}
}

// hears waits for a line that ends so.
func (s stage) hears(t *testing.T, line string) {
	t.Helper()
	for s.out.Scan() {
		if strings.TrimSpace(s.out.Text()) == line {
			return
		}
		t.Log("child:", s.out.Text())
	}
	t.Fatalf("the child ended before it said %q: %v", line, s.out.Err())
}

func (s stage) goOn(t *testing.T) {
	t.Helper()
	if _, err := s.in.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
}
