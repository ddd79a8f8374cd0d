package webserver

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// TestUnreadBodiesAreLimited has clients that do not read their responses, fewer than the
// connection limit. Each response has its own body. The exporter keeps a limited number of
// bodies, and a client that reads gets every response.
func TestUnreadBodiesAreLimited(t *testing.T) {
	const size = 16 << 20 // more than the socket buffers hold
	write := func(w http.ResponseWriter) { _, _ = w.Write(make([]byte, size)) }
	t.Run("one Write", func(t *testing.T) {
		testUnreadBodies(t, size, func(w http.ResponseWriter, _ *http.Request) { write(w) })
	})
	t.Run("blocks of a Coalescer", func(t *testing.T) {
		var requests atomic.Int64
		c := newTestCoalescer(func(_ context.Context, w http.ResponseWriter, _ *http.Request) { write(w) })
		c.variant = func(*http.Request) string { return strconv.FormatInt(requests.Add(1), 10) } // each has its own body
		testUnreadBodies(t, size, c.ServeHTTP)
	})
}

// testUnreadBodies is TestUnreadBodiesAreLimited for a handler whose responses have size bytes.
func testUnreadBodies(t *testing.T, size int64, h http.HandlerFunc) {
	t.Helper()
	const clients = 24
	var sent, pending atomic.Int32
	limits := Limits{Connections: 2 * clients, WriteTimeout: 10 * testTimeout}
	_, address := startServer(t, limits, func(w http.ResponseWriter, r *http.Request) {
		sent.Add(1)
		pending.Add(1)
		defer pending.Add(-1)
		h(w, r)
	})
	const request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
	scraper, err := net.Dial("tcp", address) // with the default read buffer
	if err != nil {
		t.Fatal(err)
	}
	defer scraper.Close()
	responses := bufio.NewReader(scraper)
	for i := range clients {
		dial(t, address, request)
		testenv.WaitFor(t, "the response to be in transfer", func() bool { return int(sent.Load()) == 2*i+1 })
		if _, err := io.WriteString(scraper, request); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(responses, nil)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, response.Body); n != size || err != nil {
			t.Fatalf("got %d bytes and error %v, want %d bytes", n, err, size)
		}
		response.Body.Close()
	}
	testenv.WaitFor(t, "the end of the other transfers", func() bool { return int64(pending.Load()) <= maxPendingBytes/size })
}

// TestEvictedBodies checks which connections are closed when another handler writes 16 MiB.
func TestEvictedBodies(t *testing.T) {
	tests := []struct {
		name    string
		bodies  string // one letter per connection: the body that it receives
		sizes   map[rune]int
		seconds []int  // since the last progress
		want    string // connections that stay open
	}{
		{"below the limit", "abc", map[rune]int{'a': 16, 'b': 16, 'c': 16}, []int{9, 9, 9}, "012"},
		{"longest without progress", "abcd", map[rune]int{'a': 16, 'b': 16, 'c': 16, 'd': 16}, []int{2, 1, 9, 3}, "013"},
		{"largest", "abcd", map[rune]int{'a': 8, 'b': 8, 'c': 40, 'd': 8}, []int{2, 2, 1, 2}, "013"},
		{"few large bodies", "abc", map[rune]int{'a': 90, 'b': 90, 'c': 90}, []int{9, 9, 9}, "012"},
		{"shared body", "aaaaaaaaa", map[rune]int{'a': 16}, []int{9, 9, 9, 9, 9, 9, 9, 9, 9}, "012345678"},
		{"one client reads a shared body", "abcda", map[rune]int{'a': 16, 'b': 16, 'c': 16, 'd': 16}, []int{9, 2, 3, 4, 0}, "0124"},
		{"all clients of a shared body", "abcda", map[rune]int{'a': 16, 'b': 16, 'c': 16, 'd': 16}, []int{9, 2, 3, 4, 5}, "123"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newConnLimiter(10, false)
			memory := make(map[rune][]byte)
			for letter, size := range tt.sizes {
				memory[letter] = make([]byte, size<<20)
			}
			connect := func() *trackedConn {
				server, _ := net.Pipe()
				return &trackedConn{Conn: server, limiter: l, working: 1}
			}
			var (
				conns  []*trackedConn
				bodies []*pendingBody
			)
			for _, letter := range tt.bodies {
				c := connect()
				conns = append(conns, c)
				bodies = append(bodies, c.beginTransfer(memory[letter]))
			}
			for i, seconds := range tt.seconds {
				bodies[i].progress.Store(time.Now().Add(-time.Duration(seconds) * time.Second).UnixNano())
			}
			last := connect()
			last.endTransfer(last.beginTransfer(make([]byte, 16<<20)))
			var open strings.Builder
			for i, c := range conns {
				if !c.evicted {
					open.WriteByte(byte('0' + i))
				}
			}
			if open.String() != tt.want || last.evicted {
				t.Errorf("got open connections %s, last evicted %v, want %s", open.String(), last.evicted, tt.want)
			}
		})
	}
}

// TestProgressOfBody has an HTTP/2 client that at first allows no response data. A PING, which the
// server answers, is no progress of the body.
func TestProgressOfBody(t *testing.T) {
	set, address, roots := startTLSServer(t, Limits{Connections: 4, WriteTimeout: 10 * testTimeout},
		func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) })
	now := time.Now()
	cost := func() (cost float64) {
		l := set.limiters[0]
		l.mu.Lock()
		defer l.mu.Unlock()
		for body := range l.pending.bodies {
			cost += body.cost(now)
		}
		return cost
	}
	c, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots, ServerName: "example.com", NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	send := func(text string) {
		t.Helper()
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
	}
	send(zeroWindowRequest)
	testenv.WaitFor(t, "the body to be in transfer", func() bool { return cost() != 0 })
	before := cost()
	send("\x00\x00\x08\x06\x00\x00\x00\x00\x00" + "12345678") // PING
	for header := make([]byte, 9); header[3] != 6; {
		if _, err := io.ReadFull(c, header); err != nil {
			t.Fatal(err)
		}
		length := int64(header[0])<<16 | int64(header[1])<<8 | int64(header[2])
		if _, err := io.CopyN(io.Discard, c, length); err != nil {
			t.Fatal(err)
		}
	}
	if after := cost(); after != before {
		t.Errorf("got a cost of %v after a PING, want %v as before", after, before)
	}
	go func() { _, _ = io.Copy(io.Discard, c) }()
	for _, stream := range []string{"\x00", "\x01"} { // 0 is the connection
		send("\x00\x00\x04\x08\x00\x00\x00\x00" + stream + "\x00\x02\x00\x00") // WINDOW_UPDATE of 128 KiB
	}
	testenv.WaitFor(t, "progress of the body", func() bool { return cost() < before })
}
