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
		{"namedprocess_scrape_errors", counter, "Scrapes that could not list the processes at all.", "", true,
			func(w *walk) float64 { return float64(w.failures) }},
		{"namedprocess_scrape_procread_errors", counter, "Times that /proc/PID/stat of a living process could not be read.", "A process that exits meanwhile is no error.", true,
			func(w *walk) float64 { return float64(w.health.HiddenTotal) }},
		{"namedprocess_scrape_partial_errors", counter, "Times that a wanted file of a process in a group could not be read.", "", true,
			func(w *walk) float64 { return float64(w.health.PartialTotal) }},
		{own + "scrape_success", gauge, "Whether the last scrape read all processes: 1 if so.", "0 also when its deadline came first; what was read by then is exported.", true,
			func(w *walk) float64 { return truth(w.err == nil && !w.health.Incomplete) }},
		{own + "scrape_duration_seconds", gauge, "How long the last walk over the processes took.", "", false,
			func(w *walk) float64 { return w.took.Seconds() }},
		{own + "blocked_processes", gauge, "Processes that are left alone because the kernel does not answer for them.", "", false,
			func(w *walk) float64 { return float64(w.health.Blocked) }},
		{own + "unidentified_processes", gauge, "Processes whose name or command line could not be read, so that no rule was tried.", "", false,
			func(w *walk) float64 { return float64(w.health.Unidentified) }},
		{own + "template_failures_total", counter, "Group names whose template failed; the text written until then is the name.", "", false,
			func(w *walk) float64 { return float64(w.health.TemplateFailures) }},
		{own + "regrouped_processes_total", counter, "Times that a process changed its group, after it became another program or was renamed.", "", false,
			func(w *walk) float64 { return float64(w.health.Moves) }},
	}
}
