//go:build amd64 || arm64

package platform

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/platform/bpf"
	"github.com/seed57308aee/process_exporter/platform/process"
	"github.com/seed57308aee/process_exporter/testdata/proctree"
)

// openKernelSource opens the Source under test, or skips the test where it
// cannot be. In CI, where root runs the tests, that is a failure unless the
// kernel lacks what it takes.
func openKernelSource(t testing.TB) Source {
	t.Helper()
	src, err := Open(Options{Kind: KindBPF})
	if err != nil {
		_, noTypes := os.Stat("/sys/kernel/btf/vmlinux")
		if os.Getenv("CI") == "true" && os.Geteuid() == 0 && noTypes == nil {
			t.Fatalf("%+v", err)
		}
		t.Skipf("the kernel takes no programs here: %v", err)
	}
	t.Cleanup(func() {
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	})
	return src
}

// walkAll walks and wants everything of everyone.
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

// TestKernelAgreesWithProc over processes that stand still: whatever both can
// tell is the same, the first time and the next.
func TestKernelAgreesWithProc(t *testing.T) {
	kernel := openKernelSource(t)
	proc, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer proc.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	manyFiles := func(cmd *exec.Cmd) {
		for range 700 {
			cmd.ExtraFiles = append(cmd.ExtraFiles, null)
		}
	}
	odds := map[string]*child{
		"plain":        startChild(t, nil),
		"many files":   startChild(t, manyFiles),
		"many threads": startChild(t, nil, "threads=50"),
		"a name":       startChild(t, nil, "name=a ) b\n"),
		"a writer":     startChild(t, nil, "write="+t.TempDir()+"/file"),
	}
	odds["a zombie"] = startZombie(t)
	for name, o := range odds {
		if name != "a zombie" {
			if err := syscall.Kill(o.PID(), syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			eventually(t, func() bool { return standsStill(o.PID()) })
		}
	}
	var a, b Snapshot
	for range 3 {
		walkAll(t, kernel, &a)
		walkAll(t, proc, &b)
	}
	for name, o := range odds {
		i, j := a.Index(o.PID()), b.Index(o.PID())
		if i < 0 || j < 0 {
			t.Errorf("%s: at %d and %d", name, i, j)
			continue
		}
		for _, wrong := range disagree(&a.Samples[i], &b.Samples[j]) {
			t.Errorf("%s: %s", name, wrong)
		}
	}
	// The machine's other processes do not stand still, but who they are does: of
	// one that is renamed, or becomes another program, between two walks the next
	// two agree.
	for tries := 0; ; tries++ {
		wrong := differentWords(&a, &b)
		if len(wrong) == 0 {
			break
		}
		if tries == 20 {
			t.Fatalf("got %q", wrong)
		}
		walkAll(t, kernel, &a)
		walkAll(t, proc, &b)
	}
}

// standsStill reports whether all threads of a process are stopped and off
// their processors, each in its own time.
func standsStill(pid int) bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	for _, thread := range threads {
		stat, err1 := os.ReadFile(thread + "/stat")
		wchan, err2 := os.ReadFile(thread + "/wchan")
		if err1 != nil || err2 != nil || !strings.Contains(string(stat), ") T ") || string(wchan) == "0" {
			return false
		}
	}
	return err == nil && len(threads) > 0
}

// differentWords lists the processes that two walks call by different names.
func differentWords(a, b *Snapshot) (wrong []string) {
	both := 0
	for i := range a.Samples {
		s := &a.Samples[i]
		j := b.Index(s.PID)
		if j < 0 || b.Samples[j].Start != s.Start {
			continue
		}
		o := &b.Samples[j]
		both++
		if o.Have&FieldStat == 0 {
			continue // other tests have processes that do not answer
		}
		if s.PPID != o.PPID || s.Kernel != o.Kernel || !s.Kernel && s.Comm != o.Comm || s.FDLimit != o.FDLimit && s.State != 'Z' {
			wrong = append(wrong, fmt.Sprintf("process %d: %+v by the kernel, %+v by /proc", s.PID, s, o))
		}
	}
	if both < len(b.Samples)/2 {
		wrong = append(wrong, fmt.Sprintf("%d processes in common, of %d", both, len(b.Samples)))
	}
	return wrong
}

