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
)

var (
	previewDir  = flag.String("preview", "", "directory for pictures of the dashboards")
	previewTime = flag.Duration("preview.time", 2*time.Minute, "time of the processes before the pictures")
)

// TestPreview takes pictures of the dashboards with a browser. make preview runs
// it.
func TestPreview(t *testing.T) {
	if *previewDir == "" {
		t.Skip("requires -preview")
	}
	browser := requireProgram(t, "chromium")
	s := startTestbed(t)
	for end := time.Now().Add(*previewTime); time.Now().Before(end); {
		s.work()
	}
	for file, height := range map[string]int{"overview.json": 1180, "group.json": 2050} {
		query := fmt.Sprintf("?end=%d&seconds=%d", time.Now().Unix()-1, int(previewTime.Seconds())-5)
		if file == "group.json" {
			query += "&groupname=java"
		}
		picture := filepath.Join(*previewDir, file[:len(file)-len(".json")]+".png")
		page := s.serveDashboard(file) + "/" + query
		mustOutput(t, browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
			"--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
			"--user-data-dir="+t.TempDir(), fmt.Sprintf("--window-size=1440,%d", height), "--virtual-time-budget=20000",
			"--screenshot="+picture, page)
		if info, err := os.Stat(picture); err != nil || info.Size() < 10_000 {
			t.Errorf("%s: got picture %v, error %v", file, info, err)
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
