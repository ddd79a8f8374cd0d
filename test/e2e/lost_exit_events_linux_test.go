package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ringSize is how many bytes of events the kernel keeps for an exporter that does
// not take them.
const ringBytes = 2 << 20

// lossRules want all that ends in the namespace of the load.
const isolatedRules = "process_names:\n- comm: [exitnow, spawn]\n- {name: 'worker {{.Matches.name}}', cmdline: 'workload (?P<name>\\S+)$'}\n"

// bytesOfEnd is about how many of them one process takes that ends.
const exitEventBytes = 410

// TestLostExitEvents freezes the exporter until the kernel has no room left to tell it of
// processes that end. Each of them is either told of or counted as lost; those that
// live are right at the next scrape.
func TestLostExitEvents(t *testing.T) {
	l, r := newIsolatedLoad(t)
	l.useLongPath()
	last := make(sampleSet)
	l.startWorker(t, "stays")
	gone := l.startWorker(t, "gone")
	last.follow(t, r.Scrape())

	thaw := r.freeze(t)
	ended := 0
	for ended < 2*ringBytes/len(l.program) {
		ended += ends(l.run(time.Second, loadRate))
	}
	gone.end()
	ended++
	l.startWorker(t, "new")
	thaw()
	series := last.follow(t, r.Scrape())
	for group, want := range map[string]float64{"stays": 1, "gone": 0, "new": 1} {
		if got := series[`namedprocess_namegroup_num_procs{groupname="worker `+group+`"}`]; got != want {
			t.Errorf("got %v processes of the group of %s, want %v", got, group, want)
		}
	}
	told, lost := waitForExits(t, r, last, ended)
	if told+lost != ended || told == 0 || lost == 0 {
		t.Errorf("got %d ends of %d processes, and %d lost", told, ended, lost)
	}
	t.Logf("%d processes ended while the exporter stood still, %d of them are lost", ended, lost)
}

// TestLostExitEventsUnderLoad freezes the exporter for two seconds while processes end at each
// rate, and scrapes it before and after.
func TestLostExitEventsUnderLoad(t *testing.T) {
	if !chaos {
		t.Skip("only with PROCESS_EXPORTER_CHAOS")
	}
	eachRate(t, testLostExitEvents)
}

func testLostExitEvents(t *testing.T, d time.Duration, at rate) {
	l, r := newIsolatedLoad(t)
	last := make(sampleSet)
	var ran loadResult
	done := make(chan struct{})
	go func() { ran = l.run(d, at); close(done) }()
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for i := 0; ; i++ {
		select {
		case <-done:
			told, lost := waitForExits(t, r, last, ends(ran))
			t.Logf("%d ends, %.0f a second: %d are lost", ends(ran), ran.perSecond(), lost)
			at.checkRate(t, ran)
			if tooMany := 2*exitEventBytes*int(at) > ringBytes; told+lost != ends(ran) || tooMany != (lost > 0) {
				t.Errorf("got %d ends of %d processes, and %d lost", told, ends(ran), lost)
			}
			return
		case <-second.C:
		}
		last.follow(t, r.Scrape())
		if i == 3 { // there is the most room after a scrape
			thaw := r.freeze(t)
			<-time.After(2 * time.Second)
			thaw()
		}
	}
}

// ends returns how many processes end in a run of the load, with those that run it.
func ends(ran loadResult) int { return ran.count + runtime.NumCPU() }

// newLoss returns a load and an exporter in a PID namespace of their own: what else
// ends on the machine is not lost to it.
func newIsolatedLoad(t *testing.T) (*load, *instance) {
	t.Helper()
	requireLinux(t)
	requireBPF(t)
	if os.Getuid() != 0 {
		t.Skip("only root can make PID namespaces")
	}
	l := newLoad(t)
	r := startInNamespace(t, fmt.Sprintf("exec %s --source=bpf --web.listen-address=127.0.0.1:0 --config.path %s", l.exporter, writeFile(t, "rules.yaml", isolatedRules)))
	l.enter = []string{"nsenter", "--pid", "--target", strconv.Itoa(r.PID)}
	return l, r
}

// startWorker is startWorker in the namespace of the load.
func (l *load) startWorker(t *testing.T, name string) *worker {
	t.Helper()
	path, err := buildWorkload()
	if err != nil {
		t.Fatal(err)
	}
	args := append(slices.Clone(l.enter), path, name)
	return startWorkerOf(t, exec.Command(args[0], args[1:]...))
}

// lengthen gives the processes of the load a long command line, so that fewer of
// them fill what the kernel has room for.
func (l *load) useLongPath() {
	l.t.Helper()
	dir := filepath.Dir(l.program)
	for range 9 {
		dir = filepath.Join(dir, strings.Repeat("x", 200))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		l.t.Fatal(err)
	}
	long := filepath.Join(dir, "exitnow")
	if err := os.Rename(l.program, long); err != nil {
		l.t.Fatal(err)
	}
	l.program = long
}

// freeze stops the exporter, until it is told to thaw.
func (r *instance) freeze(t *testing.T) (thaw func()) {
	t.Helper()
	signal := func(sig syscall.Signal) {
		t.Helper()
		if err := syscall.Kill(r.PID, sig); err != nil {
			t.Fatal(err)
		}
	}
	signal(syscall.SIGSTOP)
	eventually(t, "a standstill", func() bool { return statusWord(t, r.PID, "State") == "T" })
	return func() { signal(syscall.SIGCONT) }
}