// disagree lists what differs between two Samples of a process that does not
// run. CPU time comes in nanoseconds and in ticks, and the switches of all
// threads or of the first.
func disagree(a, b *Sample) (wrong []string) {
	differ := func(what string, x, y any) {
		if x != y {
			wrong = append(wrong, fmt.Sprintf("%s is %v by the kernel and %v by /proc", what, x, y))
		}
	}
	const tick = 10_000_000
	cpu := func(what string, x, y uint64) {
		if x < y || x-y >= tick {
			differ(what, x, y)
		}
	}
	differ("state", string(a.State), string(b.State))
	differ("start", a.Start, b.Start)
	differ("parent", a.PPID, b.PPID)
	differ("name", a.Comm, b.Comm)
	differ("user", a.EUID, b.EUID)
	differ("threads", a.Threads, b.Threads)
	differ("virtual", a.VirtualBytes, b.VirtualBytes)
	differ("resident", a.ResidentBytes, b.ResidentBytes)
	differ("swap", a.SwapBytes, b.SwapBytes)
	differ("files", a.FDs, b.FDs)
	differ("limit", a.FDLimit, b.FDLimit)
	differ("minor faults", a.MinorFaults, b.MinorFaults)
	differ("major faults", a.MajorFaults, b.MajorFaults)
	differ("bytes read", a.ReadBytes, b.ReadBytes)
	differ("bytes written", a.WriteBytes, b.WriteBytes)
	// A page that all processes share, of the vDSO, is divided by their number.
	if x, y := a.PSSBytes, b.PSSBytes; max(x, y)-min(x, y) > 4096 {
		differ("shared memory", x, y)
	}
	differ("own memory", a.USSBytes, b.USSBytes)
	differ("wchan", a.WChan, b.WChan)
	differ("what is lost", a.Lost&everything, b.Lost&everything)
	differ("number of tasks", len(a.Tasks), len(b.Tasks))
	cpu("CPU time", a.UserNanos+a.SystemNanos, b.UserNanos+b.SystemNanos)
	var voluntary, nonvoluntary uint64
	for i := range min(len(a.Tasks), len(b.Tasks)) {
		x, y := &a.Tasks[i], &b.Tasks[i]
		differ("TID", x.TID, y.TID)
		differ("name of a thread", x.Comm, y.Comm)
		differ("state of a thread", string(x.State), string(y.State))
		differ("start of a thread", x.Start, y.Start)
		differ("switches of a thread", x.VoluntarySwitches, y.VoluntarySwitches)
		differ("switches of a thread", x.NonvoluntarySwitches, y.NonvoluntarySwitches)
		differ("faults of a thread", x.MinorFaults, y.MinorFaults)
		differ("bytes written by a thread", x.WriteBytes, y.WriteBytes)
		differ("wchan of a thread", x.WChan, y.WChan)
		cpu("CPU time of a thread", x.UserNanos+x.SystemNanos, y.UserNanos+y.SystemNanos)
		voluntary += x.VoluntarySwitches
		nonvoluntary += x.NonvoluntarySwitches
	}
	if len(a.Tasks) > 0 {
		differ("switches of all threads", a.VoluntarySwitches, voluntary)
		differ("switches of all threads", a.NonvoluntarySwitches, nonvoluntary)
	} else if a.State != 'Z' { // whose other threads have ended, which /proc forgets
		differ("switches", a.VoluntarySwitches, b.VoluntarySwitches)
		differ("switches", a.NonvoluntarySwitches, b.NonvoluntarySwitches)
	}
	return wrong
}

