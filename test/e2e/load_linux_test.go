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
)

// loadTime is how long each part of the tests under load takes, unless the
// environment says otherwise in LOAD.
const loadTime = 2 * time.Second

// A rate is how many processes a second the tests let live and die, if the machine
// can; 0 is as many as it can.
type rate int

// loadRate is the rate of most tests.
const loadRate rate = 10_000

// loadCount is how many processes live and die at each rate of make chaos.
const loadCount = 100_000

// eachRate runs a test for a moderate and a high rate. It is told for how long, so
// that loadCount processes end in make chaos if the rate is reached to four fifths.
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

// expectReached fails a test whose load was less than it is meant to be.
func (at rate) checkRate(t *testing.T, got loadResult) {
	t.Helper()
	if checkTimes && got.perSecond() < 0.8*float64(at) {
		t.Errorf("got %.0f processes a second, want at least four fifths of %d", got.perSecond(), at)
	}
}

// A load is a program that starts processes as fast as it is told.
type load struct {
	t       *testing.T
	spawn   string // testdata/spawn/spawn.c
	program string // testdata/spawn/exitnow.c

	exporter string // see plainBinary

	enter []string // the command that runs the load in a PID namespace, if it is to
}

func newLoad(t *testing.T) *load {
	t.Helper()
	compiler := requireProgram(t, "cc")
	exporter, err := plainBinary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	l := &load{t: t, spawn: filepath.Join(dir, "spawn"), program: filepath.Join(dir, "exitnow"), exporter: exporter}
	for _, args := range [][]string{
		{"-O2", "-o", l.spawn, "testdata/spawn/spawn.c"},
		{"-O2", "-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector", "-o", l.program, "testdata/spawn/exitnow.c"},
	} {
		if out, err := exec.Command(compiler, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %q: %v\n%s", compiler, args, err, out)
		}
	}
	return l
}

// rules put the processes of the load into a group, and nobody else's.
func (l *load) rules() string {
	return "process_names:\n- {name: exitnow, cmdline: ['^" + regexp.QuoteMeta(l.program) + "$']}\n"
}

// watch starts an exporter that takes what the load starts.
func (l *load) watch() *instance {
	l.t.Helper()
	config := writeFile(l.t, "rules.yaml", l.rules())
	r := startCommand(l.t, exec.Command(l.exporter, "--source=bpf", "--web.listen-address=127.0.0.1:0", "-config.path", config))
	eventually(l.t, "a listener", func() bool {
		r.checkRunning()
		return len(r.addresses()) > 0
	})
	r.URL = "http://" + r.addresses()[0]
	eventually(l.t, "the first walk", func() bool {
		response, _ := r.Get(readyPath)
		return response.StatusCode == http.StatusOK
	})
	return r
}

// A tempo is how many processes lived, and for how long they were started.
type loadResult struct {
	count int
	took  time.Duration
	busy  time.Duration // from the start of each process to its end, added up
}

func (p loadResult) perSecond() float64 { return float64(p.count) / p.took.Seconds() }

// each returns how many microseconds a process lived.
func (p loadResult) each() float64 { return 1e6 * p.busy.Seconds() / float64(p.count) }

