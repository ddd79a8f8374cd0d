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

	"github.com/seed57308aee/process_exporter/testdata/proctree"
)

// shuffles is how many machines TestShuffledSteps has, unless the environment says
// otherwise in SHUFFLES. SHUFFLE_SEED has it do the same again.
const shuffles = 40

// The counters of a process.
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

// A shuffler is a machine on which one thing after the other happens by chance. It
// keeps account of what was done, and for which group, in its own way: work is due
// when it is done, and paid to the group in which it is first shown.
type shuffler struct {
	*world
	r     *rand.Rand
	procs map[int]*shuffled // by PID
	ticks uint64            // for the births of processes and threads
	paid  map[string]*account
	last  map[string]float64 // every counter
	told  []string           // what has happened
	deny  bool               // there is a file that nobody may read
}

// An account is what a group must have counted in the end.
type account struct {
	paid  [counterCount]float64
	known [counterCount]bool // it was shown of a process at all
}

// A shuffled is a process. It has no counters but what was paid and what is due.
type shuffled struct {
	p       proctree.Process // but for its counters
	paid    [counterCount]uint64
	due     [counterCount]uint64
	back    [counterCount]bool // the counter is shown lower than before
	seen    bool               // by a scrape
	credit  bool               // born since the first scrape
	tasks   bool               // its threads were shown
	several bool               // of them, when they were shown last
	replace bool               // a thread may have taken the place of the main one, and was not shown there
	threads []*shuffledThread
}

type shuffledThread struct {
	id        int
	start     uint64
	paid, due [2]uint64 // context switches
	seen      bool
}

func (s *shuffler) say(format string, args ...any) {
	s.told = append(s.told, fmt.Sprintf(format, args...))
}

// birth puts a new process in the place of that which had the PID.
func (s *shuffler) birth(pid int) *shuffled {
	s.ticks++
	a := &shuffled{p: proc(pid, 1, s.anyGroup(), "x"), credit: true}
	a.p.Start, a.p.StackStart = uptime+s.ticks, s.r.Uint64N(1<<40)
	s.procs[pid] = a
	s.work(a)
	return a
}

func (s *shuffler) anyGroup() string { return []string{"a", "b", "c"}[s.r.IntN(3)] }

// work has a process and its threads use something.
func (s *shuffler) work(a *shuffled) {
	for c := range a.due {
		if s.r.IntN(3) > 0 {
			a.due[c] += s.r.Uint64N(100)
		}
	}
	for _, th := range a.threads {
		th.due[0] += s.r.Uint64N(100)
		th.due[1] += s.r.Uint64N(100)
	}
}

// readable reports whether a file of a process can be read.
func (a *shuffled) readable(file string) bool {
	return !slices.Contains(a.p.Broken, file) && !slices.Contains(a.p.Denied, file)
}

func (a *shuffled) shows(c int) uint64 {
	if a.back[c] {
		return a.paid[c] - 1
	}
	return a.paid[c] + a.due[c]
}

// show writes the files of a process.
func (s *shuffler) show(a *shuffled) {
	p := a.p
	p.UTime, p.STime, p.MinFlt, p.MajFlt = a.shows(userTime), a.shows(systemTime), a.shows(minorFaults), a.shows(majorFaults)
	p.ReadBytes, p.WriteBytes, p.Voluntary, p.Nonvol = a.shows(bytesRead), a.shows(bytesWritten), a.shows(voluntary), a.shows(nonvoluntary)
	p.MainThread = proctree.Thread{UTime: p.UTime, STime: p.STime, Voluntary: p.Voluntary, Nonvol: p.Nonvol}
	for _, th := range a.threads {
		p.Threads = append(p.Threads, proctree.Thread{TID: th.id, Comm: "t" + strconv.Itoa(th.id%3), Start: th.start, Voluntary: th.paid[0] + th.due[0], Nonvol: th.paid[1] + th.due[1]})
	}
	if p.State == "Z" {
		p.Args = nil
	}
	s.Set(p)
}

