package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Prefixes of the series that options add or remove.
const (
	threadSeries   = `thread_count{groupname="opt",threadname="extra"}`
	threadCPU      = `thread_cpu_seconds_total{groupname="opt"`
	anyThread      = `thread_`
	wchanSeries    = `threads_wchan{groupname="opt"`
	stateSeries    = `states{groupname="opt"`
	cpuSeries      = `cpu_seconds_total{groupname="opt",mode="user"}`
	rssSeries      = `memory_bytes{groupname="opt",memtype="resident"}`
	pssSeries      = `memory_bytes{groupname="opt",memtype="proportionalResident"}`
	ussSeries      = `memory_bytes{groupname="opt",memtype="unique"}`
	smapsAge       = `smaps_age_seconds{groupname="opt"}`
	smapsSkipped   = `unreadable_procs{file="smaps",groupname="opt"}`
	expectedSeries = `expected_procs{bound="min",groupname="opt"}`
	topSeries      = `namedprocess_process_resident_memory_bytes{`
	emptyGroup     = `num_procs{groupname="opt-empty"}`
	otherGroup     = `num_procs{groupname="_other"}`
	goSeries       = `go_goroutines{`
)

// A seriesOption is an option and the series that it changes.
type seriesOption struct {
	name string
	args []string
	rule string // additional keys of the rule of the group "opt"

	present, absent []string // prefixes of series
	procs           float64  // in the group "opt"; 0 is not checked
}

var (
	withThreads    = []string{threadSeries, threadCPU, wchanSeries, stateSeries}
	withoutThreads = []string{wchanSeries, stateSeries}
	withSmaps      = []string{pssSeries, ussSeries, smapsAge}
)

// seriesOptions lists every flag and every key of a rule that adds or removes series. lateMatches
// has the flags that decide whether a process joins a group later.
var seriesOptions = []seriesOption{
	{"default", nil, "", append(slices.Concat(withThreads, withSmaps), emptyGroup, goSeries),
		[]string{smapsSkipped, expectedSeries, topSeries, otherGroup}, 2},
	{"-threads=false", []string{"-threads=false"}, "", withoutThreads, []string{anyThread}, 2},
	{"threads: false", nil, "threads: false", withoutThreads, []string{anyThread}, 2},
	{"threads: true", []string{"-threads=false"}, "threads: true", withThreads, nil, 2},
	{"-gather-smaps=false", []string{"-gather-smaps=false"}, "", withThreads, append(withSmaps, smapsSkipped), 2},
	{"smaps: false", nil, "smaps: false", withThreads, append(withSmaps, smapsSkipped), 2},
	{"smaps: true", []string{"-gather-smaps=false"}, "smaps: true", withSmaps, nil, 2},
	{"--smaps.budget=0", []string{"--smaps.budget=0"}, "", withThreads, append(withSmaps, smapsSkipped), 2},
	{"smaps: true, --smaps.budget=0", []string{"--smaps.budget=0"}, "smaps: true", withThreads, append(withSmaps, smapsSkipped), 2},
	{"--smaps.max-rss", []string{"--smaps.max-rss=1B"}, "", []string{smapsSkipped}, withSmaps, 2},
	{"--no-collector.states", []string{"--no-collector.states"}, "", []string{threadSeries, wchanSeries}, []string{stateSeries}, 2},
	{"--collector.disable-defaults", []string{"--collector.disable-defaults", "--collector.cpu", "--collector.exits"}, "",
		[]string{cpuSeries, goSeries},
		[]string{`num_procs{`, `memory_bytes{`, `read_bytes_total{`, stateSeries, anyThread, "namedprocess_scrape_errors"}, 0},
	{"collectors", []string{"--no-collector.wchan"}, "collectors: {memory: false, io: false, wchan: true}",
		[]string{cpuSeries, pssSeries, wchanSeries, `read_bytes_total{groupname="opt-empty"}`},
		[]string{rssSeries, `read_bytes_total{groupname="opt"}`, `threads_wchan{groupname="opt-empty"`}, 2},
	{"-children=false", []string{"-children=false"}, "", withThreads, nil, 1},
	{"children: false", nil, "children: false", withThreads, nil, 1},
	{"children: true", []string{"-children=false"}, "children: true", withThreads, nil, 2},
	{"ignore", nil, "ignore: true", []string{emptyGroup}, []string{`num_procs{groupname="opt"}`, threadSeries}, 0},
	{"max_groups", nil, "name: 'many-{{.PID}}', max_groups: 1", []string{`num_procs{groupname="many-`, otherGroup}, nil, 0},
	{"--max-groups", []string{"--max-groups=1"}, "name: 'many-{{.PID}}'", []string{`num_procs{groupname="many-`, otherGroup}, nil, 0},
	{"--max-thread-names", []string{"--max-thread-names=1"}, "", []string{`thread_count{groupname="opt",threadname="_other"}`}, nil, 2},
	{"top", nil, "top: 1", []string{topSeries}, nil, 2},
	{"expect", nil, "expect: {min: 1}", []string{expectedSeries}, []string{`expected_procs{bound="max"`}, 2},
	{"labels", nil, "labels: {who: '{{.Comm}}'}", []string{`num_procs{groupname="opt",who="opt-busy"}`}, nil, 0},
	{"-remove-empty-groups", []string{"-remove-empty-groups"}, "", withThreads, []string{emptyGroup}, 2},
	{"--web.disable-exporter-metrics", []string{"--web.disable-exporter-metrics"}, "", withThreads, []string{goSeries}, 2},
	{"-procnames", []string{"-procnames=opt-busy"}, "", []string{`num_procs{groupname="opt-busy"}`, `thread_count{groupname="opt-busy"`},
		nil, 0},
	{"-namemapping", []string{"-procnames=opt-busy", "-namemapping=opt-busy,/opt-(b)usy"}, "",
		[]string{`num_procs{groupname="opt-busy:b"}`}, nil, 0},
}

