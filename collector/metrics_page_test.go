package collector

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

// TestReference compares docs/metrics.md with the tables of metrics;
// `make generate` rewrites it.
func TestReference(t *testing.T) {
	testenv.CheckGenerated(t, "../docs/metrics.md", reference())
}

// TestReferenceCells checks that the description of a metric has at most two sentences.
func TestReferenceCells(t *testing.T) {
	end := regexp.MustCompile(`[.] [A-Z` + "`" + `]`)
	for line := range strings.Lines(reference()) {
		if n := len(end.FindAllString(line, -1)) + 1; strings.HasPrefix(line, "| `") && n > 2 {
			t.Errorf("got %d sentences, want at most 2: %s", n, line)
		}
	}
}

func kindName(kind prometheus.ValueType) string {
	switch kind {
	case counter:
		return "counter"
	case histogram:
		return "histogram"
	}
	return "gauge"
}

// groupNotes follow the table of groups.
const groupNotes = "\nLinux adds the I/O of a process to its parent when the parent waits for it. So `read_bytes_total` and\n" +
	"`write_bytes_total` of shells, make or cron include the I/O of their exited children, which also counts in the groups of\n" +
	"the children.\n" +
	"\n`resident` memory counts shared pages fully in every process. `proportionalResident` (PSS) divides them by the\n" +
	"number of processes that share them. `unique` (USS) excludes them.\n\n" +
	"`namedprocess_namegroup_smaps_age_seconds` increases if `--smaps.budget` is too small to read all processes at every\n" +
	"scrape. `namedprocess_namegroup_unreadable_procs{file=\"smaps\"}` includes processes above `--smaps.max-rss`, which are\n" +
	"not read. With the source `procfs`, `namedprocess_namegroup_states` includes an unresponsive process (see\n" +
	"`namedprocess_exporter_unresponsive_processes`) only if it has a single thread.\n"

// pageHead is the text before the first table.
const pageHead = `# Metrics

<!-- made by make generate -->

All names, types, labels and label values of ncabatoff/process-exporter are unchanged, so that existing dashboards and
alerts work. Metrics and label values that it does not have are marked **new**.

Counters start at 0 when the exporter starts. For processes that already run, only usage after this start is counted. Processes
that start later are counted from their start. With the source ` + "`procfs`" + `, the usage between the last scrape and the exit of a
process is lost, and so are processes that start and exit between two scrapes. A group keeps the usage of its exited processes.

Counters decrease only when the exporter restarts, or when a removed group or thread name returns. They then restart at 0.
With ` + "`--remove-empty-groups`" + `, the exporter removes groups without processes, except those with ` + "`expect`" + `. At the limit
` + "`--max-groups`" + `, it can remove groups that have had no processes for 24 hours. At the limits of thread names (1,000 in a group,
` + "`--max-thread-names`" + ` in all groups), it can remove thread names that have had no threads for 24 hours.

A gauge that could not be read for any process of a group is absent, not 0. If it could be read for some of them, it includes only
these. ` + "`namedprocess_namegroup_unreadable_procs`" + ` is the number of the others, by file.

In a group without processes, most gauges are 0, but the following are absent: all gauges per process, thread name or kernel
function, and
` + "`namedprocess_namegroup_oldest_start_time_seconds`, `namedprocess_namegroup_unreadable_procs`,\n" +
	"`namedprocess_namegroup_listening_procs`, `namedprocess_namegroup_tcp_worst_accept_queue_ratio`,\n" +
	"`namedprocess_namegroup_tcp_mean_round_trip_time_seconds`.\n\n" +
	"`namedprocess_namegroup_expected_procs`" + ` keeps its values.

## Groups

All metrics have the label ` + "`groupname`" + ` and the [labels](configuration.md#labels) of rules. Each belongs to a
[collector](configuration.md#collectors), which can be turned off.

`

func reference() string {
	var b strings.Builder
	b.WriteString(pageHead + tableHead)
	for _, f := range families() {
		if !f.threadName {
			writeFamily(&b, f)
		}
	}
	b.WriteString(groupNotes + "\n## Threads by name\n\n" +
		"Only with the collector `threads` (on by default). Only processes with at least two threads count.\n\n" + tableHead)
	for _, f := range families() {
		if f.threadName {
			f.note = ""
			writeFamily(&b, f)
		}
	}
	b.WriteString("\n## Metrics about the exporter\n\n" + tableHead)
	for _, m := range exporterMetrics() {
		writeRow(&b, m.name, m.collector, kindName(m.kind), labelsText(m.labels, m.collector), m.help, m.note)
	}
	for _, row := range daemonMetrics {
		writeRow(&b, row[0], 0, "gauge", labelsText(strings.Fields(row[1]), 0), row[2], row[3])
	}
	b.WriteString("\nIf `namedprocess_exporter_scrape_success` and `namedprocess_exporter_scrape_incomplete` are 0, the\n" +
		"processes could not be listed, or `hidepid` hides them. A longer timeout does not help.\n" +
		"An unresponsive process does not change these two metrics. If 12 reads block at the same time, a scrape can end early: it\n" +
		"is then incomplete.\n\n" +
		"After a decrease that `namedprocess_exporter_counter_decreases_total` counts, the process or thread adds nothing to the\n" +
		"counter of the group until its own counter exceeds its previous maximum. With the source `bpf`, the metric does not include\n" +
		"decreases that an exiting thread causes.\n\n" +
		"The labels of `namedprocess_rule_matched_procs` are the position of the rule (`rule`, the first is 1) and its name template\n" +
		"(`name`).\n")
	b.WriteString("\nThe traffic of the machine is `namedprocess_unattributed_X` plus the sum of `namedprocess_namegroup_X`\n" +
		"over all groups: see [network](network.md).\n")
	b.WriteString("\n`go_*`, `process_*` and `promhttp_*` describe the process of the exporter.\n" +
		"`--web.disable-exporter-metrics` disables them; `namedprocess_exporter_*` and `process_exporter_build_info` stay.\n")
	return b.String()
}

