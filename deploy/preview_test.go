package deploy_test

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

var (
	previewDir  = flag.String("preview", "", "directory for pictures of the dashboards")
	previewTime = flag.Duration("preview.time", 2*time.Minute, "time range of the pictures")

	previewPrometheus = flag.String("preview.prometheus", "", "URL of a Prometheus server, in place of test processes")
	previewGroup      = flag.String("preview.group", "java", "group of the group dashboard")
)

// TestPreview takes pictures of the dashboards with a browser. make preview runs
// it. Without a server it runs processes for the time range of the pictures.
func TestPreview(t *testing.T) {
	if *previewDir == "" {
		t.Skip("requires -preview")
	}
	browser := testenv.RequireProgram(t, "chromium")
	s := &testbed{t: t, prometheus: *previewPrometheus}
	if *previewPrometheus == "" {
		s = startTestbed(t)
		for end := time.Now().Add(*previewTime); time.Now().Before(end); {
			s.work()
		}
	}
	for file, picture := range map[string]struct {
		name   string
		height int
	}{"overview.json": {"dashboard.png", 1180}, "group.json": {"dashboard-group.png", 2320}} {
		query := fmt.Sprintf("?end=%d&seconds=%d", time.Now().Unix()-1, int(previewTime.Seconds())-5)
		if file == "group.json" {
			query += "&groupname=" + url.QueryEscape(*previewGroup)
		}
		path := filepath.Join(*previewDir, picture.name)
		page := s.serveDashboard(file) + "/" + query
		mustOutput(t, browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
			"--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
			"--user-data-dir="+t.TempDir(), fmt.Sprintf("--window-size=1440,%d", picture.height), "--virtual-time-budget=20000",
			"--screenshot="+path, page)
		if info, err := os.Stat(path); err != nil || info.Size() < 10_000 {
			t.Errorf("%s: got picture %v, error %v", path, info, err)
		}
	}
}

// serveDashboard serves a page that draws a dashboard, and Prometheus at the same
// address. It returns the URL.
func (s *testbed) serveDashboard(file string) string {
	target, err := url.Parse(s.prometheus)
	if err != nil {
		s.t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/api/", httputil.NewSingleHostReverseProxy(target))
	mux.HandleFunc("/dashboard.json", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "grafana/"+file) })
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "testdata/preview.html") })
	server := httptest.NewServer(mux)
	s.t.Cleanup(server.Close)
	return server.URL
}
