//go:build amd64 || arm64

package platform

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/platform/bpf"
	"github.com/seed57308aee/process_exporter/platform/process"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

// openBPFSource opens a source of SourceBPF, or skips the test if it cannot.
func openBPFSource(t testing.TB) Source {
	t.Helper()
	src, err := Open(Options{Kind: SourceBPF})
	if err != nil {
		testenv.SkipWithoutBPF(t, err)
	}
	t.Cleanup(func() {
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	})
	return src
}

// walkAll makes a walk that reads every field of every process.
func walkAll(t testing.TB, src Source, snap *Snapshot) {
	t.Helper()
	ctx := context.Background()
	if err := src.Walk(ctx, snap); err != nil {
		t.Fatal(err)
	}
	for i := range snap.Samples {
		snap.Samples[i].Want = everything
	}
	src.Complete(ctx, snap)
}

// TestBPFZombieMainThread reads a process whose main thread has exited. Its memory and its files are
// those of its other threads.
func TestBPFZombieMainThread(t *testing.T) {
	src := openBPFSource(t)
	c := startChild(t, nil, "threads=3", "exitmain")
	testenv.Eventually(t, func() bool { return statusOf(t, c.Process) == process.StatusZombie })
	var snap Snapshot
	walkAll(t, src, &snap)
	s := &snap.Samples[snap.Index(c.PID())]
	if s.State != 'Z' || s.NumThreads < 4 || s.ResidentBytes == 0 || s.FDs < 3 || s.FDLimit == 0 {
		t.Errorf("got %+v, want a zombie main thread with the memory and files of the other threads", s)
	}
}

// TestBPFExits reads the exit of a process that no walk has seen, with its names and its
// usage.
func TestBPFExits(t *testing.T) {
	src := openBPFSource(t)
	var snap Snapshot
	walkAll(t, src, &snap)
	cmd := exec.Command("sh", "-c", "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; exit 3", "short")
	err := cmd.Run()
	var status *exec.ExitError
	if !errors.As(err, &status) {
		t.Fatal(err)
	}
	var got *Exit
	testenv.Eventually(t, func() bool {
		walkAll(t, src, &snap)
		for i := range snap.Exits {
			if snap.Exits[i].PID == cmd.Process.Pid {
				got = &snap.Exits[i]
			}
		}
		return got != nil
	})
	used := status.UserTime().Nanoseconds() + status.SystemTime().Nanoseconds()
	// wait4(2) rounds both times down to microseconds, and does not include the last
	// context switch.
	if cpu := int64(got.UserNanos + got.SystemNanos); cpu < used || cpu >= used+1_000_000 {
		t.Errorf("got %d ns of CPU time, want %d as in wait4", cpu, used)
	}
	usage := status.SysUsage().(*syscall.Rusage)
	last := got.VoluntarySwitches - uint64(usage.Nvcsw)
	if got.MinorFaults != uint64(usage.Minflt) || last > 1 || got.PeakResidentBytes != uint64(usage.Maxrss)<<10 {
		t.Errorf("got %d faults, %d switches, %d bytes; want those of %+v", got.MinorFaults, got.VoluntarySwitches, got.PeakResidentBytes, usage)
	}
	if reason, code := got.Reason(); reason != ReasonExited || code != "3" {
		t.Errorf("got %s %s, want %s 3", reason, code, ReasonExited)
	}
	id := src.ExitIdentity(got, IdentityArgs|IdentityUser|IdentityCgroups)
	if id.Comm != "sh" || len(id.Args) != 4 || id.Args[3] != "short" || id.Username == "" || got.PPID != os.Getpid() {
		t.Errorf("got %+v with parent %d, want \"sh\" with 4 arguments and parent %d", id, got.PPID, os.Getpid())
	}
}

