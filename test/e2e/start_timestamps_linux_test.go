package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestStartTimestamps checks that increase() includes the usage of groups that appear between
// two scrapes, in a Prometheus that uses start timestamps. Each job is a group. Jobs with an
// even number exit at once, so that only the source bpf sees them.
func TestStartTimestamps(t *testing.T) {
	requireBPF(t)
	if testing.Short() {
		t.Skip("it builds Prometheus")
	}
	t.Parallel()   // runs after most tests, when Prometheus is built
	stopPrebuild() // on a busy machine, a process with a low priority gets little CPU time
	program, err := buildPrometheus(t.Context(), "0")
	if err != nil && os.Getenv("CI") != "true" {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	rules := writeFile(t, "rules.yaml", "process_names:\n  - name: \"job-{{.Matches.id}}\"\n    cmdline: ['workload job(?P<id>\\d)$']\n")
	var targets []string
	for _, source := range []string{"bpf", "procfs"} {
		url := startExporter(t, "--source="+source, "-config.path", rules).URL
		targets = append(targets, fmt.Sprintf("  - {targets: [%q], labels: {source: %s}}\n", strings.TrimPrefix(url, "http://"), source))
	}
	const feature = "--enable-feature=created-timestamp-zero-ingestion"
	servers := map[string]prometheusAPI{
		"protobuf":    startTimestampServer(t, program, targets, "", feature),
		"OpenMetrics": startTimestampServer(t, program, targets, "scrape_protocols: [OpenMetricsText1.0.0]", feature),
		"default":     startTimestampServer(t, program, targets, ""),
	}
	for _, api := range servers {
		api.eventually(`sum(up) == 2`)
	}
	const jobs = 6
	var started [jobs]time.Time
	for i := range jobs {
		job := startWorker(t, "job"+strconv.Itoa(i))
		started[i] = time.Now()
		job.do("cpu 500")
		if i%2 == 0 {
			job.end()
		}
	}
	for name, api := range servers {
		if got := api.query(`{__name__=~".+_created"}`); len(got) > 0 {
			t.Errorf("%s: got the start times of counters as %d series, such as %v", name, len(got), got[0])
		}
		for cpu, count := range map[string]int{
			`namedprocess_namegroup_cpu_seconds_total{source="bpf",groupname=~"job-.*"}`:       jobs,
			`namedprocess_namegroup_cpu_seconds_total{source="procfs",groupname=~"job-[135]"}`: jobs / 2,
		} {
			// After a few seconds, the extrapolation of increase() to the time of the query is small.
			api.eventually(fmt.Sprintf("count(count_over_time(%s[5m]) >= 12) == %d", cpu, 2*count))
			counted, increase := api.number("sum(last_over_time("+cpu+"[5m]))"), api.number("sum(increase("+cpu+"[5m]))")
			t.Logf("%s: %s: %d jobs of 0.5 s: counters %.2f, increase %.2f", name, cpu, count, counted, increase)
			if counted < float64(count)*0.48 { // procfs has whole clock ticks
				t.Errorf("%s: %s: got %v s of %d jobs of 0.5 s", name, cpu, counted, count)
			}
			if name == "default" {
				continue
			}
			missed := checkFirstSamples(t, name, api.query(cpu+"[5m]"), started[:])
			if missed > counted/2 {
				t.Errorf("%s: %s: got first samples with %v s of %v s, want mostly samples 0", name, cpu, missed, counted)
			}
			if want := counted - missed; increase < 0.98*want || increase > 1.3*want {
				t.Errorf("%s: %s: got an increase of %v s, want %v s", name, cpu, increase, want)
			}
		}
	}
}

// checkFirstSamples checks that the first sample of each series is 0. Prometheus ignores the start of a
// process that starts between the timestamp of a scrape and its walk. The sum of the first samples of such
// processes, which increase() does not include, is the result.
func checkFirstSamples(t *testing.T, name string, series []promSeries, started []time.Time) (missed float64) {
	t.Helper()
	for _, one := range series {
		job, err := strconv.Atoi(strings.TrimPrefix(one.Metric["groupname"], "job-"))
		if err != nil {
			t.Fatal(err)
		}
		at := time.UnixMilli(int64(one.Values[0][0].(float64) * 1000))
		value := sampleValue(t, one.Values[0])
		if value > 0 && at.After(started[job]) {
			t.Errorf("%s: %v: got no sample 0 at the start, but %v at %v, after the start at %v", name, one.Metric, value, at, started[job])
		}
		missed += value
	}
	return missed
}

// startTimestampServer starts a Prometheus that scrapes the targets every second.
func startTimestampServer(t *testing.T, program string, targets []string, options string, flags ...string) prometheusAPI {
	t.Helper()
	return startPrometheusWith(t, program, "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"+
		"scrape_configs:\n- job_name: process-exporter\n  "+options+"\n  static_configs:\n"+strings.Join(targets, ""), flags...)
}

// number returns the result of a query with one series.
func (p prometheusAPI) number(q string) float64 {
	p.t.Helper()
	result := p.query(q)
	if len(result) != 1 {
		p.t.Fatalf("%s: got %v, want one series", q, result)
	}
	return sampleValue(p.t, result[0].Value)
}

// sampleValue returns the value of a sample.
func sampleValue(t *testing.T, sample [2]any) float64 {
	t.Helper()
	value, err := strconv.ParseFloat(sample[1].(string), 64)
	if err != nil {
		t.Fatal(err)
	}
	return value
}
