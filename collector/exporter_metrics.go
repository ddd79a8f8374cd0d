package collector

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed57308aee/process_exporter/grouping"
)

// An exporterMetric describes one metric without a group. The
// names namedprocess_scrape_* are those of the predecessor; they lack the
// suffix _total.
type exporterMetric struct {
	name      string
	collector grouping.CollectorSet // one
	kind      prometheus.ValueType
	help      string
	note      string
	always    bool // exported even if the update failed
	labels    []string
	collect   func(*update, emit)
}

// isExported reports whether the update u has the metric.
func (e *exporterMetric) isExported(u *update) bool {
	return (e.always || u.err == nil) && !u.excluded.Has(e.collector)
}

// exporterNamespace is the prefix of the metrics of the exporter that the
// predecessor does not have.
const exporterNamespace = "namedprocess_exporter_"

// single returns the collect function of one value without labels.
func single(value func(*update) float64) func(*update, emit) {
	return func(u *update, put emit) { put(value(u), labelValues{}, 0) }
}

// exporterMetrics returns the table of all metrics about scrapes, updates and
// rules.
func exporterMetrics() []exporterMetric {
	all := append(scrapeMetrics(), readErrorMetrics()...)
	for i := range all {
		all[i].collector = grouping.CollectorScrape
	}
	rules := ruleMetrics()
	for i := range rules {
		rules[i].collector = grouping.CollectorRules
	}
	return append(append(all, rules...), socketSourceMetrics()...)
}

func scrapeMetrics() []exporterMetric {
	return []exporterMetric{
		{name: "namedprocess_scrape_errors", kind: counter, always: true,
			help:    "Number of scrapes that failed because the processes could not be listed.",
			collect: single(func(u *update) float64 { return float64(u.failures) })},
		{name: "namedprocess_scrape_procread_errors", kind: counter, always: true,
			help:    "Number of failed reads of /proc/PID/stat of a running process.",
			note:    "A process that exits during the read is not an error.",
			collect: single(func(u *update) float64 { return float64(u.health.StatUnreadableTotal) })},
		{name: "namedprocess_scrape_partial_errors", kind: counter, always: true,
			help:    "Each scrape adds the number of grouped processes with an unreadable /proc/PID file other than stat.",
			collect: single(func(u *update) float64 { return float64(u.health.PartialTotal) })},
		{name: exporterNamespace + "scrape_success", kind: gauge, always: true,
			help: "1 if the last scrape was complete and hidepid hides no processes, else 0.",
			note: "Values that were read are exported even if it is 0.",
			collect: single(func(u *update) float64 {
				return indicator(u.err == nil, !u.isIncomplete(), !u.health.HidePID)
			})},
		{name: exporterNamespace + "scrape_incomplete", kind: gauge, always: true,
			help:    "1 if the last scrape stopped reading early, for example at its deadline, else 0.",
			note:    "If it is 1, `namedprocess_exporter_scrape_success` is 0; if the processes could not be listed, both are 0.",
			collect: single(func(u *update) float64 { return indicator(u.isIncomplete()) })},
		{name: exporterNamespace + "proc_visibility", kind: gauge,
			help:    "Whether processes of other users are visible (1) or hidden by hidepid (0).",
			collect: single(func(u *update) float64 { return indicator(!u.health.HidePID) })},
		{name: exporterNamespace + "scrape_duration_seconds", kind: gauge,
			help:    "Duration in seconds of the last read of all processes.",
			collect: single(func(u *update) float64 { return u.took.Seconds() })},
		{name: exporterNamespace + "source_info", kind: gauge, labels: []string{"source"},
			help:    "Source of process data in use: bpf or procfs.",
			collect: func(u *update, put emit) { put(1, labelValues{string(u.health.Kind)}, 0) }},
	}
}

