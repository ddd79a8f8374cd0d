package platform

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/testdata/proctree"
	"github.com/seed57308aee/process_exporter/testdata/testenv"
)

// A shell is a process that sleeps until it is told what to do.
type shell struct {
	t     *testing.T
	pid   int
	in    io.Writer
	lines *bufio.Scanner
}

func startShell(t *testing.T) *shell {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", `while read -r line; do eval "$line"; echo did; done`)
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
	s := &shell{t, cmd.Process.Pid, in, bufio.NewScanner(out)}
	s.does(":")
	return s
}

// does has the shell run a command, and waits until it sleeps again.
func (s *shell) does(command string) {
	s.t.Helper()
	if _, err := fmt.Fprintln(s.in, command); err != nil {
		s.t.Fatal(err)
	}
	if !s.lines.Scan() || s.lines.Text() != "did" {
		s.t.Fatalf("%s: got %q", command, s.lines.Text())
	}
	s.waits('S')
}

// waits until the shell is in a state of sleep, and has left its CPU for it:
// only then is it known where it sleeps.
func (s *shell) waits(state byte) {
	s.t.Helper()
	eventually(s.t, func() bool {
		stat, err1 := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
		wchan, err2 := os.ReadFile(fmt.Sprintf("/proc/%d/wchan", s.pid))
		return err1 == nil && err2 == nil && strings.Contains(string(stat), ") "+string(state)+" ") && string(wchan) != "0"
	})
}

// fillsMemory writes into memory of the shell that it has not touched, at the far end
// of its stack. It gains the pages without running.
func (s *shell) fillsMemory() {
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

// plain returns a Sample as any walk finds it.
func plain(s *Sample) string {
	c := *s
	c.pulse, c.smapsCost, c.smapsWalk, c.SmapsTicks = pulse{}, 0, 0, 0
	c.PSSBytes, c.USSBytes, c.Tasks = 0, 0, nil
	return describe(c)
}

const lean = everything &^ FieldSmaps

// look returns the Sample of the shell in a walk.
func (s *shell) look(src Source, snap *Snapshot) *Sample {
	s.t.Helper()
	walk(s.t, src, snap, lean)
	at := snap.Index(s.pid)
	if at < 0 {
		s.t.Fatal("the shell is gone")
	}
	return &snap.Samples[at]
}

// TestPulseMissesNothing has a process do things, and things done to it. At the
// next walk it must look as to somebody who reads everything.
func TestPulseMissesNothing(t *testing.T) {
	s := startShell(t)
	file := filepath.Join(t.TempDir(), "file")
	src := openSource(t, "/proc")
	var snap Snapshot
	tests := []struct {
		name string
		do   func()
	}{
		{"nothing", func() {}},
		{"CPU time", func() { s.does("i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done") }},
		{"a switch", func() { s.does(":") }},
		{"a file more", func() { s.does("exec 7</dev/null") }},
		{"a file less", func() { s.does("exec 7<&-") }},
		{"output", func() { s.does("echo x >" + file) }},
		{"a name", func() { s.does("echo other >/proc/$$/comm") }},
		{"a child that comes and goes", func() { s.does("/bin/true") }},
		{"memory", func() { s.does("x=$i; for i in 1 2 3 4 5 6 7 8 9; do x=$x$x$x$x; done") }},
		{"memory from outside", s.fillsMemory},
		{"stopped", func() { _ = syscall.Kill(s.pid, syscall.SIGSTOP); s.waits('T') }},
		{"continued", func() { _ = syscall.Kill(s.pid, syscall.SIGCONT); s.waits('S') }},
	}
	for _, tt := range tests {
		for range 3 { // until it is known that it sleeps
			s.look(src, &snap)
		}
		tt.do()
		var fresh Snapshot
		got, want := plain(s.look(src, &snap)), plain(s.look(openSource(t, "/proc"), &fresh))
		if got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.name, got, want)
		}
	}
}

