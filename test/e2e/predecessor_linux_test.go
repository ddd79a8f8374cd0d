package e2e

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// startPeer starts the predecessor and waits until it serves.
func startPeer(t *testing.T, args ...string) (scrape func() string) {
	t.Helper()
	address := freeAddress(t)
	command := exec.Command(testenv.RequireProgram(t, "prometheus-process-exporter"), append(args, "-web.listen-address", address)...)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	r := &instance{t: t, URL: "http://" + address, Client: &http.Client{Timeout: testTimeout}}
	testenv.WaitFor(t, "the predecessor", func() bool {
		response, err := r.Client.Get(r.URL + "/metrics")
		if err != nil {
			return false
		}
		return response.Body.Close() == nil
	})
	return r.Scrape
}

// A peerConfig is a configuration that both exporters get.
type peerConfig struct {
	name  string
	rules string // with the directory of the worker programs as %s
	flags []string

	group func(worker string) string // returns the group of a worker of this user
}

func oneGroupPerWorker(worker string) string { return "side-" + worker }

// peerConfigs use the selectors of the predecessor, and its flags that change the exported series.
var peerConfigs = []peerConfig{
	{"comm", "- comm: [side-old, side-plain, side-late, side-other]", nil, oneGroupPerWorker},
	{"exe", "- exe: ['%[1]s/side-old', '%[1]s/side-plain', side-late, side-other]",
		[]string{"-children=false", "-threads=false", "-gather-smaps=false"}, oneGroupPerWorker},
	{"username", "- {name: 'side-{{.Username}}', comm: [side-old, side-plain, side-late, side-other]}", nil,
		func(string) string { return "side-" + currentUser() }},
	{"captures", `- {name: 'side-{{.Matches.name}}', cmdline: ['/side-(?P<name>\w+)$']}`, []string{"-recheck"}, oneGroupPerWorker},
}

// currentUser returns the name of the user of this process.
func currentUser() string {
	u, err := user.Current()
	if err != nil {
		return strconv.Itoa(os.Getuid())
	}
	return u.Username
}

// A difference is a series with a value that deliberately differs from the predecessor: a row with the
// mark F in docs/migration.md.
type difference struct {
	reason string
	key    string // prefix of the series
	group  string // "" for every group
	absent bool   // only the predecessor has the series
}

func (d difference) covers(key string) bool {
	return strings.HasPrefix(key, d.key) && (d.group == "" || strings.Contains(key, `groupname="`+d.group+`"`))
}

// TestPredecessor runs the predecessor next to this exporter, with the same configuration and
// processes, and compares every series. Only listed differences are allowed, and the known work of
// the processes must be counted.
func TestPredecessor(t *testing.T) {
	testenv.RequireProgram(t, "prometheus-process-exporter")
	for _, c := range peerConfigs {
		t.Run(c.name, func(t *testing.T) {
			t.Run("procfs", func(t *testing.T) { (&peerTest{t: t, peerConfig: c, source: "procfs"}).run() })
			t.Run("bpf", func(t *testing.T) {
				requireBPF(t)
				// The kernel measures nanoseconds, the predecessor whole ticks of each process and thread.
				near := map[string]float64{"cpu_seconds_total{": 0.011 * peerProcs, "thread_cpu_seconds_total{": 0.031 * peerProcs}
				(&peerTest{t: t, peerConfig: c, source: "bpf", near: near}).run()
			})
		})
	}
}

// peerProcs is the largest number of processes in a group.
const peerProcs = 4

// A peerTest compares this exporter, with one source, with the predecessor.
type peerTest struct {
	t *testing.T
	peerConfig
	source string
	dir    string             // of the worker programs
	near   map[string]float64 // allowed difference by prefix of the series

	peer, ours func() string
}

// startWorker starts the worker "side-NAME".
func (p *peerTest) startWorker(name string, attributes *syscall.SysProcAttr) *worker {
	p.t.Helper()
	return startNamedWorker(p.t, p.dir, "side-"+name, attributes)
}

// known returns the series of the group of a worker.
func (p *peerTest) known(worker string) sampleSet {
	p.t.Helper()
	got, _ := parseMetrics(p.t, p.ours())
	return got.seriesOfGroups(p.group(worker))
}

func (p *peerTest) run() {
	t := p.t
	p.dir = t.TempDir()
	rules := p.rules
	if strings.Contains(rules, "%") {
		rules = fmt.Sprintf(rules, p.dir)
	}
	config := writeFile(t, "rules.yaml", "process_names:\n"+rules+"\n")
	old, plain := p.startWorker("old", nil), p.startWorker("plain", nil)
	if os.Getuid() == 0 {
		makeReadable(t, p.dir)
		p.startWorker("other", &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}})
	}
	old.do("thread named 0")
	old.do("thread named 0")
	old.do("child")
	p.peer = startPeer(t, append(p.flags, "-config.path", config)...)
	p.ours = startSource(t, p.source, append(p.flags, "-config.path", config)...).Scrape
	p.ours() // counts from here on
	started := time.Now()

	old.do("cpu 300")
	old.do("write %d", 3<<20)
	old.do("open 25")
	plain.do("write %d", 1<<20)
	p.compare(nil)
	p.checkKnownWork()

	// A process that starts later counts from its start. The predecessor compares start times with the
	// wall clock, which requires some distance.
	testenv.WaitFor(t, "two seconds", func() bool { return time.Since(started) > 2500*time.Millisecond })
	late := p.startWorker("late", nil)
	late.do("cpu 200")
	p.compare([]difference{{"the predecessor does not count the first usage of a thread", "thread_", p.group("late"), false}})
	if v := p.known("late").cpu(p.group("late")); v < 0.18 || p.group("late") != p.group("old") && v > 0.4 {
		t.Errorf("got %v CPU seconds, want 0.2", v)
	}

	// A process that exits keeps its part of the counters.
	written := `write_bytes_total{groupname="` + p.group("old") + `"}`
	before := p.known("old")[written]
	old.end()
	ended := []difference{
		{"the predecessor exports a year before 1970", "oldest_start_time_seconds{", p.group("old"), true},
		{"the predecessor does not count the first usage of a thread", "thread_", p.group("late"), false},
	}
	// The kernel counts up to the exit of a process, /proc up to the last walk of each exporter.
	for _, name := range []string{"cpu_seconds_total{", "context_switches_total{", "minor_page_faults_total{", "major_page_faults_total{"} {
		ended = append(ended, difference{"the process exits between two walks", name, p.group("old"), false})
	}
	p.compare(ended)
	if v := p.known("old")[written]; v != before {
		t.Errorf("got %v bytes written after the process exited, want %v", v, before)
	}
}

