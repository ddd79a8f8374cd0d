package platform

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// A shell is a real process that sleeps until it receives a command.
type shell struct {
	t     *testing.T
	pid   int
	in    io.Writer
	lines *bufio.Scanner
}

func startShell(t *testing.T) *shell {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", `while read -r line; do eval "$line"; echo done; done`)
	in, out := testenv.StartPiped(t, cmd)
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	s := &shell{t, cmd.Process.Pid, in, bufio.NewScanner(out)}
	s.run(":")
	return s
}

// run runs a command in the shell and waits until it sleeps again.
func (s *shell) run(command string) {
	s.t.Helper()
	if _, err := fmt.Fprintln(s.in, command); err != nil {
		s.t.Fatal(err)
	}
	if !s.lines.Scan() || s.lines.Text() != "done" {
		s.t.Fatalf("%s: got %q", command, s.lines.Text())
	}
	s.waitState('S')
}

// waitState waits until the shell has a state of sleep and has left its CPU. Only then does
// it have a wchan, on kernels that report one.
func (s *shell) waitState(state byte) {
	s.t.Helper()
	testenv.Eventually(s.t, func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
		return err == nil && strings.Contains(string(stat), ") "+string(state)+" ") && testenv.HasLeftCPU(fmt.Sprintf("/proc/%d", s.pid))
	})
}

// growMemory writes to unused memory of the shell, at the end of its stack. The shell gains
// the pages without running.
func (s *shell) growMemory() {
	s.t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", s.pid))
	if err != nil {
		s.t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(maps), " [stack]")
	head = head[strings.LastIndexByte(head, '\n')+1:]
	begin, _, _ := strings.Cut(head, "-")
	at, err := strconv.ParseInt(begin, 16, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	mem, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", s.pid), os.O_WRONLY, 0)
	if err == nil {
		_, err = mem.WriteAt(make([]byte, 16*os.Getpagesize()), at)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	_ = mem.Close()
}

// comparableText returns the text of a Sample without FieldSmaps, Tasks and Idle.
func comparableText(s *Sample) string {
	c := *s
	c.Idle = false
	c.SmapsReadAt, c.PSSBytes, c.USSBytes, c.Tasks = 0, 0, 0, nil
	return describe(c)
}

// withoutSmaps are all fields except FieldSmaps.
const withoutSmaps = everything &^ FieldSmaps

// sample makes a walk and returns the Sample of the shell.
func (s *shell) sample(src Source, snap *Snapshot) *Sample {
	s.t.Helper()
	walk(s.t, src, snap, withoutSmaps)
	at := snap.Index(s.pid)
	if at < 0 {
		s.t.Fatal("the shell has exited")
	}
	return &snap.Samples[at]
}

// TestActivityMarkerFindsChanges changes a process in different ways. The next walk must
// return the same Sample as a new source, which reads everything.
func TestActivityMarkerFindsChanges(t *testing.T) {
	s := startShell(t)
	file := filepath.Join(t.TempDir(), "file")
	src := openSource(t, "/proc")
	var snap Snapshot
	tests := []struct {
		name string
		do   func()
	}{
		{"nothing", func() {}},
		{"CPU time", func() { s.run("i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done") }},
		{"context switch", func() { s.run(":") }},
		{"open file", func() { s.run("exec 7</dev/null") }},
		{"close file", func() { s.run("exec 7<&-") }},
		{"write", func() { s.run("echo x >" + file) }},
		{"rename", func() { s.run("echo other >/proc/$$/comm") }},
		{"child process", func() { s.run("/bin/true") }},
		{"own memory", func() { s.run("x=$i; for i in 1 2 3 4 5 6 7 8 9; do x=$x$x$x$x; done") }},
		{"memory written by another process", s.growMemory},
		{"stopped", func() { _ = syscall.Kill(s.pid, syscall.SIGSTOP); s.waitState('T') }},
		{"continued", func() { _ = syscall.Kill(s.pid, syscall.SIGCONT); s.waitState('S') }},
	}
	for _, tt := range tests {
		for range 3 { // until it is idle
			s.sample(src, &snap)
		}
		tt.do()
		var fresh Snapshot
		got, want := comparableText(s.sample(src, &snap)), comparableText(s.sample(openSource(t, "/proc"), &fresh))
		if got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.name, got, want)
		}
	}
}