func readErrorMetrics() []exporterMetric {
	return []exporterMetric{
		{name: exporterNamespace + "unresponsive_processes", kind: gauge,
			help: "Number of processes for which reads of /proc/PID files block.",
			note: "With the source `procfs`, their counters do not increase, but their resident memory, number of threads " +
				"and, since Linux 6.2, number of open files are current.",
			collect: single(func(u *update) float64 { return float64(u.health.Unresponsive) })},
		{name: exporterNamespace + "unreported_processes", kind: gauge,
			help:    "Number of processes that /proc lists and the BPF programs do not report.",
			note:    "Checked in the first two scrapes, then every 1024 scrapes; always 0 with the source `procfs`.",
			collect: single(func(u *update) float64 { return float64(u.health.Unreported) })},
		{name: exporterNamespace + "unidentified_processes", kind: gauge,
			help:    "Number of processes that are not matched yet, because a name or command line is unreadable or --match-budget is used up.",
			collect: single(func(u *update) float64 { return float64(u.health.Unidentified) })},
		{name: exporterNamespace + "counter_decreases_total", kind: counter, labels: []string{"counter"}, always: true,
			help:    "Number of times that a counter of a process or thread decreased between two reads.",
			collect: collectCounterDecreases},
		{name: exporterNamespace + "lost_exit_events_total", kind: counter,
			help:    "Number of process exit events dropped because the ring buffer was full.",
			note:    "Always 0 with the source `procfs`; `namedprocess_namegroup_exits_total` does not include these events.",
			collect: single(func(u *update) float64 { return float64(u.health.LostExitEvents) })},
	}
}

func ruleMetrics() []exporterMetric {
	return []exporterMetric{
		{name: "namedprocess_unmatched_procs", kind: gauge,
			help:    "Number of processes in no group.",
			note:    "Includes processes that a rule ignores, and kernel threads that no rule matches.",
			collect: single(func(u *update) float64 { return float64(u.matchCounts.UngroupedProcs) })},
		{name: "namedprocess_unmatched_cpu_seconds_total", kind: counter,
			help:    "CPU time in seconds of processes without a group.",
			note:    "Add `namedprocess_namegroup_cpu_seconds_total` of all groups to get the total.",
			collect: single(func(u *update) float64 { return seconds(u.matchCounts.UngroupedNanos) })},
		{name: "namedprocess_rule_matched_procs", kind: gauge, labels: []string{"rule", "name"},
			help:    "Number of processes that match this rule directly.",
			note:    "Does not count processes that joined the group of an ancestor.",
			collect: collectRules},
		{name: exporterNamespace + "groups", kind: gauge,
			help:    "Number of groups.",
			collect: single(func(u *update) float64 { return float64(u.matchCounts.Groups) })},
		{name: exporterNamespace + "group_limit_hits_total", kind: counter,
			help:    "Number of times that a process was counted in the group _other because the limit of groups was reached.",
			note:    "The limit is `--max-groups` or `max_groups` of the rule.",
			collect: single(func(u *update) float64 { return float64(u.health.GroupLimitHits) })},
		{name: exporterNamespace + "thread_name_limit_hits_total", kind: counter,
			help:    "Number of times that a thread was counted as _other because the limit of thread names was reached.",
			note:    "The limits are 1000 names per group and `--max-thread-names` in total.",
			collect: single(func(u *update) float64 { return float64(u.health.ThreadNameLimitHits) })},
		{name: exporterNamespace + "template_failures_total", kind: counter,
			help:    "Number of matches in which a name or label template failed.",
			note:    "The name or label is the text that the template wrote before the failure.",
			collect: single(func(u *update) float64 { return float64(u.health.TemplateFailures) })},
	}
}

func collectCounterDecreases(u *update, put emit) {
	n := &u.health.CounterDecreases
	put(float64(n.CPU), labelValues{"cpu"}, 0)
	put(float64(n.Faults), labelValues{"faults"}, 0)
	put(float64(n.IO), labelValues{"io"}, 0)
	put(float64(n.Switches), labelValues{"switches"}, 0)
}

func collectRules(u *update, put emit) {
	for _, r := range u.matchCounts.Rules {
		put(float64(r.Procs), labelValues{strconv.Itoa(r.Position), grouping.LabelValue(r.Template)}, 0)
	}
}
