package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// commandLines returns the command lines that packages, charts and articles use for
// this exporter and its predecessor.
func commandLines(t *testing.T) (lines []struct {
	Name string
	Args []string
}) {
	t.Helper()
	text, err := os.ReadFile("testdata/command_lines.json")
	if err == nil {
		err = json.Unmarshal(text, &lines)
	}
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// TestKnownCommandLines starts the exporter with each command line in use. Only paths and ports are
// replaced. Each instance must exit with status 0 on SIGTERM.
func TestKnownCommandLines(t *testing.T) {
	requireLinux(t)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"all.yaml":    oneGroup("'{{.Comm}}'"),
		"config.json": `{"process_names": [{"name": "{{.Comm}}", "cmdline": [".+"]}]}`,
		"web.yml":     "http_server_config:\n  http2: false\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	here := strings.NewReplacer("/etc/process-exporter", dir, "/host/proc", "/proc", "0.0.0.0:9256", "127.0.0.1:0", ":9256", "127.0.0.1:0")
	for _, tt := range commandLines(t) {
		t.Run(tt.Name, func(t *testing.T) {
			var args []string
			for _, arg := range tt.Args {
				args = append(args, here.Replace(arg))
			}
			if slices.Contains(args, "--log.level=warn") { // the listen address is logged at level info
				args = append(args, "--log.level=info")
			}
			r := startExporter(t, args...)
			path := "/metrics"
			if slices.Contains(args, "--web.telemetry-path=/m") {
				path = "/m"
			}
			if response, body := r.Get(path); response.StatusCode != http.StatusOK || !strings.Contains(body, "process_exporter_build_info{") {
				t.Errorf("got %s: %.300s", response.Status, body)
			}
			if status := r.Stop(); status != 0 {
				t.Errorf("got exit status %d on SIGTERM, want 0", status)
			}
		})
	}
}

// TestEndpoints checks status codes: unknown paths do not show the landing page, and profiles are not
// served by default.
func TestEndpoints(t *testing.T) {
	requireLinux(t)
	r := startExporter(t)
	tests := []struct {
		method, path string
		want         int
		body         string // a substring of the body
	}{
		{"GET", "/", 200, `href="metrics"`},
		{"GET", "/metrics", 200, "namedprocess_namegroup_num_procs{"},
		{"HEAD", "/metrics", 200, ""},
		{"GET", "/-/healthy", 200, "Healthy"},
		{"HEAD", "/-/healthy", 200, ""},
		{"GET", "/-/ready", 200, "Ready"},
		{"GET", "/nope", 404, ""},
		{"HEAD", "/nope", 404, ""},
		{"POST", "/nope", 404, ""},
		{"GET", "/metrics/", 404, ""},
		{"GET", "/debug/pprof/", 404, ""},
		{"GET", "/debug/pprof/cmdline", 404, ""},
		{"POST", "/metrics", 405, ""},
		{"PUT", "/-/ready", 405, ""},
		{"DELETE", "/", 405, ""},
		{"TRACE", "/metrics", 405, ""},
	}
	for _, tt := range tests {
		t.Run(tt.method+tt.path, func(t *testing.T) {
			request, err := http.NewRequest(tt.method, r.URL+tt.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			response, body := r.do(request)
			if response.StatusCode != tt.want || !strings.Contains(body, tt.body) {
				t.Errorf("got %s: %.300s, want %d with %q", response.Status, body, tt.want, tt.body)
			}
			if allow := response.Header.Get("Allow"); (allow == "GET, HEAD") != (tt.want == 405) {
				t.Errorf("got Allow: %q, want it only with status 405", allow)
			}
		})
	}
	_, page := r.Get("/")
	for _, link := range []string{healthyPath, readyPath} {
		if !strings.Contains(page, `href="`+strings.TrimPrefix(link, "/")+`"`) { // relative: a proxy can serve the page below another path
			t.Errorf("got no link to %s on the landing page", link)
		}
	}
	if strings.Contains(page, pprofPath) {
		t.Error("got a link to profiles, which are not served")
	}
}

func TestMetricsAtRootPath(t *testing.T) {
	requireLinux(t)
	r := startExporter(t, "-web.telemetry-path=/")
	if _, body := r.Get("/"); !strings.Contains(body, "process_exporter_build_info{") {
		t.Errorf("got no metrics at /: %.300s", body)
	}
	for path, want := range map[string]int{"/metrics": 404, "/debug/pprof/": 404} {
		if response, _ := r.Get(path); response.StatusCode != want {
			t.Errorf("%s: got %s, want %d", path, response.Status, want)
		}
	}
}

// TestResponseParses parses a response with the parser of the client library, which rejects duplicate
// families and series.
func TestResponseParses(t *testing.T) {
	requireLinux(t)
	r := startExporter(t)
	response, body := r.Get("/metrics")
	if got := response.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/plain; version=0.0.4") {
		t.Errorf("got Content-Type %q", got)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"namedprocess_namegroup_num_procs", "go_goroutines", "process_open_fds",
		"promhttp_metric_handler_requests_total", "promhttp_metric_handler_errors_total",
		"namedprocess_exporter_config_last_reload_successful",
		"namedprocess_exporter_config_last_reload_success_timestamp_seconds",
	} {
		if families[name] == nil {
			t.Errorf("got no %s", name)
		}
	}
	var labels []string
	for _, pair := range families["process_exporter_build_info"].GetMetric()[0].GetLabel() {
		labels = append(labels, pair.GetName())
	}
	if want := []string{"branch", "goarch", "goos", "goversion", "revision", "tags", "version"}; !slices.Equal(labels, want) {
		t.Errorf("got build_info with labels %q, want %q", labels, want)
	}
	if n := strings.Count(body, "# TYPE namedprocess_namegroup_num_procs "); n != 1 {
		t.Errorf("got %d TYPE lines of one family, want 1", n)
	}
}

// TestDescriptorLeak scrapes several times and compares the number of open file descriptors.
func TestDescriptorLeak(t *testing.T) {
	requireLinux(t)
	r := startExporter(t)
	count := func() int {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", r.PID))
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	r.Scrape()
	before := count()
	for range 5 {
		r.Scrape()
	}
	// The server closes a connection shortly after the client does.
	eventually(t, "the initial number of file descriptors", func() bool { return count() <= before })
}

// TestClosedLog closes the reading end of the log pipe, as a log collector that crashes does. The
// reload makes the exporter write to it.
func TestClosedLog(t *testing.T) {
	requireLinux(t)
	r := startExporter(t)
	r.closeLog()
	for range 3 {
		r.Signal(syscall.SIGHUP)
		r.Scrape()
	}
	r.checkRunning()
}

func TestOnceToStdout(t *testing.T) {
	requireLinux(t)
	stdout, stderr, status := runToExit(t, "-once-to-stdout-delay", "10ms", "-config.path", writeFile(t, "c.yml", oneGroup("everything")))
	for line := range strings.Lines(stderr) {
		if !strings.Contains(line, "the BPF programs do not report processes") { // PID 1 on some hardened machines
			t.Errorf("got %s on stderr, want nothing", line)
		}
	}
	if status != 0 {
		t.Fatalf("got status %d, want 0", status)
	}
	for _, want := range []string{`namedprocess_namegroup_num_procs{groupname="everything"}`, "go_goroutines", "process_open_fds",
		"promhttp_metric_handler_requests_total"} {
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(want)).MatchString(stdout) {
			t.Errorf("got no %s", want)
		}
	}
}
