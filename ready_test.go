package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"testing"
	"time"
)

var listening = regexp.MustCompile(`msg="Listening on" address=(\S+)`)

// An addressLog takes the lines of a log, and keeps what is listened on.
type addressLog chan string

// Write implements [io.Writer]. A handler of [slog] writes a line at a time.
func (l addressLog) Write(line []byte) (int, error) {
	if m := listening.FindSubmatch(line); m != nil {
		l <- string(m[1])
	}
	return len(line), nil
}

// TestReadyAfterFirstWalk has a first walk that does not end for now. Meanwhile the
// exporter can be reached, and says that it is healthy but not ready.
func TestReadyAfterFirstWalk(t *testing.T) {
	onlyLinux(t)
	// A sandbox would be that of all tests.
	s, err := parseFlags([]string{"--sandbox=off", "--source=procfs", "--web.listen-address=127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	addresses := make(addressLog, 1)
	log := slog.New(slog.NewTextHandler(addresses, nil))
	e, err := newExporter(s, log)
	if err != nil {
		t.Fatal(err)
	}
	groups := slowGroups{make(chan struct{}, 10), make(chan struct{})}
	e.metrics = newExposition(s, log, groups, nil)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- e.serve(ctx) }()
	defer func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	var url string
	select {
	case address := <-addresses:
		url = "http://" + address
	case <-time.After(testTimeout):
		t.Fatal("nothing listens during the first walk")
	}
	eventually(t, "the first walk to begin", func() bool { return len(groups.entered) > 0 })
	if response, body := get(t, url+healthyPath); response.StatusCode != http.StatusOK {
		t.Errorf("got %s during the first walk: %s", response.Status, body)
	}
	if response, body := get(t, url+readyPath); response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
		t.Errorf("got %s and %v during the first walk: %s", response.Status, response.Header, body)
	}
	close(groups.release)
	eventually(t, "readiness after the first walk", func() bool {
		response, _ := get(t, url+readyPath)
		return response.StatusCode == http.StatusOK
	})
}

// get returns the response of a GET request, and its body.
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
