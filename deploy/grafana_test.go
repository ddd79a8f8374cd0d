package deploy_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// dashboards are the files in grafana/.
var dashboards = []string{"overview.json", "group.json"}

// A dashboard is the part of a dashboard file that tests use.
type dashboard struct {
	Panels []struct {
		Title   string
		Targets []struct{ Expr string }
	}
}

func dashboardOf(t *testing.T, file string) dashboard {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal([]byte(read(t, "grafana/"+file)), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDashboardNames(t *testing.T) {
	for _, file := range dashboards {
		for _, p := range dashboardOf(t, file).Panels {
			for _, target := range p.Targets {
				checkNames(t, file+": "+p.Title, target.Expr)
			}
		}
	}
}

// mayBeEmpty are metrics that a host may not have, with the reason.
var mayBeEmpty = map[string]string{
	"namedprocess_namegroup_unreadable_procs":            "absent if all files can be read",
	"namedprocess_namegroup_block_io_wait_seconds_total": "requires delay accounting, which is off by default",
}

// onlyWithBPF are suffixes of metrics that require the source bpf.
var onlyWithBPF = []string{
	"_starts_total", "_exits_total", "_oom_kills_total", "_cpu_wait_seconds_total",
	"_tcp_sent_bytes_total", "_tcp_received_bytes_total", "_tcp_sent_segments_total", "_tcp_listen_drops_total",
}

// TestDashboardData runs Prometheus, two exporters and processes, and checks that
// every query of every panel returns series.
func TestDashboardData(t *testing.T) {
	s := startTestbed(t)
	missing := onlyWithBPF
	if s.seriesCount(`namedprocess_exporter_source_info{source="bpf"}`) > 0 {
		missing = nil
	}
	pending := slices.Clone(knownAlerts)
	for _, file := range dashboards {
		for _, p := range dashboardOf(t, file).Panels {
			for _, target := range p.Targets {
				if why := reasonForNoSeries(target.Expr, missing); why != "" {
					t.Logf("%s: %s may be empty: %s", file, p.Title, why)
					continue
				}
				pending = append(pending, target.Expr)
			}
		}
	}
	for end := time.Now().Add(testTimeout); len(pending) > 0 && time.Now().Before(end); {
		s.work()
		pending = slices.DeleteFunc(pending, func(expr string) bool { return s.seriesCount(expr) > 0 })
	}
	for _, expr := range pending {
		t.Errorf("got no series of %s", expr)
	}
}

// reasonForNoSeries returns why expr may return no series. missing are the suffixes of
// metrics that the source in use does not provide.
func reasonForNoSeries(expr string, missing []string) string {
	for metric, why := range mayBeEmpty {
		if strings.Contains(expr, metric) {
			return why
		}
	}
	for _, suffix := range missing {
		if strings.Contains(expr, suffix) {
			return "requires the source bpf"
		}
	}
	return ""
}

// knownAlerts are expressions of published alerts for the predecessor, without
// their thresholds.
var knownAlerts = []string{
	`namedprocess_namegroup_num_procs == 0`,
	`namedprocess_namegroup_memory_bytes{memtype="resident"} > 1`,
	`rate(namedprocess_namegroup_cpu_seconds_total[5m]) * 100 > 0`,
	`namedprocess_namegroup_worst_fd_ratio > 0`,
	`namedprocess_namegroup_memory_bytes{memtype="swapped"} >= 0`,
	`namedprocess_namegroup_states{state="Zombie"} >= 0`,
	`rate(namedprocess_namegroup_context_switches_total[5m]) > 0`,
	`rate(namedprocess_namegroup_write_bytes_total[5m]) > 0`,
	`changes(namedprocess_namegroup_oldest_start_time_seconds[5m]) > 0 and namedprocess_namegroup_num_procs > 0`,
}

// A testbed is two exporters with different rules, processes, and a Prometheus that
// scrapes both exporters.
type testbed struct {
	t          *testing.T
	prometheus string // URL
	server     string // address on which redis listens
	workers    map[string][]*worker
	rounds     int
}

// The rules match arguments, because a program can change its name when it starts
// threads.
const rulesOfDB = `
process_names:
  - name: postgres
    cmdline: 'workload postgres$'
    expect: {min: 1, max: 8}
    top: 3
  - name: "{{.Matches.name}}"
    cmdline: 'workload (?P<name>redis|backup)$'
  - {name: mysql, comm: mysql}
`

const rulesOfWeb = `
process_names:
  - name: nginx
    cmdline: 'workload nginx$'
    expect: {min: 2, max: 4}
  - name: java
    cmdline: 'workload java$'
    top: 2
`

func startTestbed(t *testing.T) *testbed {
	t.Helper()
	server := testenv.RequireProgram(t, "prometheus")
	s := &testbed{t: t, workers: map[string][]*worker{}}
	for name, n := range map[string]int{"postgres": 3, "redis": 1, "nginx": 2, "java": 1} {
		for range n {
			s.start(name)
		}
	}
	s.workers["java"][0].do("thread gc-worker 20")
	s.workers["java"][0].do("thread http-nio 20")
	s.server = freeAddress(t)
	s.workers["redis"][0].do("listen " + s.server)
	db := startExporter(t, "--collector.network", "--config.path="+write(t, "db.yml", rulesOfDB))
	web := startExporter(t, "--config.path="+write(t, "web.yml", rulesOfWeb))
	config := write(t, "prometheus.yml", fmt.Sprintf(`
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
  - job_name: process-exporter
    static_configs:
      - {targets: [%q], labels: {instance: db1}}
      - {targets: [%q], labels: {instance: web1}}
`, db, web))
	address := freeAddress(t)
	start(t, server, "--config.file="+config, "--storage.tsdb.path="+t.TempDir(), "--web.listen-address="+address, "--log.level=error")
	s.prometheus = "http://" + address
	testenv.WaitFor(t, "Prometheus", func() bool { return responds(s.prometheus + "/-/ready") })
	testenv.WaitFor(t, "both targets", func() bool { return s.seriesCount(`sum(up{job=~"$job"}) == 2`) > 0 })
	return s
}

// work lets every process do work for about a second.
func (s *testbed) work() {
	s.rounds++
	load := 60 + 25*(s.rounds/7%3)
	for i, w := range s.workers["postgres"] {
		w.do(fmt.Sprintf("cpu %d", load/(i+1)))
		w.do(fmt.Sprintf("write %d", (50+s.rounds%13*20)<<10))
	}
	for _, w := range s.workers["nginx"] {
		w.do(fmt.Sprintf("cpu %d", load/4))
	}
	s.workers["redis"][0].do("cpu 15")
	s.workers["postgres"][0].do(fmt.Sprintf("exchange %s %d", s.server, 100_000))
	java := s.workers["java"][0]
	java.do(fmt.Sprintf("thread http-nio %d", load))
	java.do("leave")
	java.do("thread gc-worker 30")
	java.do("leave")
	java.do(fmt.Sprintf("open %d", s.rounds%3))
	if s.rounds%4 == 1 { // one process fails, and another one starts
		s.start("backup").do("cpu 120")
		s.fail("backup")
		s.fail("postgres")
		s.start("postgres")
	}
	time.Sleep(200 * time.Millisecond) // idle time
}

// fail kills the oldest process of a name.
func (s *testbed) fail(name string) {
	s.workers[name][0].end()
	s.workers[name] = s.workers[name][1:]
}

func (s *testbed) start(name string) *worker {
	w := startWorker(s.t, name)
	s.workers[name] = append(s.workers[name], w)
	return w
}

// seriesCount returns the number of series of a query, after expansion of the
// variables.
func (s *testbed) seriesCount(expr string) int {
	s.t.Helper()
	expr = strings.NewReplacer("$__rate_interval", "20s", "$job", ".+", "$instance", ".+", "$groupname", ".+").Replace(expr)
	response, err := http.Get(s.prometheus + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	var body struct {
		Status, Error string
		Data          struct{ Result []any }
	}
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil || body.Status != "success" {
		s.t.Fatalf("%s: %v %s", expr, err, body.Error)
	}
	return len(body.Data.Result)
}

// A worker is a process that does work on request.
type worker struct {
	t       *testing.T
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
}

// startWorker starts testdata/workload with a name.
func startWorker(t *testing.T, name string) *worker {
	t.Helper()
	w := &worker{t: t, command: exec.Command(testenv.BuildGo(t, "workload"), name)}
	in, out := testenv.StartPiped(t, w.command)
	w.in, w.out = in, bufio.NewScanner(out)
	t.Cleanup(w.end)
	w.wait("ready")
	return w
}

func (w *worker) do(work string) {
	w.t.Helper()
	if _, err := fmt.Fprintln(w.in, work); err != nil {
		w.t.Fatal(err)
	}
	w.wait("done")
}

func (w *worker) wait(want string) {
	w.t.Helper()
	if !w.out.Scan() || w.out.Text() != want {
		w.t.Fatalf("got %q of the worker, want %q", w.out.Text(), want)
	}
}

// end kills the worker. It has no effect on a worker that has exited.
func (w *worker) end() {
	_ = w.command.Process.Kill()
	_ = w.command.Wait()
}
