package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

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
	open := func() (files []string) {
		dir := fmt.Sprintf("/proc/%d/fd", r.PID)
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			target, _ := os.Readlink(filepath.Join(dir, e.Name()))
			files = append(files, target)
		}
		slices.Sort(files)
		return files
	}
	scrape := func() {
		for range 5 {
			r.Scrape()
		}
	}
	scrape() // opens files that stay open, such as /proc/self/statm
	before := open()
	scrape()
	// The server closes a connection shortly after the client does.
	testenv.WaitFor(t, "the initial number of file descriptors", func() bool { return len(open()) <= len(before) },
		func() string { return fmt.Sprintf("%q, first %q", open(), before) })
}