// run starts processes on every CPU.
func (l *load) run(d time.Duration, at rate) (all loadResult) {
	l.t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range runtime.NumCPU() {
		args := append(slices.Clone(l.enter), l.spawn, l.program, strconv.Itoa(int(d.Seconds())))
		if at > 0 {
			args = append(args, strconv.Itoa(int(at)/runtime.NumCPU()))
		}
		wg.Go(func() {
			out, err := exec.Command(args[0], args[1:]...).Output()
			var count, nanos, busy int
			if _, bad := fmt.Sscan(string(out), &count, &nanos, &busy); err != nil || bad != nil {
				l.t.Errorf("spawn said %q: %v", out, err)
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

// timeOf returns how long a part of a test takes.
func loadDuration(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("LOAD")
	if text == "" {
		if testing.Short() {
			t.Skip("it starts thousands of processes")
		}
		return loadTime
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second {
		t.Fatalf("LOAD=%s is no time of at least a second: %v", text, err)
	}
	return d
}

// cpuTime returns the CPU time that all threads of a process have used.
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

// endsOf returns how many processes the exporter has told the end of, in all
// groups, and how many it has lost.
func exitTotals(t *testing.T, series sampleSet) (told, lost int) {
	t.Helper()
	for key, value := range series {
		if strings.HasPrefix(key, "namedprocess_namegroup_exits_total{") {
			told += int(value)
		}
	}
	return told, int(series.value(t, "namedprocess_exporter_lost_exit_events_total"))
}

// expectEnds waits until so many processes are told of or counted as lost.
func waitForExits(t *testing.T, r *instance, last sampleSet, want int) (told, lost int) {
	t.Helper()
	eventually(t, "every end of a process", func() bool {
		told, lost = exitTotals(t, last.follow(t, r.Scrape()))
		return told+lost >= want
	}, func() string { return fmt.Sprintf("%d told of and %d lost of %d", told, lost, want) })
	return told, lost
}

// expectNoLoss is expectEnds where none may be lost, or few on a busy machine.
// Those that others lose count as well.
func checkNoLostExits(t *testing.T, r *instance, want int) {
	t.Helper()
	told, lost := waitForExits(t, r, make(sampleSet), want)
	if told > want || lost > want/10 || checkTimes && lost > 0 {
		t.Errorf("got %d ends of %d processes, and %d lost", told, want, lost)
	}
}

// TestLoadIsCounted counts every process of a machine that starts some or as many as it
// can, and logs what that costs. LOAD=10s make test takes its time for it.
func TestLoadIsCounted(t *testing.T) {
	requireLinux(t)
	requireBPF(t)
	l := newLoad(t)
	eachRate(t, l.testCounted)
}

func (l *load) testCounted(t *testing.T, d time.Duration, at rate) {
	enableBPFStats(t)
	r := l.watch()
	defer r.Stop()
	before := cpuTime(t, r.PID)
	done := l.run(d, at)
	inKernel := bpfRunTime(t, r.PID)
	checkNoLostExits(t, r, done.count)
	at.checkRate(t, done)
	used := cpuTime(t, r.PID) - before
	share := used.Seconds() / done.took.Seconds()
	each := 1e6 * inKernel.Seconds() / float64(done.count)
	t.Logf("the programs inside the kernel took %.2f of the %.1f microseconds that each process lived, %.2f %%", each, done.each(), 100*each/done.each())
	t.Logf("%d processes, %.0f per second, cost %.2f %% of a core, %.1f microseconds each; at 10,000 that is %.1f %%",
		done.count, done.perSecond(), 100*share, 1e6*used.Seconds()/float64(done.count), 1e6*used.Seconds()/float64(done.count))
	checkPeakMemory(t, r)
}

// accountPrograms has the kernel take the time of its programs while the test runs.
func enableBPFStats(t *testing.T) {
	t.Helper()
	const path = "/proc/sys/kernel/bpf_stats_enabled"
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("1"), 0); err != nil {
		t.Logf("the kernel takes no time of its programs: %v", err)
		return
	}
	t.Cleanup(func() {
		if err := os.WriteFile(path, was, 0); err != nil {
			t.Error(err)
		}
	})
}

var bpfProgramStats = regexp.MustCompile(`(?s)prog_id:\t(\d+)\n.*run_time_ns:\t(\d+)\n`)

// programTime returns the time that the programs of a process have run.
func bpfRunTime(t *testing.T, pid int) (all time.Duration) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	counted := make(map[string]bool) // a program may have several descriptors
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // closed meanwhile
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

// expectSmall fails if the exporter ever had more memory than it may: 40 MiB, and
// a page for each process that others have on this machine. Where it has to wait for
// a CPU, what it has not handled yet piles up, so that it may have half as much again.
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
	if t.Logf("the exporter has had %.1f MiB at most", float64(peak)/1024); peak > most && !raceDetector {
		t.Errorf("got a peak of %d KiB, want at most %d", peak, most)
	}
}

// TestLoadWithoutScrapes lets processes live and die while nobody scrapes, for
// three parts of time, or for LOAD_ALONE. The events fill the kernel's buffer
// several times over; the exporter takes them by itself, forgets none and does
// not grow.
func TestLoadWithoutScrapes(t *testing.T) {
	requireLinux(t)
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
	done := l.run(d, loadRate)
	used := cpuTime(t, r.PID) - before
	checkNoLostExits(t, r, done.count)
	t.Logf("%.0f processes per second for %v cost %.2f %% of a core", done.perSecond(), d, 100*used.Seconds()/done.took.Seconds())
	checkPeakMemory(t, r)
}

// TestLoadOverhead logs how much longer a process takes from its start to its
// end while the exporter watches, by pairs of runs with and without it: at the
// rate of the other tests, and where every CPU has nothing else to do and the
// exporter takes its own time from the load. LOAD_PAIRS says how many.
func TestLoadOverhead(t *testing.T) {
	requireLinux(t)
	requireBPF(t)
	pairs, err := strconv.Atoi(os.Getenv("LOAD_PAIRS"))
	if err != nil {
		t.Skip("only with LOAD_PAIRS, the number of pairs of runs")
	}
	d, l := loadDuration(t), newLoad(t)
	for _, at := range []rate{loadRate, 0} {
		var ratios []float64
		for i := range pairs {
			a, b := l.pair(d, at, i%2 == 0)
			ratio := a.each()/b.each() - 1
			ratios = append(ratios, ratio)
			t.Logf("with it %.0f per second, %.1f microseconds each; without %.0f, %.1f: %.1f %%",
				a.perSecond(), a.each(), b.perSecond(), b.each(), 100*ratio)
		}
		slices.Sort(ratios)
		t.Logf("slowed by %.1f %%, the median of %d pairs, asked for %d per second (0 is all that there can be)",
			100*ratios[len(ratios)/2], pairs, at)
	}
}

// pair runs the load with an exporter that watches and without one, in this
// order or the other.
func (l *load) pair(d time.Duration, at rate, watchedFirst bool) (with, without loadResult) {
	watched := func() {
		r := l.watch()
		defer r.Stop()
		with = l.run(d, at)
	}
	if watchedFirst {
		watched()
		return with, l.run(d, at)
	}
	without = l.run(d, at)
	watched()
	return with, without
}
