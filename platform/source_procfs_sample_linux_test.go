package platform

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/platform/internal/host"
	"github.com/seed57308aee/process_exporter/test/procfstree"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

// TestSampleHasAllFields compares a Sample with all fields.
func TestSampleHasAllFields(t *testing.T) {
	tree := procfstree.New(t, 1000)
	tree.Set(procfstree.Process{PID: 7, PPID: 3, Comm: "a) b", Args: []string{"x"}, State: "S", UTime: 150, STime: 25, Start: 77,
		MinFlt: 4, MajFlt: 5, VSize: 8192, RSS: 3,
		UIDs: [4]uint32{1, 2, 3, 4}, SwapKB: 6, Voluntary: 70, Nonvol: 80, ReadBytes: 900, WriteBytes: 1000,
		FDs: 3, FDLimit: "11", WChan: "do_wait",
		PSSKB: 12, SwapPSSKB: 13, USSKB: 14,
		Threads: []procfstree.Thread{{TID: 9, Comm: "w\xff", Start: 78, State: "D", UTime: 1, STime: 2, MinFlt: 3, MajFlt: 4,
			Voluntary: 5, Nonvol: 6, ReadBytes: 7, WriteBytes: 8,
			WChan: "io_schedule"}}})
	src := openSource(t, tree.Root).(*procfsSource)
	var snap Snapshot
	walk(t, src, &snap, everything)
	if len(snap.Samples) != 1 {
		t.Fatalf("got %d Samples, want 1", len(snap.Samples))
	}
	s := snap.Samples[0]
	if len(s.Tasks) != 2 {
		t.Fatalf("got %d Tasks, want 2", len(s.Tasks))
	}
	const tick = uint64(time.Second / 100)
	task := s.Tasks[1]
	want := Task{TID: 9, State: 'D', Have: FieldStatus | FieldWChan | FieldTaskUsage | FieldIO, VoluntarySwitches: 5, NonvoluntarySwitches: 6,
		WChan: "io_schedule", Comm: "w\xff", Start: 78,
		UserNanos: tick, SystemNanos: 2 * tick, MinorFaults: 3, MajorFaults: 4, ReadBytes: 7, WriteBytes: 8}
	if task != want {
		t.Errorf("got %+v, want %+v", task, want)
	}
	s.Tasks = nil
	if walk := src.states.processes[0].smaps.walk; s.SmapsReadAt != 1000 || walk != 1 {
		t.Errorf("got smaps of tick %d, walk %d; want 1000, 1", s.SmapsReadAt, walk)
	}
	s.SmapsReadAt = 0
	all := Sample{ID: ID{PID: 7, Start: 77}, PPID: 3, Want: everything, Have: everything, Comm: "a) b", State: 'S',
		ExecID: s.ExecID, UserNanos: 150 * tick, SystemNanos: 25 * tick,
		MinorFaults: 4, MajorFaults: 5, NumThreads: 2, VirtualBytes: 8192, ResidentBytes: 3 * uint64(os.Getpagesize()), SwapBytes: 6144, EUID: 2,
		ReadBytes: 900, WriteBytes: 1000, FDs: 3, FDLimit: 11, PSSBytes: 12 << 10, SwapPSSBytes: 13 << 10, USSBytes: 14 << 10}
	if got := describe(s); got != describe(all) {
		t.Errorf("got  %s\nwant %s", got, describe(all))
	}
	if snap.Now != 1000 || snap.BootTime.Unix() != procfstree.BootTime || snap.TicksPerSecond != 100 {
		t.Errorf("got Now %d, BootTime %v, TicksPerSecond %d; want 1000, %d, 100",
			snap.Now, snap.BootTime, snap.TicksPerSecond, procfstree.BootTime)
	}
}

// TestExecChangesExecID checks that ExecID changes at execve and not before.
func TestExecChangesExecID(t *testing.T) {
	// The shell waits for a line before it calls execve.
	cmd := exec.Command("/bin/sh", "-c", "read x; exec sleep 60")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	src := openSource(t, "/proc")
	var snap Snapshot
	sample := func() Sample {
		walk(t, src, &snap, FieldStat)
		at := snap.Index(cmd.Process.Pid)
		if at < 0 {
			t.Fatal("the process has exited")
		}
		return snap.Samples[at]
	}
	var before Sample
	testenv.Eventually(t, func() bool { before = sample(); return before.Comm == "sh" && before.State == 'S' })
	if again := sample(); again.ExecID != before.ExecID {
		t.Errorf("got another ExecID of a process that did not call execve")
	}
	if _, err := in.Write([]byte("go\n")); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, func() bool { return sample().Comm == "sleep" })
	if after := sample(); after.ExecID == before.ExecID || after.ID != before.ID {
		t.Errorf("got ExecID %x after execve and %x before, of %v and %v; want different ones of the same process",
			after.ExecID, before.ExecID, after.ID, before.ID)
	}
}

