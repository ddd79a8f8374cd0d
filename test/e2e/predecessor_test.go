package e2e

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// startPeer starts the predecessor and waits until it serves.
func startPeer(t *testing.T, args ...string) (scrape func() string) {
	t.Helper()
	address := freeAddress(t)
	command := exec.Command(requireProgram(t, "prometheus-process-exporter"), append(args, "-web.listen-address", address)...)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	r := &instance{t: t, URL: "http://" + address, Client: &http.Client{Timeout: testTimeout}}
	eventually(t, "the predecessor", func() bool {
		response, err := r.Client.Get(r.URL + "/metrics")
		if err != nil {
			return false
		}
		return response.Body.Close() == nil
	})
	return r.Scrape
}

const peerRules = `process_names:
  - name: "side-{{.Matches.name}}"
    cmdline: ['workload (?P<name>\S+)$']
`

// A difference is a series with a value that deliberately differs from the predecessor: a row with the
// mark F in docs/migration.md.
type difference struct {
	reason string
	key    string // prefix of the series
	group  string // "" for every group
}

func (d difference) covers(key string) bool {
	return strings.HasPrefix(key, d.key) && (d.group == "" || strings.Contains(key, `groupname="`+d.group+`"`))
}

// TestPeer runs the predecessor next to this exporter, with the same configuration and processes, and
// compares every series. Only listed differences are allowed, and the known work of the processes must
// be counted.
func TestPeer(t *testing.T) {
	requireLinux(t)
	t.Run("procfs", func(t *testing.T) { compareWithPeer(t, "procfs", nil, nil) })
	t.Run("bpf", func(t *testing.T) {
		requireBPF(t)
		// The kernel counts up to the exit of a process, the predecessor up to its last walk.
		var ended []difference
		for _, name := range []string{"cpu_seconds_total{", "context_switches_total{", "minor_page_faults_total{", "major_page_faults_total{"} {
			ended = append(ended, difference{"the predecessor counts up to its last walk", name, "side-old"})
		}
		// The kernel measures nanoseconds, the predecessor whole ticks of each thread.
		compareWithPeer(t, "bpf", map[string]float64{"cpu_seconds_total{": 0.011, "thread_cpu_seconds_total{": 0.031}, ended)
	})
}

// compareWithPeer compares this exporter, with one source, with the predecessor. near holds the
// allowed difference by prefix of the series.
func compareWithPeer(t *testing.T, source string, near map[string]float64, ended []difference) {
	config := writeFile(t, "rules.yaml", peerRules)
	old, plain := startWorker(t, "old"), startWorker(t, "plain")
	old.do("thread named 0")
	old.do("thread named 0")
	peer := startPeer(t, "-config.path", config)
	ours := startExporter(t, "-config.path", config, "--source="+source)
	started := time.Now()

	old.do("cpu 300")
	old.do("write %d", 3<<20)
	old.do("open 25")
	plain.do("write %d", 1<<20)
	compare(t, peer, ours.Scrape, near, nil)

	got, _ := parseMetrics(t, ours.Scrape())
	known := got.seriesOfGroups("side-old")
	if v := known[`write_bytes_total{groupname="side-old"}`]; v < 3<<20 || v > 3<<20+1<<17 { // the file system adds some
		t.Errorf("got %v bytes written, want slightly more than %d", v, 3<<20)
	}
	if v := known.cpu("side-old"); v < 0.28 || v > 0.6 {
		t.Errorf("got %v CPU seconds, want 0.3", v)
	}
	if v := known[`open_filedesc{groupname="side-old"}`] - got.seriesOfGroups("side-plain")[`open_filedesc{groupname="side-plain"}`]; v != 25 {
		t.Errorf("got %v more file descriptors than the other process, want 25", v)
	}
	if v := known[`thread_count{groupname="side-old",threadname="named"}`]; v != 2 {
		t.Errorf("got %v threads with that name, want 2", v)
	}

	// A process that starts later counts from its start. The predecessor compares start times with the
	// wall clock, which requires some distance.
	eventually(t, "two seconds", func() bool { return time.Since(started) > 2500*time.Millisecond })
	late := startWorker(t, "late")
	late.do("cpu 200")
	compare(t, peer, ours.Scrape, near, []difference{{"62", "thread_", "side-late"}})
	got, _ = parseMetrics(t, ours.Scrape())
	if v := got.seriesOfGroups("side-late").cpu("side-late"); v < 0.18 || v > 0.4 {
		t.Errorf("got %v CPU seconds, want 0.2", v)
	}

	// A process that exits keeps its part of the counters.
	before := known[`write_bytes_total{groupname="side-old"}`]
	old.end()
	compare(t, peer, ours.Scrape, near, append(ended,
		difference{"the predecessor exports a year before 1970", "oldest_start_time_seconds{", "side-old"},
		difference{"the predecessor does not count the first usage of a thread", "thread_", "side-late"}))
	got, _ = parseMetrics(t, ours.Scrape())
	if v := got.seriesOfGroups("side-old")[`write_bytes_total{groupname="side-old"}`]; v != before {
		t.Errorf("got %v bytes written after the process exited, want %v", v, before)
	}
}

