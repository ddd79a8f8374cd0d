package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// defaultLoadDuration is the duration of each part of a load test. The environment variable LOAD
// overrides it.
const defaultLoadDuration = 2 * time.Second

// A rate is the number of processes per second that a load starts; 0 is unlimited.
type rate int

// loadRate is the usual rate.
const loadRate rate = 10_000

// loadCount is the number of processes at each rate of make chaos.
const loadCount = 100_000

// eachRate runs a test with a moderate and a high rate. With make chaos the duration is long enough
// for loadCount processes at 80 % of the rate.
func eachRate(t *testing.T, test func(t *testing.T, d time.Duration, at rate)) {
	for _, at := range []rate{2_000, loadRate} {
		t.Run(strconv.Itoa(int(at)), func(t *testing.T) {
			d := loadDuration(t)
			if chaos {
				d = time.Second * time.Duration(1+loadCount*5/4/int(at))
			}
			test(t, d, at)
		})
	}
}

// checkRate fails the test if the load was slower than 80 % of its rate.
func (at rate) checkRate(t *testing.T, got loadResult) {
	t.Helper()
	if checkTimes && got.perSecond() < 0.8*float64(at) {
		t.Errorf("got %.0f processes per second, want at least 80 %% of %d", got.perSecond(), at)
	}
}

// A load starts processes at a rate.
type load struct {
	t         *testing.T
	spawnLoop string // testdata/spawnloop/spawnloop.c
	program   string // testdata/spawnloop/exitnow.c

	exporter string // see plainBinary

	nsenter []string // prefix that runs the load in another PID namespace
}

func newLoad(t *testing.T) *load {
	t.Helper()
	compiler := testenv.RequireProgram(t, "cc")
	exporter := plainBinary(t)
	dir := t.TempDir()
	l := &load{t: t, spawnLoop: filepath.Join(dir, "spawnloop"), program: filepath.Join(dir, "exitnow"), exporter: exporter}
	for _, args := range [][]string{
		{"-O2", "-o", l.spawnLoop, "testdata/spawnloop/spawnloop.c"},
		{"-O2", "-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector", "-o", l.program, "testdata/spawnloop/exitnow.c"},
	} {
		if out, err := exec.Command(compiler, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %q: %v\n%s", compiler, args, err, out)
		}
	}
	return l
}

// rules returns a configuration that groups only the processes of the load.
func (l *load) rules() string {
	return "process_names:\n- {name: exitnow, cmdline: ['^" + regexp.QuoteMeta(l.program) + "$']}\n"
}

// watch starts an exporter with the bpf source that counts the processes of the load.
func (l *load) watch() *instance {
	l.t.Helper()
	config := writeFile(l.t, "rules.yaml", l.rules())
	r := startCommand(l.t, exec.Command(l.exporter, "--source=bpf", "--web.listen-address=127.0.0.1:0", "-config.path", config))
	testenv.WaitFor(l.t, "a listener", func() bool {
		r.checkRunning()
		return len(r.addresses()) > 0
	})
	r.URL = "http://" + r.addresses()[0]
	testenv.WaitFor(l.t, "the first walk", func() bool {
		response, _ := r.Get(readyPath)
		return response.StatusCode == http.StatusOK
	})
	return r
}

// A loadResult is the number of processes that a load started, and the time that this took.
type loadResult struct {
	count int
	took  time.Duration
	busy  time.Duration // sum of the lifetimes of all processes
}

func (p loadResult) perSecond() float64 { return float64(p.count) / p.took.Seconds() }

// microsPerProcess returns the mean lifetime of a process in microseconds.
func (p loadResult) microsPerProcess() float64 { return 1e6 * p.busy.Seconds() / float64(p.count) }