// TestBPFFailure checks that a walk reads /proc if the programs fail, that it reports the exits,
// and that the next walk uses the programs again.
func TestBPFFailure(t *testing.T) {
	src := openBPFSource(t).(*bpfSource)
	var snap Snapshot
	walkAll(t, src, &snap)
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	src.scanTasks = func(*bpf.Scanner) error { return broken }
	exits := 0
	testenv.Eventually(t, func() bool {
		walkAll(t, src, &snap)
		if kind, reason := src.Kind(); kind != SourceProcfs || !errors.Is(reason, broken) || snap.Kind != SourceProcfs {
			t.Errorf("got kind %s, reason %v, a walk of %s; want %s because of %v", kind, reason, snap.Kind, SourceProcfs, broken)
		}
		for i := range snap.Exits {
			if snap.Exits[i].PID == cmd.Process.Pid {
				exits++
			}
		}
		return exits > 0
	})
	if at := snap.Index(1); at < 0 || snap.Samples[at].Have&FieldStatus == 0 {
		t.Error("process 1 is missing in a walk of /proc")
	}
	src.scanTasks = src.programs.ScanTasks
	walkAll(t, src, &snap)
	if kind, reason := src.Kind(); kind != SourceBPF || reason != nil || snap.Kind != SourceBPF || src.ExitsReady() == nil {
		t.Errorf("got kind %s, reason %v, a walk of %s; want %s", kind, reason, snap.Kind, SourceBPF)
	}
	for i := range snap.Exits {
		if snap.Exits[i].PID == cmd.Process.Pid {
			t.Error("got another report of the exit")
		}
	}
}

// TestBPFWithoutDescriptors checks walks that fail because this process has no file
// descriptors left. The programs stay in use, and the next walk reports the exits in
// between once.
func TestBPFWithoutDescriptors(t *testing.T) {
	src := openBPFSource(t).(*bpfSource)
	var snap Snapshot
	walkAll(t, src, &snap)
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	isChild := func(e Exit) bool { return e.PID == cmd.Process.Pid }
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := unix.Rlimit{Max: limit.Max}
	restore := func() { _ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit) }
	defer restore()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, func() bool {
		if err := src.Walk(context.Background(), &snap); !errors.Is(err, unix.EMFILE) {
			t.Fatalf("got error %v, want EMFILE", err)
		}
		return slices.ContainsFunc(src.exits.reaped, isChild)
	})
	restore()
	walkAll(t, src, &snap)
	if kind, reason := src.Kind(); kind != SourceBPF || snap.Kind != SourceBPF || src.ExitsReady() == nil {
		t.Errorf("got kind %s, reason %v, a walk of %s; want %s", kind, reason, snap.Kind, SourceBPF)
	}
	reported := func() (n int) {
		for _, e := range snap.Exits {
			if isChild(e) {
				n++
			}
		}
		return n
	}
	if n := reported(); n != 1 {
		t.Errorf("got %d reports of the exit in the next successful walk, want 1", n)
	}
	if walkAll(t, src, &snap); reported() != 0 {
		t.Error("got another report of the exit in the walk after that")
	}
}

// TestBPFWalkAllocs checks that the allocations of a walk do not grow with the number of
// processes.
func TestBPFWalkAllocs(t *testing.T) {
	src := openBPFSource(t)
	for range 300 {
		idle := exec.Command("sleep", "1000")
		if err := idle.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			_ = idle.Process.Kill()
			_ = idle.Wait()
		}()
	}
	var snap Snapshot
	exits := 0 // of other processes
	walk := func() { walkAll(t, src, &snap); exits += len(snap.Exits) }
	for range 3 {
		walk()
	}
	// The walk also sees processes that other tests start and end.
	const tries, runs = 20, 5 // and one more run
	var n float64
	for range tries {
		exits = 0
		if n = testing.AllocsPerRun(runs, walk); n <= float64(len(snap.Samples)/2)+5*float64(exits)/runs {
			return
		}
	}
	t.Errorf("got %v allocations in a walk over %d processes, want fewer than half of that", n, len(snap.Samples))
}
