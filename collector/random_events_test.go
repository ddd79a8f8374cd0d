package collector

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/procfstree"
)

// randomMachines is the number of machines of TestRandomEvents. The environment
// variable RANDOM_MACHINES overrides it, RANDOM_SEED repeats a run.
const randomMachines = 40

// Indexes of the counters of a process.
const (
	userTime = iota
	systemTime
	minorFaults
	majorFaults
	bytesRead
	bytesWritten
	voluntary // of the main thread
	nonvoluntary
	counterCount
)

var counterKeys = [counterCount]string{
	`cpu_seconds_total{groupname=%q,mode="user"}`, `cpu_seconds_total{groupname=%q,mode="system"}`,
	`minor_page_faults_total{groupname=%q}`, `major_page_faults_total{groupname=%q}`,
	`read_bytes_total{groupname=%q}`, `write_bytes_total{groupname=%q}`,
	`context_switches_total{ctxswitchtype="voluntary",groupname=%q}`, `context_switches_total{ctxswitchtype="nonvoluntary",groupname=%q}`,
}

// A machine is a fixture with random events. It computes the expected counters of
// each group independently of the exporter: usage is pending until a scrape can read
// it, and is then counted for the group that the process is in.
type machine struct {
	*fixture
	r        *rand.Rand
	procs    map[int]*machineProcess // by PID
	ticks    uint64                  // for start times of processes and threads
	expected map[string]*expectation // by group
	last     map[string]float64      // every counter in the last scrape
	events   []string
	deny     bool // files without read permission cannot be read by the test
}

// An expectation has the expected counters of a group.
type expectation struct {
	counted [counterCount]float64
	known   [counterCount]bool // the counter could be read of at least one process
}

// A machineProcess is a process. Its counters are the sum of counted and pending.
type machineProcess struct {
	p                  procfstree.Process // without counters
	counted            [counterCount]uint64
	pending            [counterCount]uint64
	lowered            [counterCount]bool // the counter shows a lower value than in the last scrape
	seen               bool               // by a scrape
	countFromStart     bool               // started after the first scrape
	tasksSeen          bool               // its threads could be read
	severalSeen        bool               // it had several threads when they were read last
	mainThreadReplaced bool               // execve(2) may have replaced the main thread, and status was not read since
	threads            []*machineThread
}

type machineThread struct {
	id               int
	start            uint64
	counted, pending [2]uint64 // context switches
	seen             bool
}

func (s *machine) logf(format string, args ...any) {
	s.events = append(s.events, fmt.Sprintf(format, args...))
}

// startProcess replaces the process with the PID by a new process.
func (s *machine) startProcess(pid int) *machineProcess {
	s.ticks++
	a := &machineProcess{p: proc(pid, 1, s.anyGroup(), "x"), countFromStart: true}
	a.p.Start, a.p.StackStart = uptime+s.ticks, s.r.Uint64N(1<<40)
	s.procs[pid] = a
	s.work(a)
	return a
}

func (s *machine) anyGroup() string { return []string{"a", "b", "c"}[s.r.IntN(3)] }

// work adds random usage to a process and its threads.
func (s *machine) work(a *machineProcess) {
	for c := range a.pending {
		if s.r.IntN(3) > 0 {
			a.pending[c] += s.r.Uint64N(100)
		}
	}
	for _, th := range a.threads {
		th.pending[0] += s.r.Uint64N(100)
		th.pending[1] += s.r.Uint64N(100)
	}
}

// readable reports whether the exporter can read a file of a process.
func (a *machineProcess) readable(file string) bool {
	return !slices.Contains(a.p.Broken, file) && !slices.Contains(a.p.Denied, file)
}

// shown returns the value of a counter in /proc.
func (a *machineProcess) shown(c int) uint64 {
	if a.lowered[c] {
		return a.counted[c] - 1
	}
	return a.counted[c] + a.pending[c]
}

// writeFiles writes the files of a process.
func (s *machine) writeFiles(a *machineProcess) {
	p := a.p
	p.UTime, p.STime, p.MinFlt, p.MajFlt = a.shown(userTime), a.shown(systemTime), a.shown(minorFaults), a.shown(majorFaults)
	p.ReadBytes, p.WriteBytes, p.Voluntary, p.Nonvol = a.shown(bytesRead), a.shown(bytesWritten), a.shown(voluntary), a.shown(nonvoluntary)
	p.MainThread = procfstree.Thread{UTime: p.UTime, STime: p.STime, Voluntary: p.Voluntary, Nonvol: p.Nonvol}
	for _, th := range a.threads {
		p.Threads = append(p.Threads, procfstree.Thread{
			TID: th.id, Comm: "t" + strconv.Itoa(th.id%3), Start: th.start,
			Voluntary: th.counted[0] + th.pending[0], Nonvol: th.counted[1] + th.pending[1],
		})
	}
	if p.State == "Z" {
		p.Args = nil
	}
	s.Set(p)
}

