package daemon

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/collector"
	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

// logMatches receives the first submatch of each log line that matches pattern.
type logMatches struct {
	pattern *regexp.Regexp
	matches chan string
}

// Write implements [io.Writer]. A handler of [slog] writes one line per call.
func (l logMatches) Write(line []byte) (int, error) {
	if m := l.pattern.FindSubmatch(line); m != nil {
		l.matches <- string(m[1])
	}
	return len(line), nil
}

// slowSource is a [platform.Source] whose walks take until release is closed.
type slowSource struct {
	platform.Source
	entered, release chan struct{}
}

func (s slowSource) Walk(ctx context.Context, snap *platform.Snapshot) error {
	s.entered <- struct{}{}
	<-s.release
	return s.Source.Walk(ctx, snap)
}

// TestReadyAfterFirstWalk blocks the first walk. During the walk the exporter
// serves, and is healthy but not ready.
func TestReadyAfterFirstWalk(t *testing.T) {
	requireLinux(t)
	// The sandbox would apply to all tests of this process.
	s := parse(t, "--sandbox=off", "--source=procfs", "--web.listen-address=127.0.0.1:0")
	addresses := logMatches{regexp.MustCompile(`addr(?:ess)?=(127\.0\.0\.1:\d+)`), make(chan string, 1)}
	log := slog.New(slog.NewTextHandler(addresses, nil))
	e, err := New(s, log)
	if err != nil {
		t.Fatal(err)
	}
	source, err := s.OpenSource()
	if err != nil {
		t.Fatal(err)
	}
	slow := slowSource{source, make(chan struct{}, 10), make(chan struct{})}
	e.collector = collector.New(collector.Options{Tracker: NewTracker(s, Sources{Processes: slow}, e.rules), Logger: log})
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- e.Serve(ctx) }()
	defer func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	var url string
	select {
	case address := <-addresses.matches:
		url = "http://" + address
	case <-time.After(testTimeout):
		t.Fatal("timed out waiting for a listener during the first walk")
	}
	testenv.WaitFor(t, "the start of the first walk", func() bool { return len(slow.entered) > 0 })
	if response, body := get(t, url+HealthyPath); response.StatusCode != http.StatusOK {
		t.Errorf("got %s during the first walk, want 200: %s", response.Status, body)
	}
	response, body := get(t, url+ReadyPath)
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
		t.Errorf("got %s and %v during the first walk, want 503 and Retry-After: %s", response.Status, response.Header, body)
	}
	close(slow.release)
	testenv.WaitFor(t, "readiness after the first walk", func() bool {
		response, _ := get(t, url+ReadyPath)
		return response.StatusCode == http.StatusOK
	})
}

// get returns the response to a GET request, and its body.
func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	client := http.Client{Timeout: testTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}