// run starts processes on every CPU for a duration.
func (l *load) run(d time.Duration, at rate) (all loadResult) {
	l.t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range runtime.NumCPU() {
		args := append(slices.Clone(l.nsenter), l.spawnLoop, l.program, strconv.Itoa(int(d.Seconds())))
		if at > 0 {
			args = append(args, strconv.Itoa(int(at)/runtime.NumCPU()))
		}
		wg.Go(func() {
			out, err := exec.Command(args[0], args[1:]...).Output()
			var count, nanos, busy int
			if _, bad := fmt.Sscan(string(out), &count, &nanos, &busy); err != nil || bad != nil {
				l.t.Errorf("spawnloop: got output %q, error %v", out, err)
			}
			mu.Lock()
			defer mu.Unlock()
			all.count += count
			all.busy += time.Duration(busy)
			all.took = max(all.took, time.Duration(nanos))
		})
	}
	wg.Wait()
	return all
}

// loadDuration returns the duration of each part of a load test.
func loadDuration(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("LOAD")
	if text == "" {
		if testing.Short() {
			t.Skip("it starts thousands of processes")
		}
		return defaultLoadDuration
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second {
		t.Fatalf("LOAD=%s is not a duration of at least a second: %v", text, err)
	}
	return d
}

// cpuTime returns the CPU time of all threads of a process.
func cpuTime(t *testing.T, pid int) (used time.Duration) {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range threads {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		nanos, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		used += time.Duration(nanos)
	}
	return used
}

// exitTotals returns the number of exits that the exporter counted in all groups, and the number of
// lost exit events.
func exitTotals(t *testing.T, series sampleSet) (counted, lost int) {
	t.Helper()
	for key, value := range series {
		if strings.HasPrefix(key, "namedprocess_namegroup_exits_total{") {
			counted += int(value)
		}
	}
	return counted, int(series.value(t, "namedprocess_exporter_lost_exit_events_total"))
}

// waitForExits waits until counted and lost exits reach want.
func waitForExits(t *testing.T, r *instance, last sampleSet, want int) (counted, lost int) {
	t.Helper()
	testenv.WaitFor(t, "all exit events", func() bool {
		counted, lost = exitTotals(t, last.update(t, r.Scrape()))
		return counted+lost >= want
	}, func() string { return fmt.Sprintf("%d told of and %d lost of %d", counted, lost, want) })
	return counted, lost
}

// checkNoLostExits waits for the exits and fails the test if events were lost, or more than a tenth of
// them on a busy machine. Lost events of other processes count too.
func checkNoLostExits(t *testing.T, r *instance, want int) {
	t.Helper()
	counted, lost := waitForExits(t, r, make(sampleSet), want)
	if counted > want || lost > want/10 || checkTimes && lost > 0 {
		t.Errorf("got %d exits of %d processes and %d lost events", counted, want, lost)
	}
}

// TestLoadIsCounted checks that every process of a load is counted, and logs the cost. Set LOAD=10s
// for longer measurements.
func TestLoadIsCounted(t *testing.T) {
	requireBPF(t)
	l := newLoad(t)
	eachRate(t, l.testCounted)
}

func (l *load) testCounted(t *testing.T, d time.Duration, at rate) {
	enableBPFStats(t)
	r := l.watch()
	defer r.Stop()
	before := cpuTime(t, r.PID)
	ran := l.run(d, at)
	inKernel := bpfRunTime(t, r.PID)
	checkNoLostExits(t, r, ran.count)
	at.checkRate(t, ran)
	used := cpuTime(t, r.PID) - before
	share := used.Seconds() / ran.took.Seconds()
	each := 1e6 * inKernel.Seconds() / float64(ran.count)
	t.Logf("the BPF programs took %.2f of the %.1f microseconds that each process lived, %.2f %%", each, ran.microsPerProcess(),
		100*each/ran.microsPerProcess())
	t.Logf("%d processes, %.0f per second, cost %.2f %% of a core, %.1f microseconds each; at 10,000 that is %.1f %%",
		ran.count, ran.perSecond(), 100*share, 1e6*used.Seconds()/float64(ran.count), 1e6*used.Seconds()/float64(ran.count))
	checkPeakMemory(t, r)
}

// enableBPFStats makes the kernel measure the run time of BPF programs during the test.
func enableBPFStats(t *testing.T) {
	t.Helper()
	const path = "/proc/sys/kernel/bpf_stats_enabled"
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("1"), 0); err != nil {
		t.Logf("the kernel cannot measure BPF programs: %v", err)
		return
	}
	t.Cleanup(func() {
		if err := os.WriteFile(path, was, 0); err != nil {
			t.Error(err)
		}
	})
}