// countPending moves the pending usage that a scrape can read to the expected counters.
func (s *machine) countPending() {
	for _, a := range s.procs {
		if !a.readable("stat") {
			continue
		}
		to := s.expected[a.p.Comm]
		if to == nil {
			to = new(expectation)
			s.expected[a.p.Comm] = to
		}
		for c := range a.pending {
			if a.lowered[c] || !a.readable(fileOf(c)) {
				continue
			}
			amount, left := a.pending[c], uint64(0)
			if c == systemTime && a.lowered[userTime] {
				amount, left = amount-1, 1 // the sum of user and system time counts
			}
			if (a.countFromStart || a.seen) && !(c >= voluntary && a.mainThreadReplaced) { // else the usage before is unknown
				to.counted[c] += float64(amount)
			}
			a.counted[c], a.pending[c], to.known[c] = a.counted[c]+amount, left, true
		}
		if a.readable("status") {
			a.mainThreadReplaced = false
		}
		if len(a.threads) == 0 || a.readable("task") {
			a.countThreads(to)
		}
		a.seen = true
	}
}

// countThreads moves the pending context switches of all threads to the expected
// counters.
func (a *machineProcess) countThreads(to *expectation) {
	for _, th := range a.threads {
		for i := range th.pending {
			if th.seen || a.countFromStart || a.tasksSeen {
				to.counted[voluntary+i] += float64(th.pending[i])
			}
			th.counted[i], th.pending[i] = th.counted[i]+th.pending[i], 0
		}
		th.seen = true
	}
	a.tasksSeen, a.severalSeen = true, len(a.threads) > 0
}

// fileOf returns the file in /proc/PID of a counter.
func fileOf(counter int) string {
	switch counter {
	case bytesRead, bytesWritten:
		return "io"
	case voluntary, nonvoluntary:
		return "status"
	}
	return "stat"
}

// event makes one random event happen. It reports whether a scrape must follow for the
// exporter to notice it.
func (s *machine) event(kind int) (scrapeNow bool) {
	pid := 10 + 100*s.r.IntN(4)
	a := s.procs[pid]
	if a == nil {
		a = s.startProcess(pid)
		s.logf("%d starts in %s", pid, a.p.Comm)
		s.writeFiles(a)
		return false
	}
	a.lowered = [counterCount]bool{}
	switch {
	case kind == 0:
		s.logf("%d exits", pid)
		delete(s.procs, pid)
		s.Remove(pid)
		return false
	case kind == 1:
		a = s.startProcess(pid)
		s.logf("%d is reused in %s", pid, a.p.Comm)
	case kind == 2 && a.seen && a.readable("stat") && a.counted[userTime]+a.counted[systemTime] > 1: // the new process must show less CPU time
		s.reuseInTick(pid, a)
		return true // the exporter detects it by the lower CPU time
	default:
		s.change(kind, pid, a)
	}
	s.work(a)
	s.writeFiles(a)
	return false
}

// reuseInTick replaces a process by one with the same PID and start time, and less CPU
// time.
func (s *machine) reuseInTick(pid int, old *machineProcess) {
	a := s.startProcess(pid)
	s.logf("%d is reused in %s within the same tick", pid, a.p.Comm)
	a.p.Start = old.p.Start
	a.pending[userTime], a.pending[systemTime] = 0, s.r.Uint64N(old.counted[userTime]+old.counted[systemTime]-1)
	s.writeFiles(a)
}

// change makes an event happen in a live process.
func (s *machine) change(kind, pid int, a *machineProcess) {
	zombie := a.p.State == "Z"
	switch {
	case kind == 3 && !zombie:
		s.execute(pid, a)
	case kind == 4 && !zombie:
		a.p.Comm = s.anyGroup()
		s.logf("%d is renamed to %s", pid, a.p.Comm)
	case kind == 5 || kind == 6:
		s.hide(pid, a)
	case kind == 7:
		s.logf("%d has readable files", pid)
		a.p.Broken, a.p.Denied = nil, nil
	case kind == 8 && !zombie:
		s.ticks++
		s.logf("%d starts thread %d", pid, pid+1000+int(s.ticks))
		a.threads = append(a.threads, &machineThread{id: pid + 1000 + int(s.ticks), start: uptime + s.ticks})
	case kind == 9 && len(a.threads) > 0:
		at := s.r.IntN(len(a.threads))
		s.logf("%d ends thread %d", pid, a.threads[at].id)
		a.threads = slices.Delete(a.threads, at, at+1)
	case kind == 10:
		s.lower(pid, a)
	case kind == 11 && a.readable("stat"):
		s.writeFiles(a)
		s.check() // a zombie keeps its last group
		s.logf("%d is a zombie", pid)
		a.p.State, a.threads = "Z", nil
		// It may have called execve(2) before, which a zombie does not show.
		a.mainThreadReplaced = a.mainThreadReplaced || a.severalSeen
	default:
		s.logf("%d works", pid)
	}
}

