package e2e

import (
	"fmt"
	"maps"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// need skips a test that needs a program which is not there. Where it must be
// there, as in CI, that is a failure.
func requireProgram(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	switch {
	case err == nil:
		return path
	case os.Getenv("CI") == "true":
		t.Fatalf("%s is not installed; testdata/prerequisites.sh installs it", program)
	default:
		t.Skipf("%s is not installed", program)
	}
	return ""
}

// needBPF skips a test where the kernel takes no programs. In CI, where root runs
// the tests, that is a failure unless the kernel lacks what it takes.
func requireBPF(t *testing.T) {
	t.Helper()
	out, err := exec.Command(binary, "--source=bpf", "--once-to-stdout-delay=1ns").CombinedOutput()
	if err == nil {
		return
	}
	_, noTypes := os.Stat("/sys/kernel/btf/vmlinux")
	if os.Getenv("CI") == "true" && os.Geteuid() == 0 && noTypes == nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Skipf("the kernel takes no programs here: %s", out)
}

// freeAddress returns an address of this machine that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// A sampleSet is what a scrape says: values by name and labels, in order.
type sampleSet map[string]float64

func parseMetrics(t *testing.T, text string) (sampleSet, map[string]dto.MetricType) {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	values, types := make(sampleSet), make(map[string]dto.MetricType)
	for name, f := range families {
		types[name] = f.GetType()
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			slices.Sort(labels)
			values[name+"{"+strings.Join(labels, ",")+"}"] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return values, types
}

// value returns the one sample of a family without labels, which must be there.
func (s sampleSet) value(t *testing.T, name string) float64 {
	t.Helper()
	v, ok := s[name+"{}"]
	if !ok {
		t.Fatalf("there is no %s", name)
	}
	return v
}

// groupsOf keeps the series of the groups whose name begins with prefix.
func (s sampleSet) seriesOfGroups(prefix string) sampleSet {
	out := make(sampleSet)
	for key, v := range s {
		if strings.Contains(key, `groupname="`+prefix) {
			out[strings.TrimPrefix(key, "namedprocess_namegroup_")] = v
		}
	}
	return out
}

// cpu returns the CPU seconds of a group.
func (s sampleSet) cpu(group string) float64 {
	return s[`cpu_seconds_total{groupname="`+group+`",mode="user"}`] + s[`cpu_seconds_total{groupname="`+group+`",mode="system"}`]
}

// startPeer starts the exporter that this one succeeds, and waits until it
// serves.
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
	eventually(t, "the peer", func() bool {
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

// A difference is a series whose value here is right and differs from the
// peer's: a row marked F of docs/migration.md.
type difference struct {
	trap  string
	key   string // prefix of the series
	group string // only in this group, if not ""
}

func (d difference) covers(key string) bool {
	return strings.HasPrefix(key, d.key) && (d.group == "" || strings.Contains(key, `groupname="`+d.group+`"`))
}

// TestPeer runs the peer beside this exporter, with the same configuration over
// the same processes, and compares every series. What differs must stand in
// the list, and what the workload is known to have done must show.
func TestPeer(t *testing.T) {
	requireLinux(t)
	t.Run("procfs", func(t *testing.T) { compareWithPeer(t, "procfs", nil, nil) })
	t.Run("bpf", func(t *testing.T) {
		requireBPF(t)
		// The kernel counts to the end of a process, the peer to its last look.
		var ended []difference
		for _, name := range []string{"cpu_seconds_total{", "context_switches_total{", "minor_page_faults_total{", "major_page_faults_total{"} {
			ended = append(ended, difference{"63", name, "side-old"})
		}
		// The kernel has nanoseconds, the peer whole ticks of each thread.
		compareWithPeer(t, "bpf", map[string]float64{"cpu_seconds_total{": 0.011, "thread_cpu_seconds_total{": 0.031}, ended)
	})
}

// besidePeer compares this exporter, with one source, with the peer. Values of
// the series that begin as near says may be that far apart.
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
	if v := known[`write_bytes_total{groupname="side-old"}`]; v < 3<<20 || v > 3<<20+1<<17 { // the file system adds a little of its own
		t.Errorf("got %v bytes written, want a little over %d", v, 3<<20)
	}
	if v := known.cpu("side-old"); v < 0.28 || v > 0.6 {
		t.Errorf("got %v CPU seconds of a process that used 0.3", v)
	}
	if v := known[`open_filedesc{groupname="side-old"}`] - got.seriesOfGroups("side-plain")[`open_filedesc{groupname="side-plain"}`]; v != 25 {
		t.Errorf("got %v more file descriptors than the process that opened none, want 25", v)
	}
	if v := known[`thread_count{groupname="side-old",threadname="named"}`]; v != 2 {
		t.Errorf("got %v threads of that name, want 2", v)
	}

	// A process born later counts in full. The peer tells when by the wall
	// clock, and needs some distance.
	eventually(t, "two seconds", func() bool { return time.Since(started) > 2500*time.Millisecond })
	late := startWorker(t, "late")
	late.do("cpu 200")
	compare(t, peer, ours.Scrape, near, []difference{{"62", "thread_", "side-late"}})
	got, _ = parseMetrics(t, ours.Scrape())
	if v := got.seriesOfGroups("side-late").cpu("side-late"); v < 0.18 || v > 0.4 {
		t.Errorf("got %v CPU seconds of a process that used 0.2", v)
	}

	// A process that exits keeps its group's counters.
	before := known[`write_bytes_total{groupname="side-old"}`]
	old.end()
	compare(t, peer, ours.Scrape, near, append(ended, difference{"55", "oldest_start_time_seconds{", "side-old"}, difference{"62", "thread_", "side-late"}))
	got, _ = parseMetrics(t, ours.Scrape())
	if v := got.seriesOfGroups("side-old")[`write_bytes_total{groupname="side-old"}`]; v != before {
		t.Errorf("got %v bytes written after the process has gone, want %v", v, before)
	}
}

// always lists what differs at any time.
var permanentDifferences = []difference{
	{"60", "states{", ""},        // the peer counts the main thread twice
	{"61", "threads_wchan{", ""}, // likewise
}

// compare scrapes both exporters until they agree, and fails if that never
// comes: processes that wind down need a moment, and the peer reads a little
// earlier or later.
//
// Trap 81: the types are the same too.
func compare(t *testing.T, peer, ours func() string, near map[string]float64, also []difference) {
	t.Helper()
	var wrong []string
	eventually(t, "agreement", func() bool {
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

// newFamilies are those that the peer does not have.
var familiesOfThisExporter = []string{
	"unreadable_procs", "smaps_age_seconds", "group_changes_total", "expected_min_procs", "expected_max_procs", "starts_total", "exits_total", "oom_kills_total", "cpu_wait_seconds_total", "block_io_wait_seconds_total",
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
		isNew := strings.Contains(key, `memtype="unique"`) || slices.ContainsFunc(familiesOfThisExporter, func(name string) bool { return strings.HasPrefix(key, name+"{") })
		if !ok && !isNew && !strings.HasPrefix(key, "threads_wchan{") {
			wrong = append(wrong, "only here: "+key)
		}
	}
	return wrong
}