// account pays what a scrape finds.
func (s *shuffler) account() {
	for _, a := range s.procs {
		if !a.readable("stat") {
			continue
		}
		to := s.paid[a.p.Comm]
		if to == nil {
			to = new(account)
			s.paid[a.p.Comm] = to
		}
		for c := range a.due {
			switch {
			case a.back[c], c >= bytesRead && c < voluntary && !a.readable("io"), c >= voluntary && !a.readable("status"):
				continue
			case c >= voluntary && a.replace: // of this one scrape nothing is known
			case a.credit || a.seen:
				to.paid[c] += float64(a.due[c])
			}
			a.paid[c], a.due[c], to.known[c] = a.paid[c]+a.due[c], 0, true
		}
		if a.readable("status") {
			a.replace = false
		}
		if len(a.threads) == 0 || a.readable("task") {
			for _, th := range a.threads {
				for i := range th.due {
					if th.seen || a.credit || a.tasks {
						to.paid[voluntary+i] += float64(th.due[i])
					}
					th.paid[i], th.due[i] = th.paid[i]+th.due[i], 0
				}
				th.seen = true
			}
			a.tasks, a.several = true, len(a.threads) > 0
		}
		a.seen = true
	}
}

// step has one thing happen, and reports whether it takes a scrape to see it.
func (s *shuffler) step(kind int) (now bool) {
	pid := 10 + 100*s.r.IntN(4)
	a := s.procs[pid]
	if a == nil {
		a = s.birth(pid)
		s.say("%d is born, for %s", pid, a.p.Comm)
		s.show(a)
		return false
	}
	a.back = [counterCount]bool{}
	switch {
	case kind == 0:
		s.say("%d vanishes", pid)
		delete(s.procs, pid)
		s.Remove(pid)
		return false
	case kind == 1:
		a = s.birth(pid)
		s.say("%d goes to another process, of %s", pid, a.p.Comm)
	case kind == 2 && a.seen && a.readable("stat") && a.paid[userTime]+a.paid[systemTime] > 1: // what it was shown to have, or one more
		old := a
		a = s.birth(pid)
		s.say("%d goes to another process, of %s, within the tick", pid, a.p.Comm)
		a.p.Start = old.p.Start
		a.due[userTime], a.due[systemTime] = 0, s.r.Uint64N(old.paid[userTime]+old.paid[systemTime]-1)
		s.show(a)
		return true // it is told by its CPU time, which is less than that of before
	case kind == 3 && a.p.State != "Z":
		s.exec(pid, a)
	case kind == 4 && a.p.State != "Z":
		a.p.Comm = s.anyGroup()
		s.say("%d is renamed to %s", pid, a.p.Comm)
	case kind == 5 || kind == 6:
		s.hide(pid, a)
	case kind == 7:
		s.say("%d hides nothing", pid)
		a.p.Broken, a.p.Denied = nil, nil
	case kind == 8 && a.p.State != "Z":
		s.ticks++
		s.say("%d has one more thread, %d", pid, pid+int(s.ticks))
		a.threads = append(a.threads, &shuffledThread{id: pid + 1000 + int(s.ticks), start: uptime + s.ticks})
	case kind == 9 && len(a.threads) > 0:
		at := s.r.IntN(len(a.threads))
		s.say("%d has one thread less, %d", pid, a.threads[at].id)
		a.threads = slices.Delete(a.threads, at, at+1)
	case kind == 10:
		s.goBack(pid, a)
	case kind == 11 && a.readable("stat"):
		s.show(a)
		s.check() // it keeps the group in which it was seen last
		s.say("%d is a zombie", pid)
		a.p.State, a.threads = "Z", nil
	default:
		s.say("%d works", pid)
	}
	s.work(a)
	s.show(a)
	return false
}

// exec has a process become another program. One of several threads ends the others,
// and has its own context switches where the main thread had its.
func (s *shuffler) exec(pid int, a *shuffled) {
	a.p.Comm, a.p.StackStart = s.anyGroup(), s.r.Uint64N(1<<40)
	s.say("%d executes %s", pid, a.p.Comm)
	if len(a.threads) > 0 {
		if th := a.threads[s.r.IntN(len(a.threads))]; th.seen {
			a.paid[voluntary], a.paid[nonvoluntary] = th.paid[0], th.paid[1]
			a.due[voluntary], a.due[nonvoluntary] = th.due[0], th.due[1]
		}
	}
	// Nobody knows which thread it was, if it was seen with several.
	a.replace, a.threads = a.replace || a.several, nil
}

