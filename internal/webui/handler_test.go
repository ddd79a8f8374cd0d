package webui

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestHandlerPaths checks the status, type and headers of each path.
func TestHandlerPaths(t *testing.T) {
	recorder := newTestRecorder()
	walkProcesses(recorder)
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

// TestPageSize limits the compressed size of the files of the page, which docs/api.md contains.
func TestPageSize(t *testing.T) {
	const limit, ownLimit = 68, 42 // in kB; ownLimit is without the chart library
	h, err := NewHandler(newTestRecorder().Recorder, testOptions)
	if err != nil {
		t.Fatal(err)
	}
	total, library := 0, 0
	for _, path := range append(staticPaths(), PagePath) {
		request, w := httptest.NewRequest(http.MethodGet, path, nil), httptest.NewRecorder()
		request.Header.Set("Accept-Encoding", "gzip")
		if h.ServeHTTP(w, request); w.Code != http.StatusOK {
			t.Errorf("%s: got status %d", path, w.Code)
		}
		if total += w.Body.Len(); strings.HasPrefix(path, "/uplot") {
			library += w.Body.Len()
		}
	}
	t.Logf("page: %d bytes, %d without the chart library", total, total-library)
	if total > limit*1000 || total-library > ownLimit*1000 {
		t.Errorf("got a page of %d bytes, %d without the chart library, want at most %d and %d kB", total, total-library, limit, ownLimit)
	}
	text, err := os.ReadFile("../../docs/api.md")
	if want := fmt.Sprintf("at most %d kB", limit); err != nil || !strings.Contains(string(text), want) {
		t.Errorf("docs/api.md: got no %q, error %v", want, err)
	}
}

// testOptions are the options of handlers in tests: every client may see processes.
var testOptions = HandlerOptions{MetricsPath: "/metrics", ShowsProcesses: func(*http.Request) bool { return true }}

// TestJSONControlCharacters requires that JSON, which a user may print on a terminal, contains no
// control characters.
func TestJSONControlCharacters(t *testing.T) {
	r, err := encode(Group{Name: "\x1b\u009b\x7f"})
	if want := `"\u001b\u009b\u007f"`; err != nil || !strings.Contains(string(r.identity), want) {
		t.Errorf("got %q and error %v, want %s", r.identity, err, want)
	}
}