// TestIdleProcessKeepsSample writes an impossible value to a Sample to see whether the next
// walk reads the process again.
func TestIdleProcessKeepsSample(t *testing.T) {
	s := startShell(t)
	src := openSource(t, "/proc")
	if !src.(*procfsSource).cpuClocks {
		t.Skip("CPU clocks are not precise on this machine")
	}
	var snap Snapshot
	var limit unix.Rlimit
	if err := unix.Prlimit(s.pid, unix.RLIMIT_NOFILE, nil, &limit); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		s.sample(src, &snap)
	}
	const mark = 1 << 60
	kept := 0
	limit.Cur--
	if err := unix.Prlimit(s.pid, unix.RLIMIT_NOFILE, &limit, nil); err != nil { // does not wake it
		t.Fatal(err)
	}
	seen := false
	for range refreshInterval {
		s.sample(src, &snap).MinorFaults = mark
		now := s.sample(src, &snap)
		if now.MinorFaults == mark {
			kept++
		}
		seen = seen || now.FDLimit == limit.Cur
	}
	if kept < refreshInterval/2 {
		t.Errorf("got %d walks of %d that did not read an idle process, want at least half", kept, refreshInterval)
	}
	if !seen {
		t.Errorf("got no new limit after %d walks, want the limit set by another process", 2*refreshInterval)
	}
}

// TestAlwaysActiveProcess checks that the clock of a process that runs between all walks is
// not read. Once the process sleeps, it is not read any more. A process that runs before every
// second walk only is not read in the others.
func TestAlwaysActiveProcess(t *testing.T) {
	s := startShell(t)
	src := openSource(t, "/proc")
	if !src.(*procfsSource).cpuClocks {
		t.Skip("CPU clocks are not precise on this machine")
	}
	var snap Snapshot
	hasMarker := true
	for range alwaysActiveWalks + 3 {
		s.run(":")
		s.sample(src, &snap)
		hasMarker = src.(*procfsSource).states.processes[snap.Index(s.pid)].activity.marker != 0
	}
	if hasMarker {
		t.Errorf("got a marker of a process that has run between %d walks, want none", alwaysActiveWalks+3)
	}
	const mark = 1 << 60
	testenv.Eventually(t, func() bool {
		s.sample(src, &snap).MinorFaults = mark
		return s.sample(src, &snap).MinorFaults == mark
	})
	missed := 0
	for range 4 * alwaysActiveWalks {
		s.run(":")
		s.waitState('S')
		s.sample(src, &snap).MinorFaults = mark
		if s.sample(src, &snap).MinorFaults != mark {
			missed++
		}
	}
	if missed > 2 { // it is read in full every 16 walks
		t.Errorf("got %d reads in %d walks in which the process slept, want at most 2", missed, 4*alwaysActiveWalks)
	}
}

// TestActivityMarkerOfReusedPID gives the PID of an idle process to another process.
func TestActivityMarkerOfReusedPID(t *testing.T) {
	testenv.RequireRoot(t)
	src := openSource(t, "/proc").(*procfsSource)
	marker := func(i int) uint64 { return src.states.processes[i].activity.marker }
	var snap Snapshot
	old := startChild(t, nil)
	pid := old.PID()
	for range 3 {
		walk(t, src, &snap, withoutSmaps)
	}
	before, lastMarker := snap.Samples[snap.Index(pid)], marker(snap.Index(pid))
	old.End()
	testenv.StartWithPID(t, pid)
	walk(t, src, &snap, withoutSmaps)
	if after := snap.Samples[snap.Index(pid)]; marker(snap.Index(pid)) == lastMarker || after.ExecID == before.ExecID {
		t.Errorf("got %+v, want another marker and ExecID than those of the old process", after)
	}
}
