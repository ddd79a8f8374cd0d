package webserver

import (
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// An endlessConn always has data: frame, repeated.
type endlessConn struct {
	net.Conn
	frame    string
	received int
}

func (c *endlessConn) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		n += copy(p[n:], c.frame)
	}
	c.received += n
	return n, nil
}

func (c *endlessConn) Close() error { return nil }

// TestReadPacer checks how much the server reads from TLS clients that send without pause, and that
// another client, which sends a request each second, is not delayed.
func TestReadPacer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const clients, seconds = 20, 60
		limiter := newConnLimiter(128, true)
		open := func(frame string) (*trackedConn, *endlessConn) {
			inner := &endlessConn{frame: frame}
			return limiter.track(inner), inner
		}
		end := time.Now().Add(seconds * time.Second)
		var inners []*endlessConn
		for range clients {
			conn, inner := open(strings.Repeat("p", 17))
			inners = append(inners, inner)
			go func() {
				buffer := make([]byte, 16<<10)
				for time.Now().Before(end) && inner.received < 1<<26 {
					_, _ = conn.Read(buffer)
				}
			}()
		}
		time.Sleep(30 * time.Second)
		scraper, _ := open("r")
		for range 10 {
			time.Sleep(time.Second)
			start := time.Now()
			if _, err := scraper.Read(make([]byte, 800)); err != nil || time.Since(start) > 0 {
				t.Errorf("got error %v after %v, want a read without delay", err, time.Since(start))
			}
		}
		time.Sleep(time.Until(end) + 2*maxReadDelay)
		synctest.Wait()
		total := 0
		for _, inner := range inners {
			total += inner.received
		}
		each := connReadBurst + 16<<10 + seconds*(connReadRate+delayedReadSize)
		if most := sharedReadBurst + seconds*sharedReadRate + clients*each; total > most {
			t.Errorf("got %d bytes read in %d s, want at most %d", total, seconds, most)
		}
	})
}

// TestContentionEndsDelayOfHandshakes has clients that begin a TLS handshake on all connections. When
// another connection finds no place, they stop to wait, so that they can be evicted.
func TestContentionEndsDelayOfHandshakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 8
		l := newConnLimiter(limit, true)
		l.pacer.handshakes.SetBurst(0)
		var delays sync.WaitGroup
		for range limit {
			c := l.track(&endlessConn{})
			if retry := l.admit(c, 0); retry != 0 {
				t.Fatalf("got no place, retry after %v", retry)
			}
			delays.Go(func() { c.delayHandshake(t.Context()) })
		}
		synctest.Wait()
		start := time.Now()
		if l.admit(l.track(&endlessConn{}), 0) == 0 {
			t.Fatal("got a place above the limit")
		}
		delays.Wait()
		if took := time.Since(start); took > 0 {
			t.Errorf("got an end of the delays after %v, want it when a connection finds no place", took)
		}
	})
}

// TestHandshakePacer checks that each TLS handshake counts.
func TestHandshakePacer(t *testing.T) {
	set, address, roots := startTLSServer(t, Limits{Connections: 8, WriteTimeout: testTimeout}, func(http.ResponseWriter, *http.Request) {})
	limit := set.limiters[0].pacer.handshakes
	limit.SetLimit(0)
	const count = 3
	before := limit.Tokens()
	for range count {
		c, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots, ServerName: "example.com"})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := before - limit.Tokens(); got != count {
		t.Errorf("got %v of %d handshakes counted", got, count)
	}
}