// TestDeadMainThread leaves the memory and the files of a process to its other
// threads, which the kernel's programs find.
func TestDeadMainThread(t *testing.T) {
	kernel := openKernelSource(t)
	o := startChild(t, nil, "threads=3", "exitmain")
	eventually(t, func() bool { return statusOf(t, o.Process) == process.StatusZombie })
	var snap Snapshot
	walkAll(t, kernel, &snap)
	s := &snap.Samples[snap.Index(o.PID())]
	if s.State != 'Z' || s.Threads < 4 || s.ResidentBytes == 0 || s.FDs < 3 || s.FDLimit == 0 {
		t.Errorf("got %+v, want a main thread that is a zombie and what the others hold", s)
	}
}

// TestKernelExits tells of a process that no walk met, with what it was called
// and all that it used.
func TestKernelExits(t *testing.T) {
	kernel := openKernelSource(t)
	var snap Snapshot
	walkAll(t, kernel, &snap)
	cmd := exec.Command("sh", "-c", "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; exit 3", "short")
	err := cmd.Run()
	var status *exec.ExitError
	if !errors.As(err, &status) {
		t.Fatal(err)
	}
	var got *Exit
	eventually(t, func() bool {
		walkAll(t, kernel, &snap)
		for i := range snap.Exits {
			if snap.Exits[i].PID == cmd.Process.Pid {
				got = &snap.Exits[i]
			}
		}
		return got != nil
	})
	used := status.UserTime().Nanoseconds() + status.SystemTime().Nanoseconds()
	// Its parent is told both parts in whole microseconds, each rounded down, and
	// before the process leaves its CPU for the last time.
	if cpu := int64(got.UserNanos + got.SystemNanos); cpu < used || cpu >= used+1_000_000 {
		t.Errorf("got %d ns of CPU time, want %d as its parent was told", cpu, used)
	}
	usage := status.SysUsage().(*syscall.Rusage)
	last := got.VoluntarySwitches - uint64(usage.Nvcsw)
	if got.MinorFaults != uint64(usage.Minflt) || last > 1 || got.PeakResidentBytes != uint64(usage.Maxrss)<<10 {
		t.Errorf("got %d faults, %d switches, %d bytes; want as %+v", got.MinorFaults, got.VoluntarySwitches, got.PeakResidentBytes, usage)
	}
	if reason, code := got.Reason(); reason != ReasonExited || code != "3" {
		t.Errorf("got %s %s, want %s 3", reason, code, ReasonExited)
	}
	id := kernel.ExitIdentity(got, IdentityArgs|IdentityUser|IdentityCgroups)
	if id.Comm != "sh" || len(id.Args) != 4 || id.Args[3] != "short" || id.Username == "" || got.PPID != os.Getpid() {
		t.Errorf("got %+v, child of %d", id, got.PPID)
	}
}

// TestKernelFails goes over to /proc within the same walk.
func TestKernelFails(t *testing.T) {
	src := openKernelSource(t)
	var snap Snapshot
	walkAll(t, src, &snap)
	k := src.(*kernelSource)
	if err := k.programs.Close(); err != nil {
		t.Fatal(err)
	}
	walkAll(t, src, &snap)
	kind, why := src.Kind()
	if kind != KindProcfs || why == nil || snap.Source != string(KindProcfs) {
		t.Errorf("got kind %s because of %v, and a walk by %s", kind, why, snap.Source)
	}
	if at := snap.Index(1); at < 0 || snap.Samples[at].Have&FieldStatus == 0 {
		t.Error("the first process is not in the walk that had to go over to /proc")
	}
	if src.ExitsPending() != nil {
		t.Error("there is still a promise to tell of exits")
	}
}

// TestKernelWithoutFiles fails walks for want of descriptors, which is no fault of
// the programs: they stay, and what ended meanwhile is told of by the next walk.
func TestKernelWithoutFiles(t *testing.T) {
	k := openKernelSource(t).(*kernelSource)
	var snap Snapshot
	walkAll(t, k, &snap)
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
	eventually(t, func() bool {
		if err := k.Walk(context.Background(), &snap); !errors.Is(err, unix.EMFILE) {
			t.Fatalf("got error %v, want that there are no files left", err)
		}
		return slices.ContainsFunc(k.exits, isChild)
	})
	restore()
	walkAll(t, k, &snap)
	if kind, why := k.Kind(); kind != KindBPF || snap.Source != string(KindBPF) || k.ExitsPending() == nil {
		t.Errorf("got kind %s because of %v, and a walk by %s", kind, why, snap.Source)
	}
	told := func() (n int) {
		for _, e := range snap.Exits {
			if isChild(e) {
				n++
			}
		}
		return n
	}
	if n := told(); n != 1 {
		t.Errorf("the first good walk tells %d times of a process that ended before, want 1", n)
	}
	if walkAll(t, k, &snap); told() != 0 {
		t.Error("the next walk tells of it again")
	}
}