var bpfProgramStats = regexp.MustCompile(`(?s)prog_id:\t(\d+)\n.*run_time_ns:\t(\d+)\n`)

// bpfRunTime returns the run time of the BPF programs of a process.
func bpfRunTime(t *testing.T, pid int) (all time.Duration) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	counted := make(map[string]bool) // a program can have several file descriptors
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has been closed
		}
		if m := bpfProgramStats.FindSubmatch(text); m != nil && !counted[string(m[1])] {
			counted[string(m[1])] = true
			nanos, err := strconv.ParseInt(string(m[2]), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			all += time.Duration(nanos)
		}
	}
	return all
}

// checkPeakMemory fails the test if the exporter used more than 40 MiB, plus a page for each process
// of the machine. If it has to wait for a CPU, unprocessed events accumulate, so the limit is 20 MiB
// higher without make chaos.
func checkPeakMemory(t *testing.T, r *instance) {
	t.Helper()
	neighbors, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	most := 40<<10 + 4*len(neighbors) // KiB
	if !checkTimes {
		most += 20 << 10
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.PID))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	peak, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	if t.Logf("peak memory of the exporter: %.1f MiB", float64(peak)/1024); peak > most && !raceDetector {
		t.Errorf("got a peak of %d KiB, want at most %d", peak, most)
	}
}

// TestLoadWithoutScrapes starts processes without scrapes for three times the load duration, or for
// LOAD_ALONE. The events fill the ring buffer several times. The exporter reads them in the
// background, loses none, and its memory does not grow.
func TestLoadWithoutScrapes(t *testing.T) {
	requireBPF(t)
	d := 3 * loadDuration(t)
	if text := os.Getenv("LOAD_ALONE"); text != "" {
		var err error
		if d, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	l := newLoad(t)
	r := l.watch()
	before := cpuTime(t, r.PID)
	ran := l.run(d, loadRate)
	used := cpuTime(t, r.PID) - before
	checkNoLostExits(t, r, ran.count)
	t.Logf("%.0f processes per second for %v cost %.2f %% of a core", ran.perSecond(), d, 100*used.Seconds()/ran.took.Seconds())
	checkPeakMemory(t, r)
}

// TestLoadOverhead logs how much longer a process lives while the exporter runs, in pairs of runs with
// and without it: at the usual rate, and at an unlimited rate, where exporter and load compete for the
// CPUs. LOAD_PAIRS is the number of pairs.
func TestLoadOverhead(t *testing.T) {
	requireBPF(t)
	pairs, err := strconv.Atoi(os.Getenv("LOAD_PAIRS"))
	if err != nil {
		t.Skip("set LOAD_PAIRS to the number of pairs of runs")
	}
	d, l := loadDuration(t), newLoad(t)
	for _, at := range []rate{loadRate, 0} {
		var ratios []float64
		for i := range pairs {
			a, b := l.pair(d, at, i)
			ratio := a.microsPerProcess()/b.microsPerProcess() - 1
			ratios = append(ratios, ratio)
			t.Logf("with the exporter %.0f per second, %.1f microseconds each; without %.0f, %.1f: %.1f %%",
				a.perSecond(), a.microsPerProcess(), b.perSecond(), b.microsPerProcess(), 100*ratio)
		}
		slices.Sort(ratios)
		t.Logf("overhead %.1f %%, the median of %d pairs, at %d per second (0: unlimited)",
			100*ratios[len(ratios)/2], pairs, at)
	}
}

// pair runs the load with and without an exporter, in alternating order.
func (l *load) pair(d time.Duration, at rate, number int) (with, without loadResult) {
	if number%2 == 1 {
		without = l.run(d, at)
	}
	r := l.watch()
	with = l.run(d, at)
	r.Stop()
	if number%2 == 0 {
		without = l.run(d, at)
	}
	return with, without
}
