package webserver

import (
	"bufio"
	"io"
	"net"
	"net/http"
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
	const clients, size = 24, 16 << 20 // more than the socket buffers hold
	var sent, pending atomic.Int32
	limits := Limits{Connections: 2 * clients, WriteTimeout: 10 * testTimeout}
	_, address := startServer(t, limits, func(w http.ResponseWriter, _ *http.Request) {
		sent.Add(1)
		pending.Add(1)
		defer pending.Add(-1)
		_, _ = w.Write(make([]byte, size))
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
	testenv.WaitFor(t, "the end of the other transfers", func() bool { return pending.Load() <= maxPendingBytes/size })
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
			var conns []*trackedConn
			for _, letter := range tt.bodies {
				c := connect()
				conns = append(conns, c)
				l.mu.Lock()
				l.pending.add(c, memory[letter])
				l.mu.Unlock()
			}
			for i, seconds := range tt.seconds {
				conns[i].lastWrite.Store(time.Now().Add(-time.Duration(seconds) * time.Second).UnixNano())
			}
			last := connect()
			last.endWrite(last.beginWrite(make([]byte, 16<<20)))
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