// TestPulseSparesSleepers writes into a Sample what no walk finds, to see
// whether the process is read again.
func TestPulseSparesSleepers(t *testing.T) {
	s := startShell(t)
	src := openSource(t, "/proc")
	if !src.(*source).clocks {
		t.Skip("CPU clocks tell nothing here")
	}
	var snap Snapshot
	var limit unix.Rlimit
	if err := unix.Prlimit(s.pid, unix.RLIMIT_NOFILE, nil, &limit); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		s.look(src, &snap)
	}
	const mark = 1 << 60
	spared := 0
	limit.Cur--
	if err := unix.Prlimit(s.pid, unix.RLIMIT_NOFILE, &limit, nil); err != nil { // which does not wake it
		t.Fatal(err)
	}
	seen := false
	for range refresh {
		s.look(src, &snap).MinorFaults = mark
		now := s.look(src, &snap)
		if now.MinorFaults == mark {
			spared++
		}
		seen = seen || now.FDLimit == limit.Cur
	}
	if spared < refresh/2 {
		t.Errorf("a process that sleeps was spared %d times of %d", spared, refresh)
	}
	if !seen {
		t.Errorf("after %d walks the limit is not known that was set from outside", 2*refresh)
	}
}

// TestPulseOfRestless has a process run between all walks, so that its clock is
// not asked any more, and then sleep, so that it is spared again. One that sleeps
// every other time is spared then.
func TestPulseOfRestless(t *testing.T) {
	s := startShell(t)
	src := openSource(t, "/proc")
	if !src.(*source).clocks {
		t.Skip("CPU clocks tell nothing here")
	}
	var snap Snapshot
	asked := true
	for range restless + 3 {
		s.does(":")
		asked = s.look(src, &snap).pulse.beat != 0
	}
	if asked {
		t.Errorf("the clock of a process is asked that has run between %d walks", restless+3)
	}
	const mark = 1 << 60
	eventually(t, func() bool {
		s.look(src, &snap).MinorFaults = mark
		return s.look(src, &snap).MinorFaults == mark
	})
	missed := 0
	for range 4 * restless {
		s.does(":")
		s.waits('S')
		s.look(src, &snap).MinorFaults = mark
		if s.look(src, &snap).MinorFaults != mark {
			missed++
		}
	}
	if missed > 2 { // its turn comes every 16th walk
		t.Errorf("a process that sleeps at every other walk was read then %d times of %d", missed, 4*restless)
	}
}

// TestPulseOfReusedPID gives the PID of a process that slept to another.
func TestPulseOfReusedPID(t *testing.T) {
	testenv.RequireRoot(t)
	src := openSource(t, "/proc")
	var snap Snapshot
	old := startChild(t, nil)
	pid := old.PID()
	for range 3 {
		walk(t, src, &snap, lean)
	}
	before := snap.Samples[snap.Index(pid)]
	old.End()
	testenv.StartWithPID(t, pid)
	eventually(t, func() bool { // at first it is a copy of the test
		walk(t, src, &snap, lean)
		return snap.Samples[snap.Index(pid)].Comm == "sleep"
	})
	if after := snap.Samples[snap.Index(pid)]; after.pulse.beat == before.pulse.beat || after.ExecID == before.ExecID {
		t.Errorf("got %+v, which is the process of before", after)
	}
}

// TestThreadsComeAndGo changes the threads of a process that runs: of those the
// last walk found, one dies, one is born in the place of another, and so on.
func TestThreadsComeAndGo(t *testing.T) {
	tree := proctree.New(t, 1000)
	src := openSource(t, tree.Root)
	var snap Snapshot
	for i, tids := range [][]int{{}, {8}, {8, 9}, {9}, {10, 11}, {10, 12}, {13, 14}, {14}, {}, {15}} {
		p := proctree.Process{PID: 7, Comm: "c", Start: 5, Voluntary: uint64(i), UTime: uint64(i)}
		for _, tid := range tids {
			p.Threads = append(p.Threads, proctree.Thread{TID: tid, Comm: "t", Start: 6, Voluntary: uint64(i)})
		}
		tree.Set(p)
		walk(t, src, &snap, everything)
		var got []int
		for _, task := range snap.Samples[0].Tasks {
			if got = append(got, task.TID); task.Comm != map[bool]string{true: "c", false: "t"}[task.TID == 7] {
				t.Errorf("thread %d: got name %q", task.TID, task.Comm)
			}
		}
		if want := append([]int{7}, tids...); len(tids) > 0 && !slices.Equal(got, want) || len(tids) == 0 && len(got) > 0 {
			t.Errorf("got threads %v, want %v", got, want)
		}
	}
}
