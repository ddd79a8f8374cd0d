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

// patience is how long a test waits before it gives up.
const patience = 30 * time.Second

// eventually polls until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v in vain for %s", patience, what)
		}
	}
}

// writeFile writes a file into a new directory and returns its path.
func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// serveSlowly serves one request that waits until release is closed, and
// returns the servers, their address, and where its answer will come.
func serveSlowly(t *testing.T, release <-chan struct{}) (set *Servers, address string, answered <-chan error) {
	t.Helper()
	entered := make(chan struct{})
	set, address = serve(t, Limits{Connections: 8, WriteTimeout: patience}, func(http.ResponseWriter, *http.Request) {
		close(entered)
		<-release
	})
	result := make(chan error, 1)
	go func() {
		response, err := http.Get("http://" + address)
		if err == nil {
			err = response.Body.Close()
		}
		result <- err
	}()
	<-entered
	return set, address, result
}

func TestDrainFinishesRequests(t *testing.T) {
	release := make(chan struct{})
	set, address, answered := serveSlowly(t, release)
	drained := make(chan error, 1)
	go func() { drained <- set.Drain(patience) }()
	eventually(t, "the listener to close", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	select {
	case err := <-drained:
		t.Fatalf("got done and error %v with a request under way", err)
	case err := <-answered:
		t.Fatalf("got the answer too early, or error %v", err)
	default:
	}
	close(release)
	if err := <-answered; err != nil {
		t.Errorf("got error %v of the request", err)
	}
	if err := <-drained; err != nil {
		t.Errorf("got error %v", err)
	}
}

func TestDrainGivesUp(t *testing.T) {
	release := make(chan struct{})
	set, _, answered := serveSlowly(t, release)
	defer close(release)
	if err := set.Drain(time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v", err)
	}
	if err := <-answered; err == nil {
		t.Error("got an answer of a request that was cut off")
	}
}
