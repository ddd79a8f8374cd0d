package process

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// TestAgreesWithPs compares with ps, which parses the same files itself.
func TestAgreesWithPs(t *testing.T) {
	p := startStopped(t, "map=anonymous,8388608")
	info := must[MemoryInfo](t)(p.MemoryInfo())
	uids, gids := must[CredentialIDs](t)(p.UIDs()), must[CredentialIDs](t)(p.GIDs())
	times := must[CPUTimes](t)(p.CPUTimes())
	for column, want := range map[string]any{
		"pid": p.PID(), "ppid": must[int](t)(p.PPID()), "ruid": uids.Real, "uid": uids.Effective, "suid": uids.Saved,
		"rgid": gids.Real, "gid": gids.Effective, "sgid": gids.Saved, "ruser:99": must[string](t)(p.Username()),
		"comm": must[string](t)(p.Name()), "args": strings.Join(must[[]string](t)(p.Cmdline()), " "),
		"ni": must[int](t)(p.Nice()), "nlwp": must[int](t)(p.NumThreads()), "vsz": info.VMS >> 10,
		"min_flt": must[PageFaults](t)(p.PageFaults()).Minor, "maj_flt": must[PageFaults](t)(p.PageFaults()).Major,
		"psr": must[int](t)(p.CPUNum()), "times": int((times.User + times.System).Seconds()),
	} {
		wantEqual(t, column, testenv.Output(t, "ps", "-ww", "-o", column+"=", "-p", strconv.Itoa(p.PID())), fmt.Sprint(want))
	}
	psRSS := must[uint64](t)(strconv.ParseUint(testenv.Output(t, "ps", "-o", "rss=", "-p", strconv.Itoa(p.PID())), 10, 64))
	const tolerance = 1 << 20 // the kernel batches counters per CPU
	if info.RSS < psRSS<<10-tolerance || info.RSS > psRSS<<10+tolerance {
		t.Errorf("got RSS %d, want about %d KiB as in ps", info.RSS, psRSS)
	}
}

// TestAgreesWithStatus compares with /proc/PID/status, which most methods do not
// read.
func TestAgreesWithStatus(t *testing.T) {
	p := startStopped(t)
	fields := make(map[string]string)
	for line := range strings.Lines(string(must[[]byte](t)(os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))))) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":\t")
		fields[key] = value
	}
	kib := func(key string) uint64 {
		return must[uint64](t)(strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(fields[key], " kB")), 10, 64)) << 10
	}
	uids, switches := must[CredentialIDs](t)(p.UIDs()), must[ContextSwitches](t)(p.ContextSwitches())
	for key, want := range map[string]any{
		"Name": must[string](t)(p.Name()), "State": "T (" + statusOf(t, p.Process).String() + ")", "PPid": must[int](t)(p.PPID()),
		"Threads": must[int](t)(p.NumThreads()), "Tgid": p.PID(),
		"Uid":                     fmt.Sprintf("%d\t%d\t%d\t%d", uids.Real, uids.Effective, uids.Saved, uids.Effective),
		"voluntary_ctxt_switches": switches.Voluntary, "nonvoluntary_ctxt_switches": switches.Involuntary,
	} {
		wantEqual(t, key, fields[key], fmt.Sprint(want))
	}
	ex := must[MemoryInfoEx](t)(p.MemoryInfoEx())
	wantEqual(t, "sum of RSS", ex.RSSAnon+ex.RSSFile+ex.RSSShmem, kib("VmRSS"))
	wantEqual(t, "peak of RSS", ex.PeakRSS, kib("VmHWM"))
	wantEqual(t, "peak of VMS", ex.PeakVMS, kib("VmPeak"))
	if ex.PeakRSS < kib("VmRSS") || must[MemoryInfo](t)(p.MemoryInfo()).VMS != kib("VmSize") {
		t.Errorf("got %+v, want the values of status %v", ex, fields)
	}
}

