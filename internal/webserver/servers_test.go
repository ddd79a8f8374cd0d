package webserver

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// testTimeout is the time after which a test fails.
const testTimeout = 30 * time.Second

// eventually polls condition until it is true.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(testTimeout); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timed out after %v waiting for %s", testTimeout, what)
		}
	}
}

// writeFile writes a file in a new directory and returns its path.
func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// startBlockedRequest starts a server and sends a request whose handler blocks
// until release is closed. result receives the error of the client.
func startBlockedRequest(t *testing.T, release <-chan struct{}) (set *Servers, address string, result <-chan error) {
	t.Helper()
	entered := make(chan struct{})
	set, address = startServer(t, Limits{Connections: 8, WriteTimeout: testTimeout}, func(http.ResponseWriter, *http.Request) {
		close(entered)
		<-release
	})
	done := make(chan error, 1)
	go func() {
		response, err := http.Get("http://" + address)
		if err == nil {
			err = response.Body.Close()
		}
		done <- err
	}()
	<-entered
	return set, address, done
}

func TestDrainFinishesRequests(t *testing.T) {
	release := make(chan struct{})
	set, address, result := startBlockedRequest(t, release)
	drained := make(chan error, 1)
	go func() { drained <- set.Drain(testTimeout) }()
	eventually(t, "the listener to close", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	select {
	case err := <-drained:
		t.Fatalf("Drain returned %v during a request, want it to wait", err)
	case err := <-result:
		t.Fatalf("got a response, or error %v, before the handler returned", err)
	default:
	}
	close(release)
	if err := <-result; err != nil {
		t.Errorf("got error %v from the request, want none", err)
	}
	if err := <-drained; err != nil {
		t.Errorf("got error %v from Drain, want none", err)
	}
}

func TestDrainTimeout(t *testing.T) {
	release := make(chan struct{})
	set, _, result := startBlockedRequest(t, release)
	defer close(release)
	if err := set.Drain(time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v from Drain, want %v", err, context.DeadlineExceeded)
	}
	if err := <-result; err == nil {
		t.Error("got a response to a request whose connection was closed, want an error")
	}
}
