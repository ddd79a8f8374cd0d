package e2e

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"

	"golang.org/x/sys/unix"
)

// faults are the errors that system calls of a walk return, for one of every n calls. EACCES and
// ENOENT of openat are not used: they mean that a file is protected or does not exist, and the
// exporter repeats such reads rarely. EINTR for every call would be retried forever.
var faults = []struct {
	call   string
	number int
	errors string
	every  []int
}{
	{"openat", unix.SYS_OPENAT, "EMFILE ENFILE ENOMEM EIO ESRCH EAGAIN", []int{1, 2, 7}},
	{"openat", unix.SYS_OPENAT, "EINTR", []int{2, 7}},
	{"read", unix.SYS_READ, "EIO EINTR ENOMEM ESRCH EAGAIN", []int{3, 8}},
	{"pread64", unix.SYS_PREAD64, "EIO EINTR ESRCH EAGAIN", []int{2, 3}},
	{"getdents64", unix.SYS_GETDENTS64, "EIO EINTR ENOMEM ENOENT", []int{2, 3}},
	{"statx", unix.SYS_STATX, "EIO ENOMEM", []int{1, 3}},
	{"newfstatat", unix.SYS_NEWFSTATAT, "EIO ENOMEM", []int{1, 3}},
	{"readlinkat", unix.SYS_READLINKAT, "EACCES ENOENT ENOMEM", []int{1, 3}},
	{"prlimit64", unix.SYS_PRLIMIT64, "EPERM ESRCH EINVAL", []int{1, 3}},
	{"clock_gettime", unix.SYS_CLOCK_GETTIME, "EINVAL EPERM", []int{1, 3}},
}

// meansExit reports whether an error means that a process, or /proc, does not exist any more.
func meansExit(call int, errno syscall.Errno) bool {
	switch call {
	case unix.SYS_OPENAT, unix.SYS_READ, unix.SYS_PREAD64, unix.SYS_GETDENTS64:
		return errno == unix.ESRCH || errno == unix.ENOENT
	}
	return false
}

// isReported reports whether an error makes a file unreadable. After other errors the exporter
// retries, uses another file, or considers the process exited.
func isReported(call int, errno syscall.Errno) bool {
	switch call {
	case unix.SYS_OPENAT, unix.SYS_READ, unix.SYS_GETDENTS64:
		return errno != unix.EINTR && !meansExit(call, errno)
	}
	return false
}

// errnoOf returns the error number of a name.
func errnoOf(name string) syscall.Errno {
	for n := range syscall.Errno(133) {
		if unix.ErrnoName(n) == name {
			return n
		}
	}
	panic("no error is called " + name)
}

// TestSyscallFaults makes system calls of the exporter fail next to twenty sleeping processes. No
// counter decreases, processes disappear only after errors that mean an exit, and all values return
// when the faults end.
func TestSyscallFaults(t *testing.T) {
	f := startWithFaults(t, "procfs")
	for _, fault := range faults {
		for name := range strings.FieldsSeq(fault.errors) {
			for _, every := range fault.every {
				p := faultPlan{every: every}
				p.add(fault.number, errnoOf(name))
				t.Run(fmt.Sprintf("%s/%s/%d", fault.call, name, every), func(t *testing.T) {
					if injected, reported := f.run(t, p); isReported(fault.number, errnoOf(name)) && injected > 0 && !reported {
						t.Errorf("%d calls failed without a metric that reports it", injected)
					}
				})
			}
		}
	}
}

