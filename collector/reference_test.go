package collector

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

var update = flag.Bool("update", false, "write the files that are made from the code")

// TestReference holds docs/metrics.md against the tables it is made from;
// `make generate` writes it anew.
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

This page is made from the code by ` + "`make generate`" + `.

Names, types, labels and label values are those of ncabatoff/process-exporter, so that its dashboards and alerts
work; what is **new** here is marked. Counters start at 0 when the exporter starts: a process that was there before
counts from then on, one born later counts in full. They never fall, except by a restart of the exporter: a group keeps
what its processes have used after they are gone.

What could not be read is absent, not 0. ` + "`namedprocess_namegroup_unreadable_procs`" + ` says of how many processes which
file is missing. A group without processes shows 0, since that is known.

## Of every group

All carry the label ` + "`groupname`" + ` and those that rules give with [labels](configuration.md#labels).

| Metric | Type | Further labels | Meaning |
|---|---|---|---|
`)
	for _, f := range families() {
		if !f.tasks {
			writeFamily(&b, f)
		}
	}
	b.WriteString("\n## Of the threads of one name in a group\n\nOnly with `-threads` (the default). Only processes with at least two threads are counted.\n\n" +
		"| Metric | Type | Further labels | Meaning |\n|---|---|---|---|\n")
	for _, f := range families() {
		if f.tasks {
			f.note = ""
			writeFamily(&b, f)
		}
	}
	b.WriteString("\n## Of the exporter's own work\n\n| Metric | Type | Meaning |\n|---|---|---|\n")
	for _, h := range healthMetrics() {
		fmt.Fprintf(&b, "| `%s`%s | %s | %s |\n", h.name, isNew(h.name), kindName(h.kind), strings.TrimSpace(h.help+" "+h.note))
	}
	b.WriteString("| `namedprocess_exporter_config_last_reload_successful` **new** | gauge | Whether the configuration was read without error the last time: 1 if so. |\n" +
		"| `namedprocess_exporter_config_last_reload_success_timestamp_seconds` **new** | gauge | When that last went well, in seconds since 1970. |\n" +
		"| `namedprocess_exporter_capability_missing` **new** | gauge | 1 for each capability that the exporter lacks, and the data of other users' processes that is left out for it: labels capability, data. |\n" +
		"| `namedprocess_exporter_sandbox` **new** | gauge | Whether a layer of the sandbox is in force: label layer. See [permissions](permissions.md). |\n" +
		"| `process_exporter_build_info` | gauge | 1, with the labels branch, goarch, goos, goversion, revision, tags and version. |\n\n" +
		"`go_*`, `process_*` and `promhttp_*` are about the exporter's own process; `--web.disable-exporter-metrics` turns them off.\n")
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
	fmt.Fprintf(b, "| `%s`%s | %s | %s | %s |\n", f.name, isNew(f.name), kindName(f.kind), strings.Join(labels, "; "), strings.TrimSpace(f.help+" "+f.note))
}

// legacy are the metrics that ncabatoff/process-exporter has too.
var legacy = strings.Fields(`num_procs cpu_seconds_total read_bytes_total write_bytes_total major_page_faults_total
	minor_page_faults_total context_switches_total memory_bytes open_filedesc worst_fd_ratio oldest_start_time_seconds
	num_threads states threads_wchan thread_count thread_cpu_seconds_total thread_io_bytes_total
	thread_major_page_faults_total thread_minor_page_faults_total thread_context_switches_total
	namedprocess_scrape_errors namedprocess_scrape_procread_errors namedprocess_scrape_partial_errors`)

func isNew(name string) string {
	for _, l := range legacy {
		if name == l || name == namespace+l {
			return ""
		}
	}
	return " **new**"
}
