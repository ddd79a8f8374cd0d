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

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// ringBytes is the size of the ring buffer for exit events.
const ringBytes = 2 << 20

// isolatedRules match all processes that exit in the namespace of the load.
const isolatedRules = "process_names:\n- comm: [exitnow, spawnloop]\n- {name: 'worker {{.Matches.name}}', cmdline: 'workload " +
	"(?P<name>\\S+)$'}\n"

// exitEventBytes is the approximate size of an exit event.
const exitEventBytes = 410

// TestLostExitEvents suspends the exporter until the ring buffer is full. Each exit is either counted
// or reported as lost, and the next scrape shows the processes that still run.
func TestLostExitEvents(t *testing.T) {
	l, r := newIsolatedLoad(t)
	l.useLongPath()
	last := make(sampleSet)
	l.startWorker(t, "stays")
	gone := l.startWorker(t, "gone")
	last.update(t, r.Scrape())

	resume := r.suspend(t)
	ended := 0
	for ended < 2*ringBytes/len(l.program) {
		ended += ends(l.run(time.Second, loadRate))
	}
	gone.end()
	ended++
	l.startWorker(t, "new")
	resume()
	series := last.update(t, r.Scrape())
	for group, want := range map[string]float64{"stays": 1, "gone": 0, "new": 1} {
		if got := series[`namedprocess_namegroup_num_procs{groupname="worker `+group+`"}`]; got != want {
			t.Errorf("got %v processes in the group of %s, want %v", got, group, want)
		}
	}
	counted, lost := waitForExits(t, r, last, ended)
	if counted+lost != ended || counted == 0 || lost == 0 {
		t.Errorf("got %d exits of %d processes and %d lost events", counted, ended, lost)
	}
	t.Logf("%d processes exited while the exporter was suspended, %d events are lost", ended, lost)
}

// TestLostExitEventsUnderLoad suspends the exporter for two seconds while processes exit at each rate.
func TestLostExitEventsUnderLoad(t *testing.T) {
	if !chaos {
		t.Skip("set PROCESS_EXPORTER_CHAOS")
	}
	eachRate(t, suspendUnderLoad)
}

func suspendUnderLoad(t *testing.T, d time.Duration, at rate) {
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
			counted, lost := waitForExits(t, r, last, ends(ran))
			t.Logf("%d exits, %.0f per second: %d events are lost", ends(ran), ran.perSecond(), lost)
			at.checkRate(t, ran)
			if tooMany := 2*exitEventBytes*int(at) > ringBytes; counted+lost != ends(ran) || tooMany != (lost > 0) {
				t.Errorf("got %d exits of %d processes and %d lost events", counted, ends(ran), lost)
			}
			return
		case <-second.C:
		}
		last.update(t, r.Scrape())
		if i == 3 { // the ring buffer is empty after a scrape
			resume := r.suspend(t)
			<-time.After(2 * time.Second)
			resume()
		}
	}
}

// ends returns the number of processes that exit in a run of the load, including the spawnloop
// programs.
func ends(ran loadResult) int { return ran.count + runtime.NumCPU() }

// newIsolatedLoad returns a load and an exporter in their own PID namespace, so that exits of other
// processes do not count.
func newIsolatedLoad(t *testing.T) (*load, *instance) {
	t.Helper()
	requireBPF(t)
	if os.Getuid() != 0 {
		t.Skip("requires root: creates PID namespaces")
	}
	l := newLoad(t)
	r := startInNamespace(t, fmt.Sprintf("exec %s --source=bpf --web.listen-address=127.0.0.1:0 --config.path %s", l.exporter,
		writeFile(t, "rules.yaml", isolatedRules)))
	l.nsenter = []string{"nsenter", "--pid", "--target", strconv.Itoa(r.PID)}
	return l, r
}

// startWorker starts a worker in the namespace of the load.
func (l *load) startWorker(t *testing.T, name string) *worker {
	t.Helper()
	path := testenv.BuildGo(t, "workload")
	args := append(slices.Clone(l.nsenter), path, name)
	return startWorkerOf(t, exec.Command(args[0], args[1:]...))
}

// useLongPath gives the processes of the load a long path, so that fewer events fill the ring buffer.
func (l *load) useLongPath() {
	l.t.Helper()
	dir := filepath.Dir(l.program)
	for range 9 {
		dir = filepath.Join(dir, strings.Repeat("x", 200))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		l.t.Fatal(err)
	}
	longPath := filepath.Join(dir, "exitnow")
	if err := os.Rename(l.program, longPath); err != nil {
		l.t.Fatal(err)
	}
	l.program = longPath
}

// suspend stops the exporter with SIGSTOP. resume continues it.
func (r *instance) suspend(t *testing.T) (resume func()) {
	t.Helper()
	signal := func(sig syscall.Signal) {
		t.Helper()
		if err := syscall.Kill(r.PID, sig); err != nil {
			t.Fatal(err)
		}
	}
	signal(syscall.SIGSTOP)
	testenv.WaitFor(t, "the exporter to stop", func() bool { return statusWord(t, r.PID, "State") == "T" })
	return func() { signal(syscall.SIGCONT) }
}