// execute makes a process execute another program. A random thread calls execve(2): the
// other threads exit, and its context switches become those of the main thread.
func (s *machine) execute(pid int, a *machineProcess) {
	a.p.Comm, a.p.StackStart = s.anyGroup(), s.r.Uint64N(1<<40)
	s.logf("%d executes %s", pid, a.p.Comm)
	if len(a.threads) > 0 {
		if th := a.threads[s.r.IntN(len(a.threads))]; th.seen {
			a.counted[voluntary], a.counted[nonvoluntary] = th.counted[0], th.counted[1]
			a.pending[voluntary], a.pending[nonvoluntary] = th.pending[0], th.pending[1]
		}
	}
	// If several threads were seen, the exporter cannot know which one called execve(2).
	a.mainThreadReplaced, a.threads = a.mainThreadReplaced || a.severalSeen, nil
}

// hide makes some files of a process unreadable.
func (s *machine) hide(pid int, a *machineProcess) {
	a.p.Broken, a.p.Denied = nil, nil
	for _, file := range []string{"stat", "status", "io", "task", "fd", "limits", "wchan", "smaps_rollup"} {
		switch n := s.r.IntN(8); {
		case n == 0 && s.deny && file != "task" && file != "fd":
			a.p.Denied = append(a.p.Denied, file)
		case n <= 1:
			a.p.Broken = append(a.p.Broken, file)
		}
	}
	s.logf("%d has broken files %q and denied files %q", pid, a.p.Broken, a.p.Denied)
}

// lower makes counters show lower values for one scrape. The sum of user and system
// time never decreases, because that means another process: system time increases.
func (s *machine) lower(pid int, a *machineProcess) {
	for c := range a.lowered {
		a.lowered[c] = c != systemTime && s.r.IntN(2) == 0 && a.counted[c] > 0 && !a.mainThreadReplaced
	}
	a.pending[systemTime]++
	s.logf("%d lowers %v", pid, a.lowered)
}

// check scrapes, and checks that no counter decreases or has an invalid value.
func (s *machine) check() {
	s.logf("scrape")
	now := s.scrape()
	s.countPending()
	for key, v := range now {
		if !strings.Contains(key, "_total{") {
			continue
		}
		if v < s.last[key] || v > 1e9 || math.IsNaN(v) {
			s.t.Errorf("got %s %v, want at least %v and a number below 1e9", key, v, s.last[key])
		}
		s.last[key] = v
	}
}

// finish makes all files readable and compares all counters with the expected ones.
func (s *machine) finish() {
	for _, pid := range slices.Sorted(maps.Keys(s.procs)) {
		a := s.procs[pid]
		a.p.Broken, a.p.Denied, a.lowered = nil, nil, [counterCount]bool{}
		s.writeFiles(a)
	}
	s.check()
	for group, to := range s.expected {
		for c, want := range to.counted {
			tolerance := 0.
			if c <= systemTime {
				want, tolerance = want/100, 0.01+1e-9
			}
			got, found := s.last[fmt.Sprintf(counterKeys[c], group)]
			if math.Abs(got-want) > tolerance && to.known[c] || found && !to.known[c] {
				s.t.Errorf("got %s %v (exists: %v), want %v (exists: %v)", fmt.Sprintf(counterKeys[c], group), got, found, want, to.known[c])
			}
		}
	}
}

// TestRandomEvents checks counters on machines where processes and threads start, use
// resources, change and exit, and files become unreadable, in random order. No counter
// decreases at any event, and in the end each counter has the exact usage.
func TestRandomEvents(t *testing.T) {
	count, seed := randomMachines, uint64(time.Now().UnixNano())
	for name, to := range map[string]func(uint64){
		"RANDOM_MACHINES": func(n uint64) { count = int(n) },
		"RANDOM_SEED":     func(n uint64) { seed = n },
	} {
		if text := os.Getenv(name); text != "" {
			n, err := strconv.ParseUint(text, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			to(n)
		}
	}
	if _, err := os.Stat("/dev/shm"); err == nil { // the test writes tens of thousands of files
		t.Setenv("TMPDIR", "/dev/shm")
	}
	t.Logf("RANDOM_MACHINES=%d RANDOM_SEED=%d", count, seed)
	_, err := os.Open("/proc/sys/vm/compact_memory")
	deny := errors.Is(err, fs.ErrPermission)
	events := 0
	for i := range count {
		s := &machine{fixture: newFixture(t, setup{config: "- {name: '{{.Comm}}', comm: [a, b, c]}", opts: withChildren}, initProcess),
			r: rand.New(rand.NewPCG(seed, uint64(i))), procs: make(map[int]*machineProcess),
			expected: make(map[string]*expectation), last: make(map[string]float64), deny: deny}
		// Each kind of event twice.
		kinds := s.r.Perm(24)
		for _, kind := range kinds {
			if scrapeNow := s.event(kind % 12); !scrapeNow && s.r.IntN(4) == 0 {
				continue // two events between two scrapes
			}
			s.check()
			events++
		}
		s.finish()
		if t.Failed() {
			t.Fatalf("machine %d:\n%s", i, strings.Join(s.events, "\n"))
		}
	}
	t.Logf("%d events", events)
}
