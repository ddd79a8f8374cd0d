package collector

import (
	"github.com/prometheus/client_golang/prometheus"
)

// A healthMetric is one metric about our own scrapes. Those named
// namedprocess_scrape_* keep the names that dashboards know, which lack the
// suffix that counters have by now.
type healthMetric struct {
	name  string
	kind  prometheus.ValueType
	help  string
	note  string
	late  bool // also told when there are no groups to tell of
	value func(*walk) float64
	label string // with the value that labelled returns, "" if there is none

	labelled func(*walk) string
}

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
			value: func(w *walk) float64 { return float64(w.failures) }},
		{name: "namedprocess_scrape_procread_errors", kind: counter, help: "Times that /proc/PID/stat of a living process could not be read.", note: "A process that exits meanwhile is no error.", late: true,
			value: func(w *walk) float64 { return float64(w.health.HiddenTotal) }},
		{name: "namedprocess_scrape_partial_errors", kind: counter, help: "Times that a wanted file of a process in a group could not be read.", late: true,
			value: func(w *walk) float64 { return float64(w.health.PartialTotal) }},
		{name: own + "scrape_success", kind: gauge, help: "Whether the last scrape read all processes: 1 if so.", note: "0 also when its deadline came first; what was read by then is exported.", late: true,
			value: func(w *walk) float64 { return truth(w.err == nil && !w.health.Incomplete) }},
		{name: own + "scrape_duration_seconds", kind: gauge, help: "How long the last walk over the processes took.",
			value: func(w *walk) float64 { return w.took.Seconds() }},
		{name: own + "blocked_processes", kind: gauge, help: "Processes that are left alone because the kernel does not answer for them.",
			value: func(w *walk) float64 { return float64(w.health.Blocked) }},
		{name: own + "unidentified_processes", kind: gauge, help: "Processes whose name or command line could not be read, so that no rule was tried.",
			value: func(w *walk) float64 { return float64(w.health.Unidentified) }},
		{name: own + "template_failures_total", kind: counter, help: "Group names whose template failed; the text written until then is the name.",
			value: func(w *walk) float64 { return float64(w.health.TemplateFailures) }},
		{name: own + "regrouped_processes_total", kind: counter, help: "Times that a process changed its group, after it became another program or was renamed.",
			value: func(w *walk) float64 { return float64(w.health.Moves) }},
		{name: own + "source_info", kind: gauge, help: "What was asked about the processes: bpf is programs inside the kernel, procfs is /proc.",
			label: "source", labelled: func(w *walk) string { return w.health.Source },
			value: func(*walk) float64 { return 1 }},
		{name: own + "lost_events_total", kind: counter, help: "Ends of processes that the kernel had no room to tell of.",
			note:  "Stays 0 with the source `procfs`, which tells of none.",
			value: func(w *walk) float64 { return float64(w.health.LostEvents) }},
	}
}
