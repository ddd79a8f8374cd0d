package e2e

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"golang.org/x/sys/unix"
)

// faults are errors that system calls of a walk are made to return: to every
// call, or to one of so many. EACCES and ENOENT are none: they answer that a file
// is kept from us, or that the kernel has none, and what a process is called is
// only looked at again by turns. EINTR to every call would be tried for ever.
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

// deadly reports whether an error of a call says that a process, or /proc, is gone.
func meansExit(call int, errno syscall.Errno) bool {
	switch call {
	case unix.SYS_OPENAT, unix.SYS_READ, unix.SYS_PREAD64, unix.SYS_GETDENTS64:
		return errno == unix.ESRCH || errno == unix.ENOENT
	}
	return false
}

// tells reports whether something cannot be read after an error of a call. After
// others it is tried again, or found out in another way, or a process counts as gone.
func isReported(call int, errno syscall.Errno) bool {
	switch call {
	case unix.SYS_OPENAT, unix.SYS_READ, unix.SYS_GETDENTS64:
		return errno != unix.EINTR && !meansExit(call, errno)
	}
	return false
}

// numberOf returns the number of an error.
func errnoOf(name string) syscall.Errno {
	for n := range syscall.Errno(133) {
		if unix.ErrnoName(n) == name {
			return n
		}
	}
	panic("no error is called " + name)
}

// TestSyscallFaults has system calls of the running exporter fail while it walks beside
// twenty processes that sleep. No counter falls, none of the processes is gone
// unless an error says so, and when the faults stop all is as it was before.
func TestSyscallFaults(t *testing.T) {
	requireLinux(t)
	f := startWithFaults(t, "procfs")
	for _, fault := range faults {
		for name := range strings.FieldsSeq(fault.errors) {
			for _, every := range fault.every {
				p := faultPlan{every: every}
				p.add(fault.number, errnoOf(name))
				t.Run(fmt.Sprintf("%s/%s/%d", fault.call, name, every), func(t *testing.T) {
					if met, told := f.try(t, p); isReported(fault.number, errnoOf(name)) && met > 0 && !told {
						t.Errorf("%d calls failed, and no metric says so", met)
					}
				})
			}
		}
	}
}

// TestSyscallFaultsAtRandom has calls of some kinds fail with errors of some kinds, and
// reads be short, as the number of each plan decides. FAULTS=10000 tries as many
// for each source.
func TestSyscallFaultsAtRandom(t *testing.T) {
	requireLinux(t)
	plans := 60
	if text := os.Getenv("FAULTS"); text != "" {
		var err error
		if plans, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	eachSource(t, func(t *testing.T, source string) {
		f := startWithFaults(t, strings.TrimPrefix(source, "--source="))
		met := 0
		for seed := range plans {
			p := randomFaults(uint64(seed))
			t.Run(strconv.Itoa(seed), func(t *testing.T) {
				failed, _ := f.try(t, p)
				met += failed
			})
			if t.Failed() {
				t.Fatalf("plan %d is %+v", seed, p)
			}
		}
		if t.Logf("%d plans: %d calls failed or were cut short", plans, met); met == 0 {
			t.Error("no call was met")
		}
	})
}

// A plan says which calls fail, or are short, and how many of them.
type faultPlan struct {
	seed         uint64
	every, bytes int
	faults       []string // the numbers of a call and of an error
	meansExit    bool     // some error says that a process is gone
}

func (p *faultPlan) add(call int, errno syscall.Errno) {
	p.faults = append(p.faults, fmt.Sprintf("%d:%d", call, int(errno)))
	p.meansExit = p.meansExit || meansExit(call, errno)
}

func randomFaults(seed uint64) faultPlan {
	chance := rand.New(rand.NewPCG(seed, 0))
	p := faultPlan{seed: seed, every: []int{1, 2, 3, 5, 10, 30, 100}[chance.IntN(7)]}
	if chance.IntN(3) == 0 {
		p.bytes = []int{50, 100, 300, 1000}[chance.IntN(4)]
	}
	for range 1 + chance.IntN(4) {
		fault := faults[chance.IntN(len(faults))]
		name := strings.Fields(fault.errors)[chance.IntN(len(strings.Fields(fault.errors)))]
		if name == "EINTR" {
			p.every = max(p.every, 2)
		}
		p.add(fault.number, errnoOf(name))
	}
	return p
}

const (
	sleeperCount = 20
	targetProcs  = `namedprocess_namegroup_num_procs{groupname="aim"}`
)

// A faulty is an exporter whose system calls fail as planned, beside processes
// that sleep in a group called aim.
type faultTest struct {
	*instance
	control *os.File // of testdata/syscallfaults
	answers *bufio.Reader
	before  sampleSet // without faults
	last    sampleSet // of each counter

	troubles sampleSet // what has been said of them
}

func startWithFaults(t *testing.T, source string) *faultTest {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can make the calls of another fail")
	}
	program := filepath.Join(t.TempDir(), "syscallfaults")
	if out, err := exec.Command(requireProgram(t, "cc"), "-O2", "-o", program, "testdata/syscallfaults/syscallfaults.c").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	path, err := plainBinary()
	if err != nil {
		t.Fatal(err)
	}
	token := fmt.Sprintf("60%d", os.Getpid())
	for range sleeperCount {
		startSleeper(t, token)
	}
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(ends[0]), "control"), os.NewFile(uintptr(ends[1]), "control")
	t.Cleanup(func() { _ = ours.Close() })
	defer theirs.Close()
	rules := writeFile(t, "rules.yaml", "process_names: [{name: aim, cmdline: ['^sleep "+token+"$'], user: [root]}]\n")
	command := exec.Command(program, path, "--source="+source, "--web.listen-address=127.0.0.1:0", "-config.path", rules)
	command.ExtraFiles = []*os.File{theirs}
	r := startCommand(t, command)
	r.URL = r.waitForURL()
	f := &faultTest{instance: r, control: ours, answers: bufio.NewReader(ours), last: make(sampleSet), troubles: make(sampleSet)}
	eventually(t, "all sleepers", func() bool { f.before = f.scrape(t); return f.before[targetProcs] == sleeperCount })
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

