package collector

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed57308aee/process_exporter/grouping"
)

// A healthMetric is one metric about our own scrapes. Those named
// namedprocess_scrape_* keep the names that dashboards know, which lack the
// suffix that counters have by now.
type healthMetric struct {
	name   string
	kind   prometheus.ValueType
	help   string
	note   string
	late   bool // also told when there are no groups to tell of
	labels []string
	each   func(*walk, emit)
}

// value tells one value without labels.
func value(f func(*walk) float64) func(*walk, emit) {
	return func(w *walk, put emit) { put(f(w), values{}) }
}

// partial reports whether the deadline came before everything was read. Of a walk
// that failed, health is that of the one before.
func (w *walk) partial() bool { return w.overdue || w.err == nil && w.health.Incomplete }

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// healthMetrics returns the table of what a scrape tells about itself.
func healthMetrics() []healthMetric {
	const own = "namedprocess_exporter_"
	return []healthMetric{
		{name: "namedprocess_scrape_errors", kind: counter, help: "Scrapes that could not list the processes at all.", late: true,
			each: value(func(w *walk) float64 { return float64(w.failures) })},
		{name: "namedprocess_scrape_procread_errors", kind: counter, help: "Times that /proc/PID/stat of a living process could not be read.", note: "A process that exits meanwhile is no error.", late: true,
			each: value(func(w *walk) float64 { return float64(w.health.HiddenTotal) })},
		{name: "namedprocess_scrape_partial_errors", kind: counter, help: "Times that a wanted file of a process in a group could not be read.", late: true,
			each: value(func(w *walk) float64 { return float64(w.health.PartialTotal) })},
		{name: own + "scrape_success", kind: gauge, help: "Whether the last scrape read all processes: 1 if so.", note: "0 also when its deadline came first, or processes are hidden (`hidepid`); what was read is exported.", late: true,
			each: value(func(w *walk) float64 { return truth(w.err == nil && !w.partial() && !w.health.HidePID) })},
		{name: own + "scrape_partial", kind: gauge, help: "Whether the last scrape lacks processes, or some of what is known of them, because its deadline came first: 1 if so.",
			note: "`scrape_success` is 0 then, too. It alone is 0 where time does not help: the processes could not be listed, or are hidden. A process that does not answer makes neither: see `blocked_processes`.", late: true,
			each: value(func(w *walk) float64 { return truth(w.partial()) })},
		{name: own + "proc_visibility", kind: gauge, help: "Whether the process file system shows the processes of other users: 0 if it is mounted with hidepid.",
			each: value(func(w *walk) float64 { return truth(!w.health.HidePID) })},
		{name: own + "scrape_duration_seconds", kind: gauge, help: "How long the last walk over the processes took.",
			each: value(func(w *walk) float64 { return w.took.Seconds() })},
		{name: own + "blocked_processes", kind: gauge, help: "Processes that are left alone because the kernel does not answer for them.",
			each: value(func(w *walk) float64 { return float64(w.health.Unresponsive) })},
		{name: own + "unidentified_processes", kind: gauge, help: "Processes whose name or command line could not be read, so that no rule was tried.",
			each: value(func(w *walk) float64 { return float64(w.health.Unidentified) })},
		{name: own + "template_failures_total", kind: counter, help: "Group names whose template failed; the text written until then is the name.",
			each: value(func(w *walk) float64 { return float64(w.health.TemplateFailures) })},
		{name: own + "regressions_total", kind: counter, help: "Times that counters of a process, or of its threads, were read lower than before.",
			note:   "`counter` is cpu, faults, io or switches. A total keeps its value until what fell is past its highest. With the source `bpf`, a sum that lacks a thread which ends at that moment is none.",
			labels: []string{"counter"}, late: true, each: regressions},
		{name: "namedprocess_unmatched_procs", kind: gauge, help: "Number of processes in no group.", note: "Those that a rule ignores too, and threads of the kernel, which most rules do not want.",
			each: value(func(w *walk) float64 { return float64(w.coverage.UnmatchedProcs) })},
		{name: "namedprocess_unmatched_cpu_seconds_total", kind: counter, help: "CPU time that processes used while they were in no group, in seconds.",
			note: "With the groups' namedprocess_namegroup_cpu_seconds_total it is that of all processes.",
			each: value(func(w *walk) float64 { return seconds(w.coverage.UnmatchedNanos) })},
		{name: "namedprocess_rule_matches", kind: gauge, help: "Number of processes that a rule wants, without children that only join their group.",
			note:   "The label `rule` is its place in the configuration, from 1, and `name` the template of its name.",
			labels: []string{"rule", "name"}, each: ruleMatches},
		{name: own + "groups", kind: gauge, help: "Number of groups.",
			each: value(func(w *walk) float64 { return float64(w.coverage.Groups) })},
		{name: own + "limited_groups_total", kind: counter, help: "Times that a process was put into the group _other, because there was no room for a group of its own name.", note: "The limit is that of `--max-groups` or of its rule.",
			each: value(func(w *walk) float64 { return float64(w.health.GroupLimitHits) })},
		{name: own + "limited_threads_total", kind: counter, help: "Times that a thread was counted under the name _other, because there was no room for its own.", note: "The limits are 1000 names in a group, and those of `--max-thread-names` in all.",
			each: value(func(w *walk) float64 { return float64(w.health.ThreadNameLimitHits) })},
		{name: own + "source_info", kind: gauge, help: "What was asked about the processes: bpf is programs inside the kernel, procfs is /proc.",
			labels: []string{"source"}, each: func(w *walk, put emit) { put(1, values{w.health.Source}) }},
		{name: own + "lost_events_total", kind: counter, help: "Ends of processes that the kernel had no room to tell of.",
			note: "None of them is in namedprocess_namegroup_exits_total. Stays 0 with the source `procfs`, which tells of none.",
			each: value(func(w *walk) float64 { return float64(w.health.LostExitEvents) })},
	}
}

func regressions(w *walk, put emit) {
	n := &w.health.CounterDecreases
	put(float64(n.CPU), values{"cpu"})
	put(float64(n.Faults), values{"faults"})
	put(float64(n.IO), values{"io"})
	put(float64(n.Switches), values{"switches"})
}

func ruleMatches(w *walk, put emit) {
	for _, r := range w.coverage.Rules {
		put(float64(r.Procs), values{strconv.Itoa(r.Position), grouping.ValidLabel(r.Template)})
	}
}
