package webserver

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// startServer serves h on a loopback port that the kernel chooses.
func startServer(t *testing.T, limits Limits, h http.HandlerFunc) (set *Servers, address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web, err := OpenWebConfig("", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	set = NewServers()
	set.Serve([]net.Listener{l}, h, web, limits)
	t.Cleanup(set.Close)
	return set, l.Addr().String()
}

// dial connects to a server and sends text.
func dial(t *testing.T, address, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := errors.Join(c.SetDeadline(time.Now().Add(testTimeout)), c.(*net.TCPConn).SetReadBuffer(2<<10)); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(c, text) }() // may block until the end of the test
	return c
}

// TestSlowReadersAreEvicted has as many clients as the connection limit, which do
// not read their responses. Another client must get a response.
func TestSlowReadersAreEvicted(t *testing.T) {
	const limit = 4
	var sending atomic.Int32
	page := make([]byte, 64<<20) // more than the socket buffers hold
	_, address := startServer(t, Limits{Connections: limit, WriteTimeout: 10 * testTimeout}, func(w http.ResponseWriter, _ *http.Request) {
		sending.Add(1)
		defer sending.Add(-1)
		_, _ = w.Write(page)
	})
	for range limit {
		dial(t, address, "GET /page.js HTTP/1.1\r\nHost: localhost\r\n\r\n")
	}
	testenv.WaitFor(t, "all responses to be in transfer", func() bool { return sending.Load() == limit })
	c := dial(t, address, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, "200 OK") {
		t.Errorf("got %q and error %v, want 200 OK", line, err)
	}
}

// TestConnectionReuse requires that a client can reuse its connection, except
// after another found no place.
func TestConnectionReuse(t *testing.T) {
	_, address := startServer(t, Limits{Connections: 1, WriteTimeout: testTimeout}, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "x")
	})
	const request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
	readResponse := func(c net.Conn) (closed bool) {
		t.Helper()
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, response.Body)
		if err := errors.Join(err, response.Body.Close()); err != nil {
			t.Fatal(err)
		}
		return response.Close
	}
	first := dial(t, address, request)
	if readResponse(first) {
		t.Error("got Connection: close for the only client")
	}
	if _, err := io.WriteString(first, request); err != nil {
		t.Fatal(err)
	}
	if readResponse(first) {
		t.Error("got Connection: close for the only client on its second request")
	}
	if !readResponse(dial(t, address, request)) {
		t.Error("got no Connection: close under contention")
	}
	testenv.WaitFor(t, "the contention to end", func() bool {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		return !readResponse(c)
	})
}

// TestTimeouts has a client that does not complete its header, and one that does
// not read its response. Both connections are closed without contention.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	const long = 64 << 20
	failed := make(chan error, 1)
	_, address := startServer(t, Limits{Connections: 4, WriteTimeout: 100 * time.Millisecond}, func(w http.ResponseWriter, _ *http.Request) {
		_, err := w.Write(make([]byte, long))
		failed <- err
	})
	incomplete := dial(t, address, "GET / HTTP/1.1\r\nHost: localhost\r\n")
	dial(t, address, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	select {
	case err := <-failed:
		if err == nil {
			t.Error("64 MiB were sent to a client that does not read, want an error")
		}
	case <-time.After(testTimeout):
		t.Error("sending to a client that does not read had no timeout")
	}
	if _, err := io.ReadAll(incomplete); errors.Is(err, context.DeadlineExceeded) || err != nil && strings.Contains(err.Error(), "timeout") {
		t.Errorf("got error %v, want the server to close the connection with an incomplete header", err)
	}
	// ReadTimeout alone would also close that connection, but later.
	if s := newServer(nil, Limits{}, slog.New(slog.DiscardHandler)); s.IdleTimeout <= 0 || s.ReadTimeout <= 0 || s.ReadHeaderTimeout <= 0 {
		t.Errorf("got timeouts %v (idle), %v (read), %v (header), want all above 0", s.IdleTimeout, s.ReadTimeout, s.ReadHeaderTimeout)
	}
}

func TestHeaderSizeLimit(t *testing.T) {
	_, address := startServer(t, Limits{Connections: 4, WriteTimeout: testTimeout}, func(http.ResponseWriter, *http.Request) {})
	for size, want := range map[int]string{8 << 10: "200 OK", 64 << 10: "431 "} {
		c := dial(t, address, "GET / HTTP/1.1\r\nHost: localhost\r\nX: "+strings.Repeat("x", size)+"\r\n\r\n")
		if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, want) {
			t.Errorf("%d bytes: got %q and error %v, want %s", size, line, err, want)
		}
	}
}
