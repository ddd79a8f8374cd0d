package daemon

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/test/procfstree"
)

// TestCollectParameters scrapes with the parameters collect[] and exclude[].
func TestCollectParameters(t *testing.T) {
	tree := procfstree.New(t, 100_000)
	tree.Set(procfstree.Process{PID: 1, Comm: "init", Args: []string{"init"}, Start: 5})
	path := filepath.Join(t.TempDir(), "config.yaml")
	write := func(rule string) {
		t.Helper()
		if err := os.WriteFile(path, []byte("process_names: [{name: g, comm: [init]"+rule+"}]"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("")
	s := parse(t, "--procfs="+tree.Root, "--source=procfs", "--config.path="+path, "--no-collector.smaps")
	e, err := New(s, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	const cpu, memory, scrape, build = "namedprocess_namegroup_cpu_seconds_total{", "namedprocess_namegroup_memory_bytes{",
		"namedprocess_scrape_errors ", "process_exporter_build_info{"
	check := func(query string, status int, present, absent []string) {
		t.Helper()
		w := httptest.NewRecorder()
		e.metrics.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics?"+query, nil))
		if w.Code != status {
			t.Errorf("%s: got status %d, want %d", query, w.Code, status)
		}
		for _, text := range present {
			if !strings.Contains(w.Body.String(), text) {
				t.Errorf("%s: got no %q in:\n%s", query, text, w.Body)
			}
		}
		for _, text := range absent {
			if strings.Contains(w.Body.String(), "\n"+text) {
				t.Errorf("%s: got %q, want it absent", query, text)
			}
		}
	}
	check("", 200, []string{cpu, memory, scrape, build}, nil)
	check("other=1", 200, []string{cpu, memory, scrape, build}, nil)
	check("collect[]=cpu", 200, []string{cpu, build}, []string{memory, scrape})
	check("collect%5B%5D=cpu&collect[]=memory", 200, []string{cpu, memory}, []string{scrape})
	check("exclude[]=cpu&exclude[]=smaps", 200, []string{memory, scrape, build}, []string{cpu})
	check("collect[]=disk", 400, []string{`unknown collector "disk"; the collectors are cpu, exits, faults,`}, nil)
	check("exclude[]=", 400, []string{`unknown collector ""`}, nil)
	check("collect[]=cpu&exclude[]=memory", 400, []string{"collect[] and exclude[] exclude each other"}, nil)
	check("collect[]=smaps", 400, []string{"disabled collector smaps; start the exporter with --collector.smaps"}, nil)
	write(", smaps: true")
	if err := e.reload(); err != nil {
		t.Fatal(err)
	}
	check("collect[]=smaps", 200, []string{`memtype="unique"`, build}, []string{cpu})
}
