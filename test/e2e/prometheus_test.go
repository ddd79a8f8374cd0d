package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"

	dto "github.com/prometheus/client_model/go"
)

// prometheusDuration is how long Prometheus scrapes in TestPrometheus.
const prometheusDuration = 30 * time.Second

// dashboardQueries are queries of published dashboards and alerts for this exporter, reworded, with
// values for their variables. Each must return a result. Alerts are without their thresholds.
var dashboardQueries = append(strings.Split(strings.TrimSpace(`
namedprocess_namegroup_num_procs{groupname=~"prom-.*"}
sum(namedprocess_namegroup_num_procs)
sum by (groupname) (rate(namedprocess_namegroup_cpu_seconds_total{groupname=~"prom-.*"}[30s]))
irate(namedprocess_namegroup_cpu_seconds_total{mode="system"}[30s])
rate(namedprocess_namegroup_read_bytes_total[30s])
rate(namedprocess_namegroup_write_bytes_total[30s])
namedprocess_namegroup_memory_bytes{memtype="resident"}
namedprocess_namegroup_memory_bytes{memtype="virtual"}
namedprocess_namegroup_memory_bytes{memtype="swapped"}
namedprocess_namegroup_memory_bytes{memtype="proportionalResident"}
namedprocess_namegroup_memory_bytes{memtype="proportionalSwapped"}
namedprocess_namegroup_memory_bytes{memtype="swapped"} + ignoring(memtype) namedprocess_namegroup_memory_bytes{memtype="resident"}
namedprocess_namegroup_memory_bytes{memtype="resident"} / ignoring(memtype) namedprocess_namegroup_num_procs
topk(5, namedprocess_namegroup_memory_bytes{memtype="proportionalResident"})
max(namedprocess_namegroup_worst_fd_ratio) * 100
namedprocess_namegroup_open_filedesc
namedprocess_namegroup_num_threads
namedprocess_namegroup_states{state="Running"}
namedprocess_namegroup_states{state="Sleeping"}
namedprocess_namegroup_states{state="Waiting"}
namedprocess_namegroup_states{state="Zombie"}
namedprocess_namegroup_states{state="Other"}
sum by (wchan) (namedprocess_namegroup_threads_wchan)
rate(namedprocess_namegroup_context_switches_total{ctxswitchtype="voluntary"}[30s])
rate(namedprocess_namegroup_context_switches_total{ctxswitchtype="nonvoluntary"}[30s])
rate(namedprocess_namegroup_major_page_faults_total[30s])
rate(namedprocess_namegroup_minor_page_faults_total[30s])
namedprocess_namegroup_oldest_start_time_seconds
time() - (namedprocess_namegroup_oldest_start_time_seconds > 0)
changes(namedprocess_namegroup_oldest_start_time_seconds[30s])
namedprocess_namegroup_thread_count
rate(namedprocess_namegroup_thread_cpu_seconds_total{mode="user"}[30s])
sum by (groupname, threadname) (rate(namedprocess_namegroup_thread_cpu_seconds_total[30s]))
rate(namedprocess_namegroup_thread_io_bytes_total{iomode="read"}[30s])
rate(namedprocess_namegroup_thread_io_bytes_total{iomode="write"}[30s])
rate(namedprocess_namegroup_thread_major_page_faults_total[30s])
rate(namedprocess_namegroup_thread_minor_page_faults_total[30s])
rate(namedprocess_namegroup_thread_context_switches_total{ctxswitchtype="nonvoluntary"}[30s])
namedprocess_namegroup_num_procs == 0
namedprocess_scrape_errors
namedprocess_scrape_partial_errors
namedprocess_scrape_procread_errors
increase(namedprocess_scrape_errors[30s])
process_exporter_build_info{job="process-exporter"}
process_open_fds{job="process-exporter"} / process_max_fds
scrape_duration_seconds{job="process-exporter"}
up{job="process-exporter"}
`), "\n"),
	`rate(namedprocess_namegroup_cpu_seconds_total{mode="user"}[30s])`+
		` + ignoring(mode) rate(namedprocess_namegroup_cpu_seconds_total{mode="system"}[30s])`)

