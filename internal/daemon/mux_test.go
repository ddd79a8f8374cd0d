package daemon

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestReloadRequests requires that only a POST request that no page of another
// site caused reloads the configuration.
func TestReloadRequests(t *testing.T) {
	tests := []struct {
		name, method string
		header       http.Header
		disabled     bool
		err          error
		status       int
		reloads      int
	}{
		{name: "command line", method: "POST", status: http.StatusOK, reloads: 1},
		{name: "same origin", method: "POST", header: http.Header{"Origin": {"http://example.com"}}, status: http.StatusOK, reloads: 1},
		{name: "same site", method: "POST", header: http.Header{"Sec-Fetch-Site": {"same-origin"}}, status: http.StatusOK, reloads: 1},
		{name: "foreign origin", method: "POST", header: http.Header{"Origin": {"http://attacker.example"}}, status: http.StatusForbidden},
		{name: "opaque origin", method: "POST", header: http.Header{"Origin": {"null"}}, status: http.StatusForbidden},
		{name: "cross-site", method: "POST", header: http.Header{"Sec-Fetch-Site": {"cross-site"}}, status: http.StatusForbidden},
		{name: "PUT", method: "PUT", status: http.StatusMethodNotAllowed},
		{name: "GET", method: "GET", status: http.StatusMethodNotAllowed},
		{name: "disabled", method: "POST", disabled: true, status: http.StatusForbidden},
		{name: "failed", method: "POST", err: errors.New("invalid rule"), status: http.StatusInternalServerError, reloads: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := parse(t)
			s.EnableLifecycle = !tt.disabled
			reloads := 0
			h := newReloadHandler(s, func() error { reloads++; return tt.err })
			request := httptest.NewRequest(tt.method, "http://example.com"+ReloadPath, nil)
			request.Header = tt.header
			if tt.header == nil {
				request.Header = make(http.Header)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, request)
			if w.Code != tt.status || reloads != tt.reloads {
				t.Errorf("got status %d and %d reloads, want %d and %d", w.Code, reloads, tt.status, tt.reloads)
			}
			if tt.err != nil && !strings.Contains(w.Body.String(), tt.err.Error()) {
				t.Errorf("got %q, want the error", w.Body)
			}
		})
	}
}
