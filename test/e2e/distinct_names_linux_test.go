package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// distinctNames is the number of processes with different names in TestDistinctNames. The environment
// variable NAMES overrides it.
const distinctNames = 6000

// TestDistinctNames starts thousands of processes, each with its own name. The number of series and
// the memory stay within their limits, the sums include the usage of every process, and existing
// groups remain.
func TestDistinctNames(t *testing.T) {
	requireBPF(t)
	if testing.Short() {
		t.Skip("it starts thousands of processes")
	}
	names := distinctNames
	if text := os.Getenv("NAMES"); text != "" {
		var err error
		if names, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	path := plainBinary(t)
	dir := t.TempDir() // its name is part of every command line
	rules := writeFile(t, "rules.yaml",
		"process_names:\n- {name: bystander, cmdline: 'bystander$'}\n- {name: 'n {{.Comm}}', cmdline: '"+dir+"'}\n")
	r := startCommand(t, exec.Command(path, "--web.listen-address=127.0.0.1:0", "--source=bpf", "--children=false", "-config.path", rules))
	testenv.WaitFor(t, "a listener", func() bool { r.checkRunning(); return len(r.addresses()) > 0 })
	r.URL = "http://" + r.addresses()[0]
	bystander := startWorker(t, "bystander")
	bystander.do("cpu 20")
	r.Scrape()

	charged := startNames(t, r, dir, names)
	bystander.do("cpu 20")
	var series sampleSet
	testenv.WaitFor(t, "all exit events", func() bool {
		series, _ = parseMetrics(t, r.Scrape())
		return series.sumOfNames("exits_total") == float64(names)
	}, func() string { return fmt.Sprintf("%v of %d", series.sumOfNames("exits_total"), names) })
	checkDistinctNames(t, series, names, charged)
	peak := statusKB(t, r.PID, "VmHWM")
	t.Logf("%d names: %d series, peak memory %d KiB, %v CPU", names, len(series), peak, charged)
	if peak > 60<<10 && !raceDetector {
		t.Errorf("got a peak of %d KiB of memory, want at most 60 MiB", peak)
	}
	if n := len(r.Log()); n > 12 {
		t.Errorf("got %d log lines, want at most 12:\n%s", n, strings.Join(r.Log(), "\n"))
	}
}

// sumOfNames adds up a metric over the groups of TestDistinctNames.
func (s sampleSet) sumOfNames(metric string) float64 {
	return s.sumOf(metric, "n ") + s.sumOf(metric, "_other")
}

// checkDistinctNames checks the number of groups, their sums, and the process that ran all the time.
func checkDistinctNames(t *testing.T, series sampleSet, names int, charged time.Duration) {
	t.Helper()
	const limit = 2000 // default of --max-groups
	groups := 0
	for key := range series {
		if strings.HasPrefix(key, "namedprocess_namegroup_num_procs{") {
			groups++
		}
	}
	if want := min(names, limit) + 1; groups > limit+2 || groups < want {
		t.Errorf("got %d groups of %d names, want between %d and %d", groups, names, want, limit+2)
	}
	if got := series.value(t, "namedprocess_exporter_group_limit_hits_total"); names > limit && got != float64(names-limit) {
		t.Errorf("got %v group limit hits, want %d", got, names-limit)
	}
	if got := series.sumOfNames("starts_total"); got != float64(names) {
		t.Errorf("got %v starts, want %d", got, names)
	}
	// A process that is reaped before its last thread has left its CPU is charged for its last
	// microseconds when it is reaped.
	if got := series.sumOfNames("cpu_seconds_total"); got < 0.99*charged.Seconds() || got > 1.005*charged.Seconds() {
		t.Errorf("got %v CPU seconds, want the charged %v", got, charged.Seconds())
	}
	if got := series.value(t, "namedprocess_exporter_lost_exit_events_total"); got != 0 {
		t.Errorf("got %v lost exit events, want 0", got)
	}
	if got := series.cpuSeconds("bystander"); got < 0.015 {
		t.Errorf("got %v CPU seconds of a process that used 0.02 during the test", got)
	}
}

// startNames runs processes one after another, scrapes after every thousand, and returns the CPU time
// that they were charged.
func startNames(t *testing.T, r *instance, dir string, names int) (charged time.Duration) {
	t.Helper()
	program, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	for i := range names {
		link := filepath.Join(dir, fmt.Sprintf("n%d", i))
		if err := os.Symlink(program, link); err != nil {
			t.Fatal(err)
		}
		command := exec.Command(link)
		if err := command.Run(); err != nil {
			t.Fatal(err)
		}
		charged += command.ProcessState.UserTime() + command.ProcessState.SystemTime()
		if err := os.Remove(link); err != nil {
			t.Fatal(err)
		}
		if i%1000 == 999 {
			r.Scrape()
		}
	}
	return charged
}
