package webui

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

// TestHandlerPaths checks the status, type and headers of each path.
func TestHandlerPaths(t *testing.T) {
	recorder := newTestRecorder()
	recorder.scrape()
	h, err := NewHandler(recorder.Recorder, testOptions)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		path, contentType string
		status            int
	}{
		{PagePath, "text/html; charset=utf-8", http.StatusOK},
		{"/page.js", "text/javascript; charset=utf-8", http.StatusOK},
		{"/page.css", "text/css; charset=utf-8", http.StatusOK},
		{GroupsPath, "application/json", http.StatusOK},
		{GroupsPath + "?history=resident_bytes", "application/json", http.StatusOK},
		{GroupsPath + "?history=pss", "text/plain; charset=utf-8", http.StatusBadRequest},
		{ProcessesPath + "?group=missing", "application/json", http.StatusOK},
		{HistoryPath, "application/json", http.StatusOK},
		{"/uplot.js", "text/javascript; charset=utf-8", http.StatusOK},
		{"/uplot-license.txt", "text/plain; charset=utf-8", http.StatusOK},
		{ProcessesPath + "?group=x&limit=x", "text/plain; charset=utf-8", http.StatusBadRequest},
		{GroupsPath + "?group=missing", "text/plain; charset=utf-8", http.StatusNotFound},
		{"/other", "text/plain; charset=utf-8", http.StatusNotFound},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			request, w := httptest.NewRequest(http.MethodGet, tt.path, nil), httptest.NewRecorder()
			h.ServeHTTP(w, request)
			if w.Code != tt.status || w.Header().Get("Content-Type") != tt.contentType {
				t.Errorf("got status %d and type %q, want %d and %q", w.Code, w.Header().Get("Content-Type"), tt.status, tt.contentType)
			}
			if known := slices.Contains(Paths(), request.URL.Path); known != (w.Header().Get("Content-Security-Policy") != "") {
				t.Errorf("got headers %v, want Content-Security-Policy: %v", w.Header(), known)
			}
		})
	}
	for range maxDetails {
		h.details <- struct{}{}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, GroupsPath+"?group=a", nil))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("got status %d and headers %v, want 503 and Retry-After", w.Code, w.Header())
	}
}

// testOptions are the options of handlers in tests: every client may see processes.
var testOptions = HandlerOptions{MetricsPath: "/metrics", ShowsProcesses: func(*http.Request) bool { return true }}
