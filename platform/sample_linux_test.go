package platform

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/platform/internal/host"
	"github.com/seed57308aee/process_exporter/testdata/proctree"
)

func TestSampleOfEveryPart(t *testing.T) {
	tree := proctree.New(t, 1000)
	tree.Set(proctree.Process{PID: 7, PPID: 3, Comm: "a) b", Args: []string{"x"}, State: "S", UTime: 150, STime: 25, Start: 77, MinFlt: 4, MajFlt: 5, VSize: 8192, RSS: 3,
		UIDs: [4]uint32{1, 2, 3, 4}, SwapKB: 6, Voluntary: 70, Nonvol: 80, ReadBytes: 900, WriteBytes: 1000, FDs: 3, FDLimit: "11", WChan: "do_wait", PSSKB: 12, SwapPSSKB: 13, USSKB: 14,
		Threads: []proctree.Thread{{TID: 9, Comm: "w\xff", Start: 78, State: "D", UTime: 1, STime: 2, MinFlt: 3, MajFlt: 4, Voluntary: 5, Nonvol: 6, ReadBytes: 7, WriteBytes: 8, WChan: "io_schedule"}}})
	src := openSource(t, tree.Root)
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
	want := Task{TID: 9, State: 'D', Have: FieldStatus | FieldWChan | FieldTaskUsage | FieldIO, VoluntarySwitches: 5, NonvoluntarySwitches: 6, WChan: "io_schedule", Comm: "w\xff", Start: 78,
		UserNanos: tick, SystemNanos: 2 * tick, MinorFaults: 3, MajorFaults: 4, ReadBytes: 7, WriteBytes: 8}
	if task != want {
		t.Errorf("got %+v, want %+v", task, want)
	}
	s.Tasks, s.pulse = nil, pulse{}
	if s.SmapsTicks != 1000 || s.smapsWalk != 1 {
		t.Errorf("got smaps of tick %d, walk %d", s.SmapsTicks, s.smapsWalk)
	}
	s.SmapsTicks, s.smapsWalk, s.smapsCost = 0, 0, 0
	all := Sample{ID: ID{PID: 7, Start: 77}, PPID: 3, Want: everything, Have: everything, Comm: "a) b", State: 'S', ExecID: s.ExecID, UserNanos: 150 * tick, SystemNanos: 25 * tick,
		MinorFaults: 4, MajorFaults: 5, Threads: 2, VirtualBytes: 8192, ResidentBytes: 3 * uint64(os.Getpagesize()), SwapBytes: 6144, EUID: 2,
		ReadBytes: 900, WriteBytes: 1000, FDs: 3, FDLimit: 11, PSSBytes: 12 << 10, SwapPSSBytes: 13 << 10, USSBytes: 14 << 10}
	if got := describe(s); got != describe(all) {
		t.Errorf("got  %s\nwant %s", got, describe(all))
	}
	if snap.Now != 1000 || snap.BootTime.Unix() != proctree.BootTime || snap.TicksPerSecond != 100 {
		t.Errorf("got Now %d, BootTime %v, TicksPerSecond %d", snap.Now, snap.BootTime, snap.TicksPerSecond)
	}
}

func TestIdentity(t *testing.T) {
	tree := proctree.New(t, 1000)
	tree.Set(proctree.Process{PID: 7, Comm: "c", Args: []string{"/bin/x", "", "a b"}, Start: 150, UIDs: [4]uint32{0, 4242424, 0, 0}, Cgroup: "9:name=systemd:/a:b\n0::/x.scope\n"})
	src := openSource(t, tree.Root)
	var snap Snapshot
	walk(t, src, &snap, FieldStat)
	got, err := src.Identify(context.Background(), &snap.Samples[0], IdentityArgs|IdentityUser|IdentityCgroups)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Args) != 3 || got.Args[2] != "a b" || got.Comm != "c" || got.EUID != 4242424 || got.Username != "4242424" ||
		len(got.Cgroups) != 2 || got.Cgroups[0] != "/a:b" || got.Cgroups[1] != "/x.scope" || !got.StartTime.Equal(time.Unix(proctree.BootTime+1, 5e8)) {
		t.Errorf("got %+v", got)
	}
	tree.Set(proctree.Process{PID: 7, Comm: "other", Start: 151})
	if _, err := src.Identify(context.Background(), &snap.Samples[0], IdentityArgs); !errors.Is(err, ErrGone) {
		t.Errorf("got error %v of a PID that another process has now, want ErrGone", err)
	}
}