// TestSampleOfReusedPID gives the PID of a process to another while its files are read. All
// values of the Sample must be those of the first process.
func TestSampleOfReusedPID(t *testing.T) {
	tree := procfstree.New(t, 1000)
	tree.Set(procfstree.Process{PID: 10, Comm: "one", Start: 5, Voluntary: 1, ReadBytes: 1, FDs: 1})
	dir := filepath.Join(tree.Root, "10")
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		t.Fatal(err)
	}
	blocked := newBlockingFile(t, tree, 10, "status")
	w := newWorker(openSource(t, tree.Root).(*procfsSource))
	done := make(chan error)
	go func() {
		_, err := w.sample(10, 0, &procfsSample{Sample: Sample{ID: ID{PID: 10, Start: 5}, Want: FieldStatus | FieldIO | FieldFDs}})
		done <- err
	}()
	var in *os.File
	testenv.Eventually(t, func() bool {
		in, err = os.OpenFile(blocked.path, os.O_WRONLY|unix.O_NONBLOCK, 0)
		return err == nil
	})
	if err := os.Rename(dir, filepath.Join(tree.Root, "gone")); err != nil {
		t.Fatal(err)
	}
	tree.Set(procfstree.Process{PID: 10, Comm: "two", Start: 5, Voluntary: 2, ReadBytes: 2, FDs: 2})
	_, err = in.Write(status)
	if err := errors.Join(err, in.Close(), <-done); err != nil {
		t.Fatal(err)
	}
	s := &w.scratch.sample
	if s.Comm != "one" || s.VoluntarySwitches != 1 || s.ReadBytes != 1 || s.FDs != 1 || s.Have != s.Want|FieldStat {
		t.Errorf("got %+v, want the values of the first process", s)
	}
}

// TestYoungProcessSetsItsLimit lets a process set its limit of open files after the first
// walk, while it is young. At the next walk it is older than a minute.
func TestYoungProcessSetsItsLimit(t *testing.T) {
	cmd := exec.Command("sh", "-c", "read go; ulimit -n 77; echo; read end")
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = in.Close(), cmd.Wait() })
	src := openSource(t, "/proc").(*procfsSource)
	var snap Snapshot
	limit := func() uint64 {
		walk(t, src, &snap, FieldFDs|FieldFDLimit)
		return snap.Samples[snap.Index(cmd.Process.Pid)].FDLimit
	}
	if got := limit(); got == 77 || got == 0 {
		t.Errorf("got limit %d before it was set", got)
	}
	_, err1 = in.Write([]byte("\n"))
	_, err2 = out.Read(make([]byte, 1))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	src.clock.Simulate(func(id int32) time.Duration { return host.GetTime(id) + time.Hour })
	for range 2 {
		if got := limit(); got != 77 {
			t.Errorf("got limit %d, want 77", got)
		}
	}
}

// TestExitKeepsExecID reads a process that has released its memory. The addresses in stat are
// 0 then, but the process has not called execve.
func TestExitKeepsExecID(t *testing.T) {
	for name, exiting := range map[string]procfstree.Process{"zombie": {State: "Z"}, "exiting": {State: "D", Flags: flagExiting}} {
		t.Run(name, func(t *testing.T) {
			tree := procfstree.New(t, 1000)
			tree.Set(procfstree.Process{PID: 10, Comm: "c", Start: 5, StackStart: 4096})
			src := openSource(t, tree.Root)
			var snap Snapshot
			walk(t, src, &snap, FieldStat)
			before := snap.Samples[0].ExecID
			exiting.PID, exiting.Comm, exiting.Start = 10, "c", 5
			tree.Set(exiting)
			walk(t, src, &snap, FieldStat)
			if got := snap.Samples[0].ExecID; got != before {
				t.Errorf("got ExecID %x of an exiting process, want %x as before", got, before)
			}
		})
	}
}
