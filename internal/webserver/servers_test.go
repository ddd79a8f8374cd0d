package webserver

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// testTimeout is the time after which a test fails.
const testTimeout = 30 * time.Second

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
	testenv.WaitFor(t, "the listener to close", func() bool {
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

// TestDrainClosesSilentClients stops a server whose clients have no complete
// request. Drain must not wait for them, except for a client that it answers.
func TestDrainClosesSilentClients(t *testing.T) {
	tests := []struct {
		name, sent string
		answered   bool
	}{
		{name: "no byte"},
		{name: "half a request line", sent: "GET /met"},
		{name: "half a header", sent: "GET / HTTP/1.1\r\nHost: localhost\r\n"},
		{name: "idle", sent: "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", answered: true},
		{name: "idle, then half a header", sent: "GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET /", answered: true},
		{name: "no body", sent: "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n", answered: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set, address := startServer(t, Limits{Connections: 8, WriteTimeout: testTimeout}, func(http.ResponseWriter, *http.Request) {})
			c := dial(t, address, tt.sent)
			if tt.answered {
				if response, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || response.StatusCode != http.StatusOK {
					t.Fatalf("got response %v and error %v, want 200 OK", response, err)
				}
			} else {
				l := set.limiters[0]
				testenv.WaitFor(t, "the server to read", func() bool {
					l.mu.Lock()
					defer l.mu.Unlock()
					for c := range l.open {
						return c.receivedBytes == (tt.sent != "")
					}
					return false
				})
			}
			if err := set.Drain(3 * time.Second); err != nil { // net/http alone waits 5 s
				t.Errorf("got error %v, want none", err)
			}
		})
	}
}