// hide lets some files of a process not be read.
func (s *shuffler) hide(pid int, a *shuffled) {
	a.p.Broken, a.p.Denied = nil, nil
	for _, file := range []string{"stat", "status", "io", "task", "fd", "limits", "wchan", "smaps_rollup"} {
		switch n := s.r.IntN(8); {
		case n == 0 && s.deny && file != "task" && file != "fd":
			a.p.Denied = append(a.p.Denied, file)
		case n <= 1:
			a.p.Broken = append(a.p.Broken, file)
		}
	}
	s.say("%d hides %q and denies %q", pid, a.p.Broken, a.p.Denied)
}

// goBack has counters fall for one scrape. All that is known of a process is its CPU
// time, which falls for no process: user time falls while system time grows.
func (s *shuffler) goBack(pid int, a *shuffled) {
	for c := range a.back {
		a.back[c] = c != systemTime && s.r.IntN(2) == 0 && a.paid[c] > 0 && !a.replace
	}
	a.due[systemTime]++
	s.say("%d goes back: %v", pid, a.back)
}

// check scrapes, and wants no counter to fall, or to be what no counter is.
func (s *shuffler) check() {
	s.say("scrape")
	now := s.scrape()
	s.account()
	for key, v := range now {
		if !strings.Contains(key, "_total{") {
			continue
		}
		if v < s.last[key] || v > 1e9 || math.IsNaN(v) {
			s.t.Errorf("got %s %v after %v", key, v, s.last[key])
		}
		s.last[key] = v
	}
}

// settle compares what was counted with what was done.
func (s *shuffler) settle() {
	for _, pid := range slices.Sorted(maps.Keys(s.procs)) {
		a := s.procs[pid]
		a.p.Broken, a.p.Denied, a.back = nil, nil, [counterCount]bool{}
		s.show(a)
	}
	s.check()
	for group, to := range s.paid {
		for c, want := range to.paid {
			tolerance := 0.
			if c <= systemTime {
				want, tolerance = want/100, 0.01+1e-9
			}
			got, found := s.last[fmt.Sprintf(counterKeys[c], group)]
			if math.Abs(got-want) > tolerance && to.known[c] || found && !to.known[c] {
				s.t.Errorf("got %s %v (%v), want %v (%v)", fmt.Sprintf(counterKeys[c], group), got, found, want, to.known[c])
			}
		}
	}
}

// TestShuffledSteps has processes and threads come, work, change and go, and their
// files be hidden, in orders by chance. No counter falls at any step, and in the end
// each has counted what was done.
func TestShuffledSteps(t *testing.T) {
	count, seed := shuffles, uint64(time.Now().UnixNano())
	for name, to := range map[string]func(uint64){"SHUFFLES": func(n uint64) { count = int(n) }, "SHUFFLE_SEED": func(n uint64) { seed = n }} {
		if text := os.Getenv(name); text != "" {
			n, err := strconv.ParseUint(text, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			to(n)
		}
	}
	if _, err := os.Stat("/dev/shm"); err == nil { // there are tens of thousands of files
		t.Setenv("TMPDIR", "/dev/shm")
	}
	t.Logf("SHUFFLES=%d SHUFFLE_SEED=%d", count, seed)
	_, err := os.Open("/proc/sys/vm/compact_memory")
	deny := errors.Is(err, fs.ErrPermission)
	steps := 0
	for i := range count {
		s := &shuffler{world: newWorld(t, setup{config: "- {name: '{{.Comm}}', comm: [a, b, c]}", opts: children}, other),
			r: rand.New(rand.NewPCG(seed, uint64(i))), procs: make(map[int]*shuffled),
			paid: make(map[string]*account), last: make(map[string]float64), deny: deny}
		// Each kind of step twice, and work in between.
		kinds := s.r.Perm(24)
		for _, kind := range kinds {
			if now := s.step(kind % 12); !now && s.r.IntN(4) == 0 {
				continue // two things happen between two scrapes
			}
			s.check()
			steps++
		}
		s.settle()
		if t.Failed() {
			t.Fatalf("machine %d:\n%s", i, strings.Join(s.told, "\n"))
		}
	}
	t.Logf("%d steps", steps)
}
