package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// distinctNames is the number of processes with different names in TestDistinctNames. The environment
// variable NAMES overrides it.
const distinctNames = 6000

// TestDistinctNames starts thousands of processes, each with its own name. The number of series and
// the memory stay within their limits, the sums include the usage of every process, and existing
// groups remain.
func TestDistinctNames(t *testing.T) {
	requireLinux(t)
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
	path, err := plainBinary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir() // its name is part of every command line
	rules := writeFile(t, "rules.yaml",
		"process_names:\n- {name: bystander, cmdline: 'bystander$'}\n- {name: 'n {{.Comm}}', cmdline: '"+dir+"'}\n")
	r := startCommand(t, exec.Command(path, "--web.listen-address=127.0.0.1:0", "--source=bpf", "--children=false", "-config.path", rules))
	eventually(t, "a listener", func() bool { r.checkRunning(); return len(r.addresses()) > 0 })
	r.URL = "http://" + r.addresses()[0]
	bystander := startWorker(t, "bystander")
	bystander.do("cpu 20")
	r.Scrape()

	charged := startNames(t, r, dir, names)
	bystander.do("cpu 20")
	var series sampleSet
	eventually(t, "all exit events", func() bool {
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

// cpuSeconds returns the user and system CPU time of a group.
func (s sampleSet) cpuSeconds(group string) float64 {
	return s[fmt.Sprintf(`namedprocess_namegroup_cpu_seconds_total{groupname=%q,mode="user"}`, group)] +
		s[fmt.Sprintf(`namedprocess_namegroup_cpu_seconds_total{groupname=%q,mode="system"}`, group)]
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

// statusKB returns the number of a line of /proc/PID/status.
func statusKB(t *testing.T, pid int, key string) (n int) {
	t.Helper()
	word := statusWord(t, pid, key)
	n, err := strconv.Atoi(word)
	if err != nil {
		t.Fatalf("%s of process %d: %v", key, pid, err)
	}
	return n
}

// statusWord returns the first word of a line of /proc/PID/status.
func statusWord(t *testing.T, pid int, key string) (word string) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n"+key+":")
	if _, err := fmt.Sscan(rest, &word); err != nil || !found {
		t.Fatalf("got no %s in the status of process %d: %v", key, pid, err)
	}
	return word
}

// TestReloadUnderLoad reloads 100 times while ten clients scrape. No scrape fails, and no counter
// decreases.
func TestReloadUnderLoad(t *testing.T) {
	requireLinux(t)
	const scrapers, reloads = 10, 100
	path := writeFile(t, "rules.yaml", "")
	configs := []string{
		"process_names:\n- {name: busy, cmdline: 'workload busy$'}\n- {name: '{{.Comm}}', cmdline: .+}\n",
		"process_names:\n- {name: busy, comm: busy}\n- {name: 'x{{.Comm}}', cmdline: .+}\n",
		"process_names:\n- {name: busy, cmdline: 'workload (?P<n>busy)$', expect: {min: 1}, top: 2}\n",
		"process_names: {\n", // invalid: the previous configuration stays in use
	}
	write := func(i int) {
		if err := os.WriteFile(path+".new", []byte(configs[i%len(configs)]), 0o600); err != nil {
			t.Error(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Error(err)
		}
	}
	write(0)
	busy := startWorker(t, "busy")
	r := startExporter(t, "--web.enable-lifecycle", "--source=procfs", "-config.path", path)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range scrapers {
		wg.Go(func() { scrapeUntil(t, r, stop) })
	}
	for i := 1; i <= reloads; i++ {
		write(i)
		busy.do("cpu 5")
		response, err := r.Client.Post(r.URL+reloadPath, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if want := map[bool]int{true: 200, false: 500}[i%len(configs) != 3]; response.StatusCode != want {
			t.Errorf("reload %d: got status %d, want %d", i, response.StatusCode, want)
		}
	}
	close(stop)
	wg.Wait()
	// On a busy machine the reads of its files can be delayed.
	var got float64
	eventually(t, "the CPU time of a process that used half a second", func() bool {
		series, _ := parseMetrics(t, r.Scrape())
		got = series.cpuSeconds("busy")
		return got >= 0.48
	}, func() string { return fmt.Sprint(got) })
}

// scrapeUntil scrapes until stop is closed, and compares the counters of each response with the
// previous one.
func scrapeUntil(t *testing.T, r *instance, stop <-chan struct{}) {
	var before sampleSet
	for {
		select {
		case <-stop:
			return
		default:
		}
		now, _ := parseMetrics(t, r.Scrape())
		if now.value(t, "namedprocess_exporter_scrape_success") != 1 {
			t.Error("got a failed scrape")
		}
		for key, was := range before {
			if v, ok := now[key]; ok && v < was && strings.Contains(key, "_total") && strings.HasPrefix(key, "namedprocess_") {
				t.Errorf("%s decreased from %v to %v", key, was, v)
			}
		}
		before = now
	}
}