// TestAgreesWithMaps compares the sum of all mappings with the sum of the kernel.
func TestAgreesWithMaps(t *testing.T) {
	p := startStopped(t, "threads=3")
	whole := must[Footprint](t)(p.Footprint())
	var sum Footprint
	paths := make(map[string]bool)
	each := must[[]MemoryMap](t)(p.MemoryMaps())
	for _, m := range each {
		sum.USS += m.PrivateClean + m.PrivateDirty
		sum.PSS += m.PSS
		if m.RSS > m.Size || m.PSS > m.RSS || m.End-m.Start != m.Size || m.Path[0] != '/' && m.Path[0] != '[' {
			t.Errorf("got mapping %+v, want PSS <= RSS <= Size and a path", m)
		}
	}
	for _, m := range must[[]MemoryMap](t)(p.MemoryMapsByPath()) {
		if paths[m.Path] {
			t.Errorf("got path %s twice, want it once", m.Path)
		}
		paths[m.Path] = true
	}
	wantEqual(t, "USS", whole.USS, sum.USS)
	if most := sum.PSS + uint64(len(each))<<10; whole.PSS < sum.PSS || whole.PSS > most { // the kernel rounds each mapping down to 1 KiB
		t.Errorf("got PSS %d, want from %d to %d", whole.PSS, sum.PSS, most)
	}
	lines := must[[]byte](t)(os.ReadFile(fmt.Sprintf("/proc/%d/maps", p.PID())))
	wantEqual(t, "mappings", len(each), bytes.Count(lines, []byte("\n")))
}

// TestAgreesWithGetrusage reads this process between two calls of getrusage(2).
func TestAgreesWithGetrusage(t *testing.T) {
	self := openProcess(t, os.Getpid())
	var before, after syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
		t.Fatal(err)
	}
	times, faults := must[CPUTimes](t)(self.CPUTimes()), must[PageFaults](t)(self.PageFaults())
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
		t.Fatal(err)
	}
	const tick = 10 * time.Millisecond
	between := func(what string, low, got, high int64) {
		if got < low || got > high {
			t.Errorf("%s: got %d, want from %d to %d", what, got, low, high)
		}
	}
	low, high := before.Utime.Nano()+before.Stime.Nano(), after.Utime.Nano()+after.Stime.Nano()
	between("CPU", low-int64(2*tick), int64(times.User+times.System), high+int64(tick))
	between("minor faults", int64(before.Minflt), int64(faults.Minor), int64(after.Minflt))
	between("major faults", int64(before.Majflt), int64(faults.Major), int64(after.Majflt))
}

// TestThreadTimesSum checks that the CPU times of the threads sum up to that of the
// process.
func TestThreadTimesSum(t *testing.T) {
	p := startStopped(t, "busy", "threadname=other")
	var sum time.Duration
	threads := must[[]Thread](t)(p.Threads())
	for _, thread := range threads {
		sum += thread.User + thread.System
	}
	times := must[CPUTimes](t)(p.CPUTimes())
	if rounded := time.Duration(2*len(threads)) * 10 * time.Millisecond; (times.User + times.System - sum).Abs() > rounded {
		t.Errorf("got a sum of %v, want about %+v", sum, times)
	}
}