// permanentDifferences lists the series that always differ.
var permanentDifferences = []difference{
	{"the predecessor counts the leader twice", "states{", ""},
	{"the predecessor counts the leader twice", "threads_wchan{", ""},
}

// compare scrapes both exporters until they agree, because the two exporters read the processes at
// slightly different times. Types must be the same, too.
func compare(t *testing.T, peer, ours func() string, near map[string]float64, also []difference) {
	t.Helper()
	var wrong []string
	eventually(t, "agreement with the predecessor", func() bool {
		theirs, theirTypes := parseMetrics(t, peer())
		mine, myTypes := parseMetrics(t, ours())
		wrong = disagreements(theirs.seriesOfGroups("side-"), mine.seriesOfGroups("side-"), near, append(also, permanentDifferences...))
		for name, kind := range theirTypes {
			if strings.HasPrefix(name, "namedprocess_") && myTypes[name] != kind {
				wrong = append(wrong, fmt.Sprintf("%s is a %v, want a %v", name, myTypes[name], kind))
			}
		}
		if len(wrong) > 0 {
			t.Logf("not yet: %q", wrong)
		}
		return len(wrong) == 0
	})
}

// familiesOfThisExporter are the families that the predecessor does not have.
var familiesOfThisExporter = []string{
	"unreadable_procs", "smaps_age_seconds", "group_changes_total", "expected_procs",
	"starts_total", "exits_total", "oom_kills_total", "cpu_wait_seconds_total", "block_io_wait_seconds_total",
}

func disagreements(theirs, ours sampleSet, near map[string]float64, listed []difference) (wrong []string) {
	if len(theirs) == 0 {
		return []string{"the peer has no series"}
	}
	for _, key := range slices.Sorted(maps.Keys(theirs)) {
		v, ok := ours[key]
		isListed := slices.ContainsFunc(listed, func(d difference) bool { return d.covers(key) })
		name, _, _ := strings.Cut(key, "{")
		if !isListed && (!ok || math.Abs(v-theirs[key]) > max(near[name+"{"], 1e-6*math.Abs(v))) {
			wrong = append(wrong, fmt.Sprintf("%s: got %v (%v), the peer has %v", key, v, ok, theirs[key]))
		}
	}
	for key := range ours {
		_, ok := theirs[key]
		isNew := strings.Contains(key, `memtype="unique"`) || slices.ContainsFunc(familiesOfThisExporter,
			func(name string) bool { return strings.HasPrefix(key, name+"{") })
		if !ok && !isNew && !strings.HasPrefix(key, "threads_wchan{") {
			wrong = append(wrong, "only here: "+key)
		}
	}
	return wrong
}