// lateMatches lists the flags that decide whether an ungrouped process joins the group of its new
// name.
var lateMatches = []struct {
	name  string
	args  []string
	procs float64
}{
	{"no recheck", nil, 1},
	{"-recheck", []string{"-recheck"}, 1},
	{"-recheck-with-time-limit", []string{"-recheck-with-time-limit=1h"}, 1},
	{"-recheck-with-time-limit, exceeded", []string{"-recheck-with-time-limit=1ms"}, 0},
}

// TestSeriesOptions checks, with both sources, which series each option adds or removes for live
// processes with threads and a child.
func TestSeriesOptions(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"opt-busy", "opt-more"} {
		w := startNamedWorker(t, dir, name, nil)
		w.do("thread extra 0")
		if name == "opt-busy" {
			w.do("child")
		}
	}
	for _, o := range seriesOptions {
		t.Run(o.name, func(t *testing.T) {
			for _, source := range []string{"procfs", "bpf"} {
				t.Run(source, func(t *testing.T) { o.check(t, source) })
			}
		})
	}
	for _, m := range lateMatches {
		t.Run(m.name, func(t *testing.T) {
			for _, source := range []string{"procfs", "bpf"} {
				t.Run(source, func(t *testing.T) { checkLateMatch(t, source, m.args, m.procs) })
			}
		})
	}
}

// checkLateMatch renames an ungrouped process. Its new group has a number of processes after
// two scrapes.
func checkLateMatch(t *testing.T, source string, args []string, want float64) {
	if source == "bpf" {
		requireBPF(t)
	}
	name := "late" + uniqueToken()
	rules := writeFile(t, "rules.yaml", "process_names:\n- {name: late, comm: ["+name+"]}\n")
	d := startIdentityChange(t)
	r := startSource(t, source, append([]string{"-children=false", "-config.path", rules}, args...)...)
	for range 2 { // a young process is identified twice anyway
		r.Scrape()
	}
	d.do("name %s", name)
	r.Scrape()
	series, _ := parseMetrics(t, r.Scrape())
	if got := series[`namedprocess_namegroup_num_procs{groupname="late"}`]; got != want {
		t.Errorf("got %v processes, want %v", got, want)
	}
}

func (o *seriesOption) check(t *testing.T, source string) {
	if source == "bpf" {
		requireBPF(t)
	}
	args := o.args
	if !slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "-procnames") }) {
		args = append(slices.Clone(args), "-config.path", writeFile(t, "rules.yaml", o.config()))
	}
	r := startSource(t, source, args...)
	r.Scrape() // processes of the top are exported from the second scrape on
	got, _ := parseMetrics(t, r.Scrape())
	short := make(sampleSet, len(got))
	for key, v := range got {
		short[strings.TrimPrefix(key, "namedprocess_namegroup_")] = v
	}
	has := func(prefix string) bool {
		for key := range short {
			if strings.HasPrefix(key, prefix) {
				return true
			}
		}
		return false
	}
	for _, prefix := range o.present {
		if !has(prefix) {
			t.Errorf("got no series %s", prefix)
		}
	}
	for _, prefix := range o.absent {
		if has(prefix) {
			t.Errorf("got a series %s, want none", prefix)
		}
	}
	if v := short[`num_procs{groupname="opt"}`]; o.procs != 0 && v != o.procs {
		t.Errorf("got %v processes, want %v", v, o.procs)
	}
	if got, want := has("starts_total{"), source == "bpf"; got != want {
		t.Errorf("got series of starts: %v, want %v", got, want)
	}
}

// config returns the rules.
func (o *seriesOption) config() string {
	rule := o.rule
	if !strings.Contains(rule, "name:") {
		rule = "name: opt, " + rule
	}
	comm := "[opt-busy]"
	if strings.Contains(rule, "{{.PID}}") {
		comm = "[opt-busy, opt-more]"
	}
	return fmt.Sprintf("process_names:\n  - {comm: %s, %s}\n  - {name: opt-empty, comm: [opt-none]}\n", comm, strings.TrimSuffix(rule, ", "))
}