func startSleeper(t *testing.T, token string) {
	t.Helper()
	command := exec.Command("sleep", token)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
}

// set has the calls of the exporter go by p, and returns how many have failed or
// were short by the plan before.
func (f *faultTest) set(t *testing.T, p faultPlan) (met int) {
	t.Helper()
	f.checkRunning()
	if err := f.control.SetDeadline(time.Now().Add(testTimeout)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintln(f.control, p.seed, p.every, p.bytes, strings.Join(p.faults, " ")); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fscanln(f.answers, &met); err != nil {
		t.Fatal(err)
	}
	return met
}

// try scrapes by a plan, ends that, and looks whether all is well again. It
// returns how many calls the plan has met, and whether a metric tells of trouble.
func (f *faultTest) try(t *testing.T, p faultPlan) (met int, told bool) {
	f.set(t, p)
	for range 4 {
		series := f.scrape(t)
		if procs := series[targetProcs]; procs != sleeperCount && !p.meansExit && series["namedprocess_exporter_scrape_success{}"] == 1 {
			t.Errorf("%v of %d processes are left, and no error says that one is gone", procs, sleeperCount)
		}
		told = told || f.reportsError(series)
	}
	met = f.set(t, faultPlan{})
	f.checkRecovered(t)
	return met, told
}

// tellsTrouble reports whether a metric says that something was not read, and keeps
// what those of the whole exporter said.
func (f *faultTest) reportsError(series sampleSet) (told bool) {
	told = series["namedprocess_exporter_scrape_success{}"] == 0
	for key, value := range series {
		switch {
		case strings.HasPrefix(key, "namedprocess_namegroup_unreadable_procs{"):
			told = told || value > 0
		case strings.HasPrefix(key, "namedprocess_scrape_"):
			told = told || value > f.troubles[key]
			f.troubles[key] = value
		}
	}
	return told
}

// wellAgain looks whether all is as it was before, after two scrapes. On a machine
// so busy that our own program is late to answer for a call, a reader may have been
// given up for it, and comes back when that answers.
func (f *faultTest) checkRecovered(t *testing.T) {
	t.Helper()
	var series sampleSet
	calm := 0
	eventually(t, "two scrapes without a reader that waits", func() bool {
		if series = f.scrape(t); series["namedprocess_exporter_unresponsive_processes{}"] == 0 {
			calm++
		} else {
			calm = 0
		}
		return calm == 2
	})
	for key, want := range f.before {
		if got, shown := series[key]; strings.Contains(key, `groupname="aim"`) && (!shown || got != want) && !mayVary(key) {
			t.Errorf("afterwards: %s: got %v, want %v", key, got, want)
		}
	}
	if series.value(t, "namedprocess_exporter_scrape_success") != 1 {
		t.Error("afterwards: the scrape failed")
	}
}

// varies reports whether a series may differ although the processes sleep: they
// share pages with others, what could not be read is counted, and so is a process
// that left its group while its words could not be read.
func mayVary(key string) bool {
	return strings.Contains(key, "proportional") || strings.Contains(key, `"unique"`) || strings.Contains(key, "unreadable") || strings.Contains(key, "regroups") || strings.Contains(key, "smaps_age")
}

// scrape returns the answer to a scrape. No counter of it has fallen.
func (f *faultTest) scrape(t *testing.T) sampleSet {
	t.Helper()
	return f.last.follow(t, f.Scrape())
}

// follow returns the samples of an answer, and keeps the counters in last, but for
// those about Go and HTTP. None may be below what it was.
func (last sampleSet) follow(t *testing.T, text string) sampleSet {
	t.Helper()
	series, kinds := parseMetrics(t, text)
	for key, value := range series {
		name, _, _ := strings.Cut(key, "{")
		if !strings.HasPrefix(name, "namedprocess_") || kinds[name] != dto.MetricType_COUNTER {
			continue
		}
		if value < last[key] {
			t.Errorf("%s fell from %v to %v", key, last[key], value)
		}
		last[key] = value
	}
	return series
}