// TestKernelWalkAllocates nothing that grows with the number of processes.
func TestKernelWalkAllocates(t *testing.T) {
	src := openKernelSource(t)
	for range 300 {
		sleeper := exec.Command("sleep", "1000")
		if err := sleeper.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			_ = sleeper.Process.Kill()
			_ = sleeper.Wait()
		}()
	}
	var snap Snapshot
	exits := 0 // of the machine's other processes
	walk := func() { walkAll(t, src, &snap); exits += len(snap.Exits) }
	for range 3 {
		walk()
	}
	exits = 0
	const runs = 5 // and one more
	if n := testing.AllocsPerRun(runs, walk); n > float64(len(snap.Samples)/2)+5*float64(exits)/runs {
		t.Errorf("got %v allocations in a walk over %d processes, want a few", n, len(snap.Samples))
	}
}

func TestCPUTimes(t *testing.T) {
	const ms = 1_000_000
	tests := []struct {
		name                 string
		usage                bpf.Usage
		lastUser, lastSystem uint64
		wantUser, wantSystem uint64
	}{
		{"no tick has met it", bpf.Usage{Runtime: 3 * ms}, 0, 0, 3 * ms, 0},
		{"only in user mode", bpf.Usage{Runtime: 9 * ms, Utime: 12 * ms}, 0, 0, 9 * ms, 0},
		{"only in the kernel", bpf.Usage{Runtime: 9 * ms, Stime: 12 * ms}, 0, 0, 0, 9 * ms},
		{"by the ratio of ticks", bpf.Usage{Runtime: 90 * ms, Utime: 20 * ms, Stime: 40 * ms}, 0, 0, 30 * ms, 60 * ms},
		{"years of it", bpf.Usage{Runtime: 1 << 62, Utime: 1 << 61, Stime: 1 << 61}, 0, 0, 1 << 61, 1 << 61},
		{"user time never falls", bpf.Usage{Runtime: 90 * ms, Utime: 20 * ms, Stime: 40 * ms}, 50 * ms, 0, 50 * ms, 40 * ms},
		{"system time never falls", bpf.Usage{Runtime: 90 * ms, Utime: 20 * ms, Stime: 40 * ms}, 0, 70 * ms, 20 * ms, 70 * ms},
		{"not below what /proc has shown", bpf.Usage{Runtime: 90 * ms, Utime: 20 * ms, Stime: 40 * ms, PrevUtime: 40 * ms, PrevStime: 45 * ms}, 0, 0, 40 * ms, 50 * ms},
		{"and does not run backwards", bpf.Usage{Runtime: 9 * ms, Utime: 20 * ms}, 8 * ms, 4 * ms, 8 * ms, 4 * ms},
	}
	for _, tt := range tests {
		if user, system := cpuTimes(&tt.usage, tt.lastUser, tt.lastSystem); user != tt.wantUser || system != tt.wantSystem {
			t.Errorf("%s: got %d and %d, want %d and %d", tt.name, user, system, tt.wantUser, tt.wantSystem)
		}
	}
}

func TestStateLetter(t *testing.T) {
	tests := []struct {
		state, exit uint32
		want        byte
	}{
		{0, 0, 'R'}, {1, 0, 'S'}, {2, 0, 'D'}, {4, 0, 'T'}, {8, 0, 't'}, {0x80, 0x10, 'X'}, {0x80, 0x20, 'Z'}, {0x40, 0, 'P'},
		{0x402, 0, 'I'}, {0x102, 0, 'D'}, {0x1000, 0, 'D'}, {0x8000, 0, 'D'}, {0x2001, 0, 'S'},
	}
	for _, tt := range tests {
		if got := stateLetter(tt.state, tt.exit); got != tt.want {
			t.Errorf("%#x, %#x: got %c, want %c", tt.state, tt.exit, got, tt.want)
		}
	}
}