// TestSyscallFaultsAtRandom combines failing system calls, errors and short reads by the seed of each
// plan. FAULTS=10000 runs that many plans for each source.
func TestSyscallFaultsAtRandom(t *testing.T) {
	plans := 60
	if text := os.Getenv("FAULTS"); text != "" {
		var err error
		if plans, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	eachSource(t, func(t *testing.T, source string) {
		f := startWithFaults(t, strings.TrimPrefix(source, "--source="))
		injected := 0
		for seed := range plans {
			p := randomFaults(uint64(seed))
			t.Run(strconv.Itoa(seed), func(t *testing.T) {
				failed, _ := f.run(t, p)
				injected += failed
			})
			if t.Failed() {
				t.Fatalf("plan %d is %+v", seed, p)
			}
		}
		if t.Logf("%d plans: %d calls failed or were shortened", plans, injected); injected == 0 {
			t.Error("no call failed")
		}
	})
}

// A faultPlan says which calls fail or are shortened, and how many.
type faultPlan struct {
	seed         uint64
	every, bytes int
	faults       []string // system call and error numbers
	meansExit    bool     // an error means that a process has exited
}

func (p *faultPlan) add(call int, errno syscall.Errno) {
	p.faults = append(p.faults, fmt.Sprintf("%d:%d", call, int(errno)))
	p.meansExit = p.meansExit || meansExit(call, errno)
}

func randomFaults(seed uint64) faultPlan {
	random := rand.New(rand.NewPCG(seed, 0))
	p := faultPlan{seed: seed, every: []int{1, 2, 3, 5, 10, 30, 100}[random.IntN(7)]}
	if random.IntN(3) == 0 {
		p.bytes = []int{50, 100, 300, 1000}[random.IntN(4)]
	}
	for range 1 + random.IntN(4) {
		fault := faults[random.IntN(len(faults))]
		name := strings.Fields(fault.errors)[random.IntN(len(strings.Fields(fault.errors)))]
		if name == "EINTR" {
			p.every = max(p.every, 2)
		}
		p.add(fault.number, errnoOf(name))
	}
	return p
}

const (
	sleeperCount = 20
	targetProcs  = `namedprocess_namegroup_num_procs{groupname="target"}`
)

// A faultTest is an exporter whose system calls fail by plan, next to sleeping processes in the group
// target. They run in their own PID namespace, so that other processes do not affect its metrics.
type faultTest struct {
	*instance
	control *os.File // socket to testdata/syscallfaults
	replies *bufio.Reader
	before  sampleSet // without faults
	last    sampleSet // last value of each counter

	errorTotals sampleSet // last value of each error counter
}

func startWithFaults(t *testing.T, source string) *faultTest {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("requires root: makes system calls of another process fail")
	}
	program := testenv.CompileC(t, "syscallfaults", "syscallfaults")
	path := plainBinary(t)
	token := fmt.Sprintf("60%d", os.Getpid())
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(ends[0]), "control"), os.NewFile(uintptr(ends[1]), "control")
	t.Cleanup(func() { _ = ours.Close() })
	defer theirs.Close()
	rules := writeFile(t, "rules.yaml", "process_names: [{name: target, cmdline: ['^sleep "+token+"$'], user: [root]}]\n")
	script := fmt.Sprintf("i=0; while [ $i -lt %d ]; do sleep %s & i=$((i+1)); done; exec %s %s --source=%s "+
		"--web.listen-address=127.0.0.1:0 -config.path %s",
		sleeperCount, token, program, path, source, rules)
	r := startInNamespace(t, script, theirs)
	testenv.WaitFor(t, "all processes to sleep", func() bool { return sleepers(t, r.PID) == sleeperCount })
	f := &faultTest{instance: r, control: ours, replies: bufio.NewReader(ours), last: make(sampleSet), errorTotals: make(sampleSet)}
	const resident = `namedprocess_namegroup_memory_bytes{groupname="target",memtype="resident"}`
	testenv.WaitFor(t, "all sleeping processes, whose memory does not change any more", func() bool {
		last := f.before[resident]
		f.before = f.scrape(t)
		return f.before[targetProcs] == sleeperCount && f.before[resident] == last
	})
	f.reportsError(f.before)
	t.Cleanup(func() {
		for _, line := range r.Log() {
			if strings.Contains(line, "panic") || strings.Contains(line, "goroutine ") {
				t.Error(line)
			}
		}
	})
	return f
}