// TestPrometheus scrapes the exporter with a real Prometheus while processes start and exit.
func TestPrometheus(t *testing.T) {
	requireLinux(t)
	if testing.Short() {
		t.Skipf("takes %v", prometheusDuration)
	}
	server := testenv.RequireProgram(t, "prometheus")
	rules := writeFile(t, "rules.yaml", "process_names:\n  - name: \"prom-{{.Matches.name}}\"\n    cmdline: ['workload (?P<name>\\S+)$']\n")
	steady := startWorker(t, "steady")
	steady.do("thread one 0")
	exporter := startExporter(t, "-config.path", rules)
	// The timeout is the interval. With one of 1 s, a scrape by a Prometheus without CPU can fail.
	api := startPrometheus(t, server, strings.TrimPrefix(exporter.URL, "http://"), 3*time.Second)

	for end := time.Now().Add(prometheusDuration); time.Now().Before(end); {
		churn(t, steady)
	}
	api.eventually(`count_over_time(namedprocess_namegroup_num_procs{groupname="prom-steady"}[30s]) >= 6`)
	startWorker(t, "gone").end() // its group may be empty: a scrape can miss the process
	gone := startWorker(t, "emptied")
	api.eventually(`namedprocess_namegroup_num_procs{groupname="prom-emptied"} == 1`)
	gone.end()
	api.eventually(`namedprocess_namegroup_num_procs{groupname="prom-emptied"} == 0`)

	if got := api.query(`{__name__=~"namedprocess_.*_created"}`); len(got) > 0 {
		t.Errorf("got the start times of counters as %d series, such as %v", len(got), got[0])
	}
	if got := api.query(`min_over_time(up{job="process-exporter"}[2m])`); len(got) != 1 || got[0].Value[1] != "1" {
		t.Errorf("got up %v, want always 1", got)
	}
	_, types := parseMetrics(t, exporter.Scrape())
	for name, kind := range types {
		if kind != dto.MetricType_COUNTER || !strings.HasPrefix(name, "namedprocess_") {
			continue
		}
		api.eventually(name)
		for _, reset := range api.query("resets(" + name + "[3m]) > 0") {
			t.Errorf("%s has a counter reset: %v", name, reset)
		}
	}
	for _, q := range dashboardQueries {
		api.eventually(q) // a walk past its deadline makes the series of groups stale until the next scrape
	}
}

// churn starts a process that works and exits, and a thread that works and exits.
func churn(t *testing.T, steady *worker) {
	short := startWorker(t, "short")
	short.do("thread passing 5")
	short.do("write 8192")
	steady.do("thread two 5")
	steady.do("cpu 20")
	steady.do("leave")
	short.do("cpu 20")
	short.end()
}

// A prometheusAPI queries a running Prometheus.
type prometheusAPI struct {
	t   *testing.T
	url string
}

// startPrometheus starts a Prometheus that scrapes target at an interval, which is also the timeout.
func startPrometheus(t *testing.T, program, target string, interval time.Duration) prometheusAPI {
	t.Helper()
	return startPrometheusWith(t, program, fmt.Sprintf(`
global: {scrape_interval: %[1]s, scrape_timeout: %[1]s}
scrape_configs:
  - job_name: process-exporter
    static_configs: [{targets: [%[2]q]}]
`, interval, target))
}

// startPrometheusWith starts a Prometheus with a configuration and flags.
func startPrometheusWith(t *testing.T, program, config string, flags ...string) prometheusAPI {
	t.Helper()
	config = writeFile(t, "prometheus.yml", config)
	address := freeAddress(t)
	flags = append(flags, "--config.file="+config, "--storage.tsdb.path="+t.TempDir(), "--web.listen-address="+address)
	command := exec.Command(program, flags...)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	api := prometheusAPI{t, "http://" + address}
	testenv.WaitFor(t, "Prometheus", func() bool {
		response, err := http.Get(api.url + "/-/ready")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	return api
}

// A promSeries is one series of a query result: a time and a value, or all samples of a range.
type promSeries struct {
	Metric map[string]string
	Value  [2]any
	Values [][2]any
}

// query returns the result of an instant query.
func (p prometheusAPI) query(q string) []promSeries {
	p.t.Helper()
	response, err := http.Get(p.url + "/api/v1/query?query=" + url.QueryEscape(q))
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	var body struct {
		Status, Error string
		Data          struct{ Result []promSeries }
	}
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil {
		p.t.Fatal(err)
	}
	if body.Status != "success" {
		p.t.Fatalf("%s: %s", q, body.Error)
	}
	return body.Data.Result
}

func (p prometheusAPI) eventually(q string) {
	p.t.Helper()
	testenv.WaitFor(p.t, q, func() bool { return len(p.query(q)) > 0 })
}
