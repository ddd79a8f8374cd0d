package webserver

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// serve serves h with the limits on an address of its own.
func serve(t *testing.T, limits Limits, h http.HandlerFunc) (set *Servers, address string) {
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
	set.Scrapes([]net.Listener{l}, h, web, limits)
	t.Cleanup(set.Close)
	return set, l.Addr().String()
}

// dial connects to a server and sends it a text.
func dial(t *testing.T, address, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := errors.Join(c.SetDeadline(time.Now().Add(patience)), c.(*net.TCPConn).SetReadBuffer(2<<10)); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(c, text) }() // which may take until the end of the test
	return c
}

// TestSlowReadersOfAnything has as many clients as may be connected, none of which
// fetches its answers, whatever these are. Another is answered nonetheless.
func TestSlowReadersOfAnything(t *testing.T) {
	const limit = 4
	var sending atomic.Int32
	page := make([]byte, 64<<20) // the kernel takes a part of it
	_, address := serve(t, Limits{Connections: limit, WriteTimeout: 10 * patience}, func(w http.ResponseWriter, _ *http.Request) {
		sending.Add(1)
		defer sending.Add(-1)
		_, _ = w.Write(page)
	})
	for range limit {
		dial(t, address, "GET /page.js HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	eventually(t, "all to be sent to", func() bool { return sending.Load() == limit })
	good := dial(t, address, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if line, err := bufio.NewReader(good).ReadString('\n'); err != nil || !strings.Contains(line, "200 OK") {
		t.Errorf("got %q and error %v", line, err)
	}
}

// TestCrowd lets a connection be used again, but not while another has found no room.
func TestCrowd(t *testing.T) {
	_, address := serve(t, Limits{Connections: 1, WriteTimeout: patience}, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "x")
	})
	const request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	ask := func(c net.Conn) (closed bool) {
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
	if ask(first) {
		t.Error("the only client is told to close its connection")
	}
	if _, err := io.WriteString(first, request); err != nil {
		t.Fatal(err)
	}
	if ask(first) {
		t.Error("the only client is told to close its connection after its second request")
	}
	if !ask(dial(t, address, request)) {
		t.Error("a client in a crowd may keep its connection")
	}
	eventually(t, "the crowd to be over", func() bool {
		alone, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer alone.Close()
		if _, err := io.WriteString(alone, request); err != nil {
			t.Fatal(err)
		}
		return !ask(alone)
	})
}

// TestTimeouts has a client that does not complete its header, and one that does not
// fetch its answer. Nobody else wants their places, and still they lose them.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	const long = 64 << 20
	failed := make(chan error, 1)
	_, address := serve(t, Limits{Connections: 4, WriteTimeout: 100 * time.Millisecond}, func(w http.ResponseWriter, _ *http.Request) {
		_, err := w.Write(make([]byte, long))
		failed <- err
	})
	half := dial(t, address, "GET / HTTP/1.1\r\nHost: x\r\n")
	dial(t, address, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	select {
	case err := <-failed:
		if err == nil {
			t.Error("64 MiB were sent to who reads nothing")
		}
	case <-time.After(patience):
		t.Error("an answer that nobody fetches is sent for ever")
	}
	if _, err := io.ReadAll(half); errors.Is(err, context.DeadlineExceeded) || err != nil && strings.Contains(err.Error(), "timeout") {
		t.Errorf("half a header is waited for without end: %v", err)
	}
	// Without one of a header that of a request would do, only later.
	if s := newServer(nil, Limits{}, slog.New(slog.DiscardHandler)); s.IdleTimeout <= 0 || s.ReadTimeout <= 0 || s.ReadHeaderTimeout <= 0 {
		t.Errorf("got no timeout of the idle, of a request, or of its header: %v, %v, %v", s.IdleTimeout, s.ReadTimeout, s.ReadHeaderTimeout)
	}
}

// TestLongHeader refuses a header that nobody needs.
func TestLongHeader(t *testing.T) {
	_, address := serve(t, Limits{Connections: 4, WriteTimeout: patience}, func(http.ResponseWriter, *http.Request) {})
	for size, want := range map[int]string{8 << 10: "200 OK", 64 << 10: "431 "} {
		c := dial(t, address, "GET / HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", size)+"\r\n\r\n")
		if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, want) {
			t.Errorf("%d bytes: got %q and error %v, want %s", size, line, err, want)
		}
	}
}

// TestDeadlinesOfOthers has clients with little time ask again and again, each a
// little differently. One that has more does not get what they do, nor nothing.
func TestDeadlinesOfOthers(t *testing.T) {
	release := make(chan struct{})
	x := NewAnswers(slog.New(slog.DiscardHandler), 0, func(ctx context.Context, w http.ResponseWriter, _ *http.Request) {
		select {
		case <-release:
			_, _ = io.WriteString(w, "all")
		case <-ctx.Done():
			_, _ = io.WriteString(w, "part")
		}
	})
	ask := func(seconds string) chan *outcome {
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.Header.Set(TimeoutHeader, seconds)
		got := make(chan *outcome, 1)
		go func() {
			a := x.answer(r)
			got <- &outcome{a.status, a.body.String()}
		}()
		return got
	}
	var hurried []chan *outcome
	for _, seconds := range []string{"0.6", "0.8", "1", "1.3"} {
		hurried = append(hurried, ask(seconds))
	}
	eventually(t, "four answers", func() bool { x.mu.Lock(); defer x.mu.Unlock(); return len(x.running) == maxFlavours })
	patient := ask("60")
	joins := ask("0.7") // and takes what another has time for
	eventually(t, "a fifth", func() bool { x.mu.Lock(); defer x.mu.Unlock(); return len(x.running) == maxFlavours+1 })
	for _, got := range hurried {
		if a := <-got; a.body == "all" {
			t.Errorf("got %+v in a hurry", a)
		}
	}
	close(release)
	if a := <-patient; a.status != http.StatusOK || a.body != "all" {
		t.Errorf("got %+v, want all", a)
	}
	<-joins
}

// outcome is what a client got.
type outcome struct {
	status int
	body   string
}

// TestNoSlotInTime has a client whose time is over before its answer is begun.
func TestNoSlotInTime(t *testing.T) {
	x := NewAnswers(slog.New(slog.DiscardHandler), 0, func(context.Context, http.ResponseWriter, *http.Request) {
		t.Error("there was a slot")
	})
	for range cap(x.slots) {
		x.slots <- struct{}{}
	}
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set(TimeoutHeader, "0.2")
	w := httptest.NewRecorder()
	if x.ServeHTTP(w, r); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" {
		t.Errorf("got %d and %v", w.Code, w.Header())
	}
}