// sleepers returns the number of children that are sleep(1) in its system call, on no run queue.
// Only then do they have a wchan, on kernels that report one.
func sleepers(t *testing.T, pid int) (n int) {
	t.Helper()
	for _, child := range children(t, pid) {
		if stat := statOf(t, strconv.Itoa(child)); string(stat.Comm) == "sleep" && stat.State == 'S' &&
			testenv.HasLeftCPU(fmt.Sprintf("/proc/%d", child)) {
			n++
		}
	}
	return n
}

// set starts a plan and returns the number of calls that failed or were shortened by the previous one.
func (f *faultTest) set(t *testing.T, p faultPlan) (injected int) {
	t.Helper()
	f.checkRunning()
	if err := f.control.SetDeadline(time.Now().Add(testTimeout)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintln(f.control, p.seed, p.every, p.bytes, strings.Join(p.faults, " ")); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fscanln(f.replies, &injected); err != nil {
		t.Fatal(err)
	}
	return injected
}

// run scrapes with a plan, ends it, and checks that the exporter recovers. It returns the number of
// injected faults, and whether a metric reported an error.
func (f *faultTest) run(t *testing.T, p faultPlan) (injected int, reported bool) {
	f.set(t, p)
	for range 4 {
		series := f.scrape(t)
		if procs := series[targetProcs]; procs != sleeperCount && !p.meansExit && series["namedprocess_exporter_scrape_success{}"] == 1 {
			t.Errorf("got %v of %d processes, without an error that means an exit", procs, sleeperCount)
		}
		reported = reported || f.reportsError(series)
	}
	injected = f.set(t, faultPlan{})
	f.checkRecovered(t)
	return injected, reported
}

// reportsError reports whether a metric shows that something was unreadable. It records the error
// counters.
func (f *faultTest) reportsError(series sampleSet) (reported bool) {
	reported = series["namedprocess_exporter_scrape_success{}"] == 0
	for key, value := range series {
		switch {
		case strings.HasPrefix(key, "namedprocess_namegroup_unreadable_procs{"):
			reported = reported || value > 0
		case strings.HasPrefix(key, "namedprocess_scrape_"):
			reported = reported || value > f.errorTotals[key]
			f.errorTotals[key] = value
		}
	}
	return reported
}

// checkRecovered compares two scrapes in a row with those before the faults. On a busy machine the
// helper program responds late, so that a read counts as blocked for some time.
func (f *faultTest) checkRecovered(t *testing.T) {
	t.Helper()
	var series sampleSet
	inARow := 0
	testenv.WaitFor(t, "two scrapes without unresponsive processes", func() bool {
		if series = f.scrape(t); series["namedprocess_exporter_unresponsive_processes{}"] == 0 {
			inARow++
		} else {
			inARow = 0
		}
		return inARow == 2
	})
	for key, want := range f.before {
		if got, shown := series[key]; strings.Contains(key, `groupname="target"`) && (!shown || got != want) && !mayVary(key) {
			t.Errorf("after the faults: %s: got %v, want %v", key, got, want)
		}
	}
	if series.value(t, "namedprocess_exporter_scrape_success") != 1 {
		t.Error("after the faults: got a failed scrape")
	}
}

// mayVary reports whether a series can change although the processes sleep: they share pages with
// other processes, and counters of unreadable files and group changes keep their increments.
func mayVary(key string) bool {
	return strings.Contains(key, "proportional") || strings.Contains(key, `"unique"`) || strings.Contains(key, "unreadable") ||
		strings.Contains(key, "group_changes") || strings.Contains(key, "smaps_age")
}

// scrape returns the samples of a scrape, and checks that no counter decreased.
func (f *faultTest) scrape(t *testing.T) sampleSet {
	t.Helper()
	return f.last.update(t, f.Scrape())
}