// TestAgreesWithSs compares with ss, which uses netlink.
func TestAgreesWithSs(t *testing.T) {
	l := must[net.Listener](t)(net.Listen("tcp4", "127.0.0.1:0"))
	defer l.Close()
	c, accepted := testenv.Connect(t, l)
	defer c.Close()
	defer accepted.Close()
	testenv.RequireProgram(t, "ss")
	self := openProcess(t, os.Getpid())
	var got, want []string
	for _, c := range must[[]Connection](t)(self.Connections(ConnectionTCP4)) {
		if c.Status == ConnListen || c.Status == ConnEstablished {
			got = append(got, fmt.Sprintf("%v %d", c.Local, c.FD))
		}
	}
	for line := range strings.Lines(testenv.Output(t, "ss", "-tanp4H", "state", "listening", "state", "established")) {
		fields := strings.Fields(line)
		_, owner, ours := strings.Cut(line, fmt.Sprintf("pid=%d,fd=", os.Getpid()))
		if ours {
			fd, _, _ := strings.Cut(owner, ")")
			want = append(want, fields[len(fields)-3]+" "+fd)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || len(got) < 3 {
		t.Errorf("got %q, want %q as in ss, and 3 or more", got, want)
	}
}

// TestIOCounters starts a child that writes 1 MiB and then reads 1 MiB.
func TestIOCounters(t *testing.T) {
	const transfer, slack = 1 << 20, 1 << 12
	p := startChild(t, nil, "await", "write="+t.TempDir()+"/file", "await", fmt.Sprintf("read=%d", transfer))
	before := must[IOCounters](t)(p.IOCounters())
	p.Step(t)
	written := must[IOCounters](t)(p.IOCounters())
	p.Step(t)
	read := must[IOCounters](t)(p.IOCounters())
	for _, tt := range []struct {
		name        string
		grown       uint64
		least, most uint64
	}{
		{"written while writing", written.WriteChars - before.WriteChars, transfer, transfer + slack},
		{"read while writing", written.ReadChars - before.ReadChars, 0, slack},
		{"read while reading", read.ReadChars - written.ReadChars, transfer, transfer + slack},
		{"written while reading", read.WriteChars - written.WriteChars, 0, slack},
		{"writes", written.WriteCount - before.WriteCount, 1, 100},
		{"reads", read.ReadCount - written.ReadCount, 1, 1000},
	} {
		if tt.grown < tt.least || tt.grown > tt.most {
			t.Errorf("%s: got %d more, want from %d to %d", tt.name, tt.grown, tt.least, tt.most)
		}
	}
	wantEqual(t, "on storage", written.WriteBytes-before.WriteBytes >= transfer || isMemory(t), true)
}

// isMemory reports whether temporary files are on tmpfs, which writes to no storage.
func isMemory(t *testing.T) bool {
	t.Helper()
	var fs unix.Statfs_t
	if err := unix.Statfs(t.TempDir(), &fs); err != nil {
		t.Fatal(err)
	}
	return fs.Type == unix.TMPFS_MAGIC
}

// TestCountersGrow starts a child that creates threads and maps memory in steps.
func TestCountersGrow(t *testing.T) {
	p := startChild(t, nil, "await", "threads=20", "await", "map=anonymous,16777216")
	testenv.Eventually(t, func() bool { return statusOf(t, p.Process) == StatusSleeping }) // otherwise the step may arrive before it blocks
	switches := must[ContextSwitches](t)(p.ContextSwitches())
	p.Step(t)
	testenv.Eventually(t, func() bool { return must[int](t)(p.NumThreads()) > 20 })
	if got := must[ContextSwitches](t)(p.ContextSwitches()); got.Voluntary <= switches.Voluntary {
		t.Errorf("got %+v after the child has blocked, want more than %+v", got, switches)
	}
	memory, faults := must[MemoryInfo](t)(p.MemoryInfo()), must[PageFaults](t)(p.PageFaults())
	p.Step(t)
	const tolerance = 1 << 20 // the kernel batches counters per CPU
	if got := must[MemoryInfo](t)(p.MemoryInfo()); got.RSS < memory.RSS+16<<20-tolerance || got.VMS < memory.VMS+16<<20 {
		t.Errorf("got %+v after a mapping of 16 MiB, want 16 MiB more than %+v", got, memory)
	}
	if got := must[PageFaults](t)(p.PageFaults()); got.Minor <= faults.Minor {
		t.Errorf("got %+v after page faults, want more than %+v", got, faults)
	}
}

// TestBusyProcess starts a child that always runs, on one CPU.
func TestBusyProcess(t *testing.T) {
	p := startChild(t, nil, "spin")
	cpus := must[[]int](t)(p.CPUAffinity())
	cpu := cpus[len(cpus)-1]
	if err := p.SetCPUAffinity(cpu); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, func() bool {
		return statusOf(t, p.Process) == StatusRunning && must[int](t)(p.CPUNum()) == cpu
	})
	wantEqual(t, "first CPUPercent", must[float64](t)(p.CPUPercent()), 0)
	testenv.Eventually(t, func() bool { return must[float64](t)(p.CPUPercent()) > 0 })
	testenv.Eventually(t, func() bool { // other programs may use the CPU during an interval
		return must[float64](t)(p.CPUPercentOver(t.Context(), 200*time.Millisecond)) > 0
	})
}