// TestWChanIsReadOncePerSleep shows that a thread which has not switched since
// is not asked again where it sleeps.
func TestWChanIsReadOncePerSleep(t *testing.T) {
	tree := proctree.New(t, 1000)
	p := proctree.Process{PID: 7, Comm: "c", Start: 5, Voluntary: 1, WChan: "first"}
	tree.Set(p)
	src := openSource(t, tree.Root)
	var snap Snapshot
	steps := []struct {
		name string
		edit func()
		want string
	}{
		{"first sight", func() {}, "first"},
		{"still asleep", func() { p.WChan = "second" }, "first"},
		{"has run", func() { p.Voluntary = 2 }, "second"},
		{"was pushed aside", func() { p.Nonvol, p.WChan = 1, "third" }, "third"},
		{"runs", func() { p.State = "R" }, ""},
		{"sleeps again", func() { p.State, p.WChan = "S", "fourth" }, "fourth"},
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

func TestExecChangesTheToken(t *testing.T) {
	// The shell waits for a line before it becomes another program.
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
	look := func() Sample {
		walk(t, src, &snap, FieldStat)
		at := snap.Index(cmd.Process.Pid)
		if at < 0 {
			t.Fatal("the process is gone")
		}
		return snap.Samples[at]
	}
	var before Sample
	eventually(t, func() bool { before = look(); return before.Comm == "sh" && before.State == 'S' })
	if again := look(); again.ExecID != before.ExecID {
		t.Errorf("got another token for a process that did nothing")
	}
	if _, err := in.Write([]byte("go\n")); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return look().Comm == "sleep" })
	if after := look(); after.ExecID == before.ExecID || after.ID != before.ID {
		t.Errorf("got token %x after execve and %x before, of %v and %v", after.ExecID, before.ExecID, after.ID, before.ID)
	}
}

func TestOpenRefusesWhatIsNoProc(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, root := range map[string]string{"nothing there": "/no/such/place", "a file": file, "an empty directory": t.TempDir(), "a directory with another stat": "/sys"} {
		if src, err := Open(Options{Root: root}); err == nil {
			_ = src.Close()
			t.Errorf("%s: got no error of %s", name, root)
		}
	}
}

// TestThreadIOIsReadWithTheSum shows that the I/O of threads which run is read
// only if that of the process has grown, or is something when a thread is new.
func TestThreadIOIsReadWithTheSum(t *testing.T) {
	tree := proctree.New(t, 1000)
	p := proctree.Process{PID: 7, Comm: "c", Start: 5, Threads: []proctree.Thread{{TID: 9, Comm: "w", Start: 6}}}
	worker := &p.Threads[0]
	src := openSource(t, tree.Root)
	var snap Snapshot
	steps := []struct {
		name                string
		edit                func()
		wantRead, wantWrite uint64
	}{
		{"the sums are nothing, which no kernel does", func() { worker.ReadBytes, worker.WriteBytes = 1, 2 }, 0, 0},
		{"not any more", func() { p.ReadBytes, p.WriteBytes = 10, 20 }, 1, 2},
		{"the sums are the same, which no kernel does", func() { worker.ReadBytes, worker.WriteBytes = 3, 4 }, 1, 2},
		{"more is read", func() { p.ReadBytes++ }, 3, 4},
		{"more is written", func() { p.WriteBytes++; worker.WriteBytes = 5 }, 3, 5},
		{"another thread has the number", func() { worker.Start, worker.ReadBytes = 7, 6 }, 6, 5},
		{"another program", func() { p.StackStart, worker.ReadBytes = 1, 7 }, 7, 5},
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
			t.Errorf("%s: got %+v", step.name, tasks)
		}
	}
}

// TestSampleIsOfOneProcess gives the PID of a process to another while its files are
// read: all of the Sample is of the first.
func TestSampleIsOfOneProcess(t *testing.T) {
	tree := proctree.New(t, 1000)
	tree.Set(proctree.Process{PID: 10, Comm: "one", Start: 5, Voluntary: 1, ReadBytes: 1, FDs: 1})
	dir := filepath.Join(tree.Root, "10")
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		t.Fatal(err)
	}
	stuck := newPlug(t, tree, 10, "status")
	w := newWorker(openSource(t, tree.Root).(*source))
	done := make(chan error)
	go func() {
		_, err := w.sample(10, 0, &Sample{ID: ID{PID: 10, Start: 5}, Want: FieldStatus | FieldIO | FieldFDs})
		done <- err
	}()
	var in *os.File
	eventually(t, func() bool {
		in, err = os.OpenFile(stuck.path, os.O_WRONLY|unix.O_NONBLOCK, 0)
		return err == nil
	})
	if err := os.Rename(dir, filepath.Join(tree.Root, "gone")); err != nil {
		t.Fatal(err)
	}
	tree.Set(proctree.Process{PID: 10, Comm: "two", Start: 5, Voluntary: 2, ReadBytes: 2, FDs: 2})
	_, err = in.Write(status)
	if err := errors.Join(err, in.Close(), <-done); err != nil {
		t.Fatal(err)
	}
	s := &w.read.sample
	if s.Comm != "one" || s.VoluntarySwitches != 1 || s.ReadBytes != 1 || s.FDs != 1 || s.Have != s.Want|FieldStat {
		t.Errorf("got %+v", s)
	}
}

// TestOwnLimit has a process set its limit of open files after it was met, within its
// first minute, which is over at the next walk.
func TestOwnLimit(t *testing.T) {
	cmd := exec.Command("sh", "-c", "read go; ulimit -n 77; echo; read end")
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = in.Close(), cmd.Wait() })
	src := openSource(t, "/proc").(*source)
	var snap Snapshot
	limit := func() uint64 {
		walk(t, src, &snap, FieldFDs|FieldFDLimit)
		return snap.Samples[snap.Index(cmd.Process.Pid)].FDLimit
	}
	if got := limit(); got == 77 || got == 0 {
		t.Errorf("got limit %d at first", got)
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