// checkKnownWork compares the values of the worker "old" with its work, and the exported families with
// the flags.
func (p *peerTest) checkKnownWork() {
	t := p.t
	t.Helper()
	known, group := p.known("old"), p.group("old")
	hasThreads := !slices.Contains(p.flags, "-threads=false")
	for family, want := range map[string]bool{
		"thread_count{": hasThreads, "threads_wchan{": os.Getuid() == 0,
		`memory_bytes{groupname="` + group + `",memtype="proportionalResident"}`: !slices.Contains(p.flags, "-gather-smaps=false"),
	} {
		got := false
		for key := range known {
			got = got || strings.HasPrefix(key, family)
		}
		if got != want {
			t.Errorf("got series of %s: %v, want %v", family, got, want)
		}
	}
	if v := known[`thread_count{groupname="`+group+`",threadname="named"}`]; hasThreads && v != 2 {
		t.Errorf("got %v threads with that name, want 2", v)
	}
	if v := known.cpu(group); v < 0.28 || v > 0.6 {
		t.Errorf("got %v CPU seconds, want 0.3", v)
	}
	if group == p.group("plain") {
		return
	}
	if v := known[`write_bytes_total{groupname="`+group+`"}`]; v < 3<<20 || v > 3<<20+1<<17 { // the file system adds some
		t.Errorf("got %v bytes written, want slightly more than %d", v, 3<<20)
	}
	want := 1.0
	if !slices.Contains(p.flags, "-children=false") {
		want = 2 // with its child
	}
	if v := known[`num_procs{groupname="`+group+`"}`]; v != want {
		t.Errorf("got %v processes, want %v", v, want)
	}
}

// smapsInterval is the number of scrapes after which the proportional memory of an idle process is
// read again.
const smapsInterval = 16

// permanentDifferences lists the series that always differ.
var permanentDifferences = []difference{
	{"the predecessor counts the main thread twice", "states{", "", false},
	{"the predecessor counts the main thread twice", "threads_wchan{", "", false},
}

// compare scrapes both exporters until they agree, because the two exporters read the processes at
// slightly different times. Types must be the same, too.
func (p *peerTest) compare(also []difference) {
	p.t.Helper()
	for range smapsInterval {
		p.ours()
	}
	var wrong []string
	listed := append(slices.Clone(also), permanentDifferences...)
	testenv.WaitFor(p.t, "agreement with the predecessor", func() bool {
		theirs, theirTypes := parseMetrics(p.t, p.peer())
		mine, myTypes := parseMetrics(p.t, p.ours())
		wrong = disagreements(theirs.seriesOfGroups("side-"), mine.seriesOfGroups("side-"), p.near, listed)
		for name, kind := range theirTypes {
			if strings.HasPrefix(name, "namedprocess_") && myTypes[name] != kind {
				wrong = append(wrong, fmt.Sprintf("%s is a %v, want a %v", name, myTypes[name], kind))
			}
		}
		if len(wrong) > 0 {
			p.t.Logf("not yet: %q", wrong)
		}
		return len(wrong) == 0
	})
}

// familiesOfThisExporter are the families that the predecessor does not have.
var familiesOfThisExporter = []string{
	"unreadable_procs", "smaps_age_seconds", "group_changes_total", "expected_procs", "matched_procs",
	"starts_total", "exits_total", "matched_exits_total", "oom_kills_total", "cpu_wait_seconds_total", "block_io_wait_seconds_total",
}

// residentTolerance returns the largest difference of the resident memory of a group in bytes. The
// predecessor reads rss of /proc/PID/stat, which since Linux 6.2 leaves out a part per CPU of three
// counters.
func residentTolerance() float64 {
	cpus := runtime.NumCPU()
	return float64(peerProcs * 3 * cpus * max(32, 2*cpus) * os.Getpagesize())
}

func disagreements(theirs, ours sampleSet, near map[string]float64, listed []difference) (wrong []string) {
	if len(theirs) == 0 {
		return []string{"the peer has no series"}
	}
	for _, key := range slices.Sorted(maps.Keys(theirs)) {
		v, ok := ours[key]
		isListed := slices.ContainsFunc(listed, func(d difference) bool { return d.covers(key) && (ok || d.absent) })
		name, _, _ := strings.Cut(key, "{")
		tolerance := max(near[name+"{"], 1e-6*math.Abs(v))
		if strings.Contains(key, `memtype="resident"`) {
			tolerance = residentTolerance()
		}
		if strings.Contains(key, `memtype="proportionalResident"`) { // processes of other tests share its pages, and end
			tolerance = 0.05 * v
		}
		if !isListed && (!ok || math.Abs(v-theirs[key]) > tolerance) {
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
