package webserver

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

// TestAccessHandler checks the refusals and headers of a web configuration.
func TestAccessHandler(t *testing.T) {
	users := map[string][]byte{"alice": nil}
	tests := []struct {
		name    string
		config  webSettings
		pending int // comparisons that wait
		login   bool
		status  int
		header  string // that the response must have
	}{
		{
			name: "no restriction", config: webSettings{headers: map[string]string{"X-Frame-Options": "deny"}},
			status: 200, header: "X-Frame-Options",
		},
		{name: "rate limit", config: webSettings{rateLimiter: rate.NewLimiter(0, 0)}, status: 429},
		{name: "no password", config: webSettings{users: users}, status: 401, header: "WWW-Authenticate"},
		{name: "password", config: webSettings{users: users}, login: true, status: 200},
		{name: "many guesses", config: webSettings{users: users}, pending: maxPending, login: true, status: 429, header: "Retry-After"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			auth := newAuthenticator()
			auth.compare, auth.total = func(_, _ []byte) error { return nil }, tt.pending
			h := &accessHandler{
				web: &WebConfig{log: slog.New(slog.DiscardHandler), current: &tt.config}, auth: auth,
				next: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x") }),
			}
			request, w := newScrape(), httptest.NewRecorder()
			if tt.login {
				request.SetBasicAuth("alice", "secret")
			}
			h.ServeHTTP(w, request)
			if w.Code != tt.status || tt.header != "" && w.Header().Get(tt.header) == "" {
				t.Errorf("got status %d and headers %v, want %d and %s", w.Code, w.Header(), tt.status, tt.header)
			}
		})
	}
}

// TestRateLimitOfAuthenticatedRequests checks that requests without a correct password do not use up
// the rate of the scraper.
func TestRateLimitOfAuthenticatedRequests(t *testing.T) {
	settings := webSettings{users: map[string][]byte{"alice": nil}, rateLimiter: rate.NewLimiter(0, 1)}
	auth := newAuthenticator()
	auth.compare = func(_, password []byte) error {
		if string(password) != "secret" {
			return errors.New("wrong password")
		}
		return nil
	}
	auth.sleep = func(time.Duration) {}
	h := &accessHandler{
		web: &WebConfig{log: slog.New(slog.DiscardHandler), current: &settings}, auth: auth,
		next: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
	}
	for _, tt := range []struct {
		password string
		want     int
	}{{"", 401}, {"guess", 401}, {"secret", 200}, {"guess", 401}, {"secret", 429}} {
		request, w := newScrape(), httptest.NewRecorder()
		if tt.password != "" {
			request.SetBasicAuth("alice", tt.password)
		}
		if h.ServeHTTP(w, request); w.Code != tt.want {
			t.Errorf("password %q: got status %d, want %d", tt.password, w.Code, tt.want)
		}
	}
}

// TestMaxRequests sends a request while another one uses the only place.
func TestMaxRequests(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	c := NewCoalescer(CoalescerOptions{
		Logger: slog.New(slog.DiscardHandler), MaxRequests: 1, Variant: func(*http.Request) string { return "" },
		CPUTime: func() time.Duration { return 0 },
		Render: func(_ context.Context, w http.ResponseWriter, _ *http.Request) {
			close(entered)
			<-release
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusTeapot)
		},
	})
	first, done := httptest.NewRecorder(), make(chan struct{})
	go func() {
		defer close(done)
		c.ServeHTTP(first, newScrape())
	}()
	<-entered
	second := httptest.NewRecorder()
	c.ServeHTTP(second, newScrape())
	if second.Code != http.StatusServiceUnavailable || second.Header().Get("Retry-After") == "" {
		t.Errorf("got status %d and headers %v, want 503 and Retry-After", second.Code, second.Header())
	}
	close(release)
	<-done
	if first.Code != http.StatusTeapot || first.Header().Get("Content-Type") != "text/plain" {
		t.Errorf("got status %d and headers %v, want those of the renderer", first.Code, first.Header())
	}
}