func TestExitReason(t *testing.T) {
	tests := []struct {
		status       uint32
		reason, code string
	}{
		{0, ReasonExited, "0"}, {255 << 8, ReasonExited, "255"}, {9, ReasonKilled, "SIGKILL"}, {11 | 0x80, ReasonDumped, "SIGSEGV"},
		{34, ReasonKilled, "SIGRTMIN"}, {64, ReasonKilled, "SIGRTMIN+30"}, {32, ReasonKilled, "32"},
	}
	for _, tt := range tests {
		if reason, code := (&Exit{Status: tt.status}).Reason(); reason != tt.reason || code != tt.code {
			t.Errorf("%#x: got %s %s, want %s %s", tt.status, reason, code, tt.reason, tt.code)
		}
	}
}

// TestThreadsOutOfOrder puts together what comes in the order of TIDs, which is
// not that of processes once the numbers have wrapped.
func TestThreadsOutOfOrder(t *testing.T) {
	k := &kernelSource{ticks: ticks{nanos: 10_000_000, page: 4096}}
	thread := func(pid, tid int32, runtime, ended uint64) *bpf.Thread {
		return &bpf.Thread{Pid: pid, Tid: tid, ExitedRuntime: ended, Usage: bpf.Usage{Runtime: runtime}}
	}
	snap := &Snapshot{Samples: make([]Sample, 2)}
	for i, p := range []bpf.Process{
		{Pid: 50, Threads: 3, Usage: bpf.Usage{Runtime: 1}},
		{Pid: 60, Threads: 2, ExitedRuntime: 7, Usage: bpf.Usage{Runtime: 10 + 7}},
	} {
		snap.Samples[i] = k.sample(&p, nil)
		k.families = append(k.families, newFamily(i, &p, nil))
	}
	k.threads = []*bpf.Thread{
		thread(60, 40, 100, 6), // looked at before its process, and may be among the dead by then
		thread(50, 45, 20, 0),
		thread(50, 50, 1, 0),
		thread(60, 60, 10, 7),
		thread(50, 70, 300, 0),
		thread(60, 80, 4000, 7),
		thread(90, 95, 5, 0), // of a process that had one thread when we looked
	}
	k.deal(snap)
	for i, want := range []struct {
		tids  []int
		nanos uint64
	}{{[]int{45, 50, 70}, 321}, {[]int{40, 60, 80}, 4017}} {
		s := &snap.Samples[i]
		var tids []int
		for _, task := range s.Tasks {
			tids = append(tids, task.TID)
		}
		if fmt.Sprint(tids) != fmt.Sprint(want.tids) || s.UserNanos != want.nanos {
			t.Errorf("process %d: got threads %v with %d ns, want %v with %d", s.PID, tids, s.UserNanos, want.tids, want.nanos)
		}
	}
}

// TestSupplementOfAnother reads the shares of memory of a process that the kernel's
// programs have told of, and of one whose PID has gone to another since.
func TestSupplementOfAnother(t *testing.T) {
	tree := proctree.New(t, 1000)
	tree.Set(proctree.Process{PID: 7, Comm: "p", Args: []string{"x"}, Start: 151, RSS: 3, PSSKB: 12})
	w := newWorker(openSource(t, tree.Root).(*source))
	w.turn = 1
	for start, want := range map[uint64]Fields{151: FieldSmaps, 150: 0} {
		for _, known := range []bool{false, true} {
			s := Sample{ID: ID{PID: 7, Start: start}, State: 'S', Threads: 1, Want: FieldSmaps, smapsStale: true}
			w.supplementSmaps(&s, known)
			if s.Have != want || s.Lost != 0 {
				t.Errorf("start %d, known %v: got %+v", start, known, s)
			}
		}
	}
}