func writeFamily(b *strings.Builder, f family) {
	labels := labelsText(f.labels, f.collector)
	if len(f.labels) > 0 && len(f.series) > 0 {
		labels = f.labels[0] + ": "
		for i, s := range f.series {
			if i > 0 {
				labels += ", "
			}
			labels += "`" + s.label + "`"
			if s.label == "unique" {
				labels += " (**new**)"
			}
		}
	}
	collectors := f.collector
	for _, s := range f.series {
		collectors |= s.collector
	}
	writeRow(b, f.name, collectors, kindName(f.kind), labels, f.help, f.note)
}

// valuesOfLabel lists the values of labels that have few.
var valuesOfLabel = map[string]string{
	"mode":          "`user`, `system`",
	"iomode":        "`read`, `write`",
	"ctxswitchtype": "`voluntary`, `nonvoluntary`",
	"reason":        "`exited`, `killed`, `dumped`",
	"bound":         "`min`, `max`",
	"file":          "`stat`, `status`, `io`, `fd`, `limits`, `wchan`, `smaps`, `task`, `sockets`",
	"source":        "`bpf`, `procfs`",
	"counter":       "`cpu`, `faults`, `io`, `switches`",
	"data":          "`io`, `open_files`, `proportional_memory`, `wait_channels`, `executable_paths`, `sockets`",
	"layer":         "`capabilities`, `no_new_privs`, `undumpable`, `landlock`, `seccomp`",
}

// valuesOfNetworkLabel lists the values of the labels of the collector network.
var valuesOfNetworkLabel = map[string]string{
	"direction": "`outgoing`, `incoming`",
	"reason":    "`refused`, `unreachable`, `timeout`, `reset`, `other`",
	"state":     "`established`, `syn_sent`, `close_wait` and so on",
	"protocol":  "`tcp`, `udp`",
	"source":    valuesOfLabel["source"],
}

// labelsText returns the labels of a metric of a collector with their values.
func labelsText(labels []string, c grouping.CollectorSet) string {
	values := valuesOfLabel
	if c == grouping.CollectorNetwork {
		values = valuesOfNetworkLabel
	}
	texts := make([]string, len(labels))
	for i, l := range labels {
		if texts[i] = l; values[l] != "" {
			texts[i] += ": " + values[l]
		}
	}
	return strings.Join(texts, "; ")
}

// tableHead is the head of a table of metrics.
const tableHead = "| Metric | Collector | Type | Further labels | Meaning |\n|---|---|---|---|---|\n"

func writeRow(b *strings.Builder, name string, collectors grouping.CollectorSet, kind, labels, help, note string) {
	fmt.Fprintf(b, "| `%s`%s | %s | %s | %s | %s |\n",
		name, newMark(name), strings.Join(collectors.Names(), ", "), kind, labels, strings.TrimSpace(help+" "+note))
}

// TestFamiliesHaveOneCollector checks that every family belongs to exactly one collector that
// reads what it needs, and that every collector has a family.
func TestFamiliesHaveOneCollector(t *testing.T) {
	var all grouping.CollectorSet
	check := func(name string, c grouping.CollectorSet) {
		if len(c.Names()) != 1 {
			t.Errorf("got collectors %v of %s, want one", c.Names(), name)
		}
		all |= c
	}
	for _, f := range families() {
		check(f.name, f.collector)
		for _, s := range f.series {
			c := cmp.Or(s.collector, f.collector)
			check(f.name, c)
			if missing := s.needs &^ (c.Fields() | readWithStat); missing != 0 {
				t.Errorf("%s %s needs the fields %b, which the collector %v does not read", f.name, s.label, missing, c.Names())
			}
		}
	}
	for _, m := range exporterMetrics() {
		check(m.name, m.collector)
	}
	if all != grouping.AllCollectors {
		t.Errorf("got families of the collectors %v, want all", all.Names())
	}
}

// readWithStat are the fields that every walk reads.
const readWithStat = platform.FieldStat | platform.FieldMemory | platform.FieldRunWait | platform.FieldBlockWait

// daemonMetrics are the gauges that other packages register: name, labels,
// help and note.
var daemonMetrics = [][4]string{
	{"namedprocess_exporter_config_last_reload_successful", "", "Whether the last load of the configuration succeeded (1) or failed (0).",
		"After a failure the previous configuration stays in use."},
	{"namedprocess_exporter_config_last_reload_success_timestamp_seconds", "",
		"Time of the last successful load of the configuration as a Unix timestamp in seconds.", ""},
	{"namedprocess_exporter_web_config_last_reload_successful", "",
		"Whether the last read of the file of --web.config.file and the files it names succeeded (1) or failed (0).",
		"After a failure the previous configuration stays in use."},
	{"namedprocess_exporter_capability_missing", "capability data",
		"1 for each pair of a missing capability and the data that needs it.",
		"Absent if none is missing, or with `--once-to-stdout-delay`, see [permissions](permissions.md)."},
	{"namedprocess_exporter_sandbox", "layer",
		"Whether a layer of the sandbox is active (1) or not (0).", "Absent with `--once-to-stdout-delay`, see [permissions](permissions.md)."},
	{"process_exporter_build_info", "branch goarch goos goversion revision tags version", "Always 1.", ""},
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
