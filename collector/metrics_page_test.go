package collector

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

var update = flag.Bool("update", false, "rewrite the generated files")

// TestReference compares docs/metrics.md with the tables of metrics;
// `make generate` rewrites it.
func TestReference(t *testing.T) {
	const file = "../docs/metrics.md"
	want := reference()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s differs from the code; run `make generate`", file)
	}
}

func kindName(kind prometheus.ValueType) string {
	if kind == counter {
		return "counter"
	}
	return "gauge"
}

func reference() string {
	var b strings.Builder
	b.WriteString(`# Metrics

` + "`make generate`" + ` generates this page from the code.

All names, types, labels and label values of ncabatoff/process-exporter are unchanged, so that existing dashboards and
alerts work. Metrics that it does not have are marked **new**.

Counters start at 0 when the exporter starts. A process that runs already counts from then on; a process that starts later
counts in full. Counters decrease only when the exporter restarts: a group keeps the usage of its exited processes.

A value that could not be read is absent, not 0. ` + "`namedprocess_namegroup_unreadable_procs`" + ` is the number of processes
with an unreadable file. A group without processes has the value 0.

## Groups

All metrics have the label ` + "`groupname`" + ` and the [labels](configuration.md#labels) of rules.

| Metric | Type | Further labels | Meaning |
|---|---|---|---|
`)
	for _, f := range families() {
		if !f.threadName {
			writeFamily(&b, f)
		}
	}
	b.WriteString("\n`resident` memory counts shared pages fully in every process. `proportionalResident` (PSS) divides them by the\n" +
		"number of processes that share them. `unique` (USS) excludes them.\n")
	b.WriteString("\n## Threads by name\n\nOnly with `-threads` (the default). Only processes with at least two threads count.\n\n" +
		"| Metric | Type | Further labels | Meaning |\n|---|---|---|---|\n")
	for _, f := range families() {
		if f.threadName {
			f.note = ""
			writeFamily(&b, f)
		}
	}
	b.WriteString("\n## Exporter\n\n| Metric | Type | Further labels | Meaning |\n|---|---|---|---|\n")
	for _, m := range exporterMetrics() {
		writeRow(&b, m.name, kindName(m.kind), strings.Join(m.labels, "; "), m.help, m.note)
	}
	for _, row := range daemonMetrics {
		writeRow(&b, row[0], "gauge", row[1], row[2], row[3])
	}
	b.WriteString("\nIf `scrape_success` is 0 and `scrape_partial` is 0, more time does not help: the processes could not be\n" +
		"listed, or `hidepid` hides them. An unresponsive process changes neither.\n\n" +
		"After a counter decrease, the counter of the group keeps its value until the value of the process exceeds its previous\n" +
		"maximum. With the source `bpf`, a decrease that the exit of a thread causes does not count.\n")
	b.WriteString("\n`go_*`, `process_*` and `promhttp_*` describe the process of the exporter.\n" +
		"`--web.disable-exporter-metrics` disables them.\n")
	return b.String()
}

func writeFamily(b *strings.Builder, f family) {
	var labels []string
	for i, l := range f.labels {
		var values []string
		for _, s := range f.series {
			values = append(values, "`"+s.label+"`")
		}
		if i == len(f.labels)-1 && len(values) > 0 {
			l = l + ": " + strings.Join(values, ", ")
		}
		labels = append(labels, l)
	}
	writeRow(b, f.name, kindName(f.kind), strings.Join(labels, "; "), f.help, f.note)
}

func writeRow(b *strings.Builder, name, kind, labels, help, note string) {
	fmt.Fprintf(b, "| `%s`%s | %s | %s | %s |\n", name, newMark(name), kind, labels, strings.TrimSpace(help+" "+note))
}

// daemonMetrics are the gauges that other packages register: name, labels,
// help and note.
var daemonMetrics = [][4]string{
	{"namedprocess_exporter_config_last_reload_successful", "", "Whether the last load of the configuration succeeded (1) or failed (0).",
		"After a failure the previous configuration stays in use."},
	{"namedprocess_exporter_config_last_reload_success_timestamp_seconds", "",
		"Time of the last successful load of the configuration as a Unix timestamp in seconds.", ""},
	{"namedprocess_exporter_web_config_last_reload_successful", "",
		"Whether the last read of the web configuration files succeeded (1) or failed (0).",
		"After a failure the previous configuration stays in use."},
	{"namedprocess_exporter_capability_missing", "capability; data",
		"1 for each missing capability and the data of other users' processes that require it.", "See [permissions](permissions.md)."},
	{"namedprocess_exporter_sandbox", "layer",
		"Whether a layer of the sandbox is active (1) or not (0).", "See [permissions](permissions.md)."},
	{"process_exporter_build_info", "branch; goarch; goos; goversion; revision; tags; version", "Always 1.", ""},
}

// predecessorMetrics are the metrics of ncabatoff/process-exporter.
var predecessorMetrics = strings.Fields(`num_procs cpu_seconds_total read_bytes_total write_bytes_total major_page_faults_total
	minor_page_faults_total context_switches_total memory_bytes open_filedesc worst_fd_ratio oldest_start_time_seconds
	num_threads states threads_wchan thread_count thread_cpu_seconds_total thread_io_bytes_total
	thread_major_page_faults_total thread_minor_page_faults_total thread_context_switches_total
	namedprocess_scrape_errors namedprocess_scrape_procread_errors namedprocess_scrape_partial_errors process_exporter_build_info`)

// newMark returns the mark of a metric that the predecessor does not have.
func newMark(name string) string {
	for _, l := range predecessorMetrics {
		if name == l || name == namespace+l {
			return ""
		}
	}
	return " **new**"
}
