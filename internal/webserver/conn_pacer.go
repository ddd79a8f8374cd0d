package webserver

import (
	"context"
	"time"

	"golang.org/x/time/rate"
)

// Limits of the CPU time that clients can use without a request. A scraper, a probe each second and a
// browser stay below them. All listeners of a connLimiter share them. Accepting a connection, which
// costs 75 microseconds, has no limit: other clients would wait in the accept queue.
const (
	handshakeRate  = 50 // TLS handshakes per second; one costs 500 microseconds with ECDSA
	handshakeBurst = 100

	// maxHandshakeDelay keeps a probe with a timeout of a second successful.
	maxHandshakeDelay = 250 * time.Millisecond

	// A TLS connection can receive connReadBurst and connReadRate without delay, also while other
	// clients send much. A client with larger headers or certificates uses the shared limit. An
	// HTTP/2 PING frame has 17 bytes.
	connReadRate    = 1 << 10 // bytes per second
	connReadBurst   = 4 << 10
	sharedReadRate  = 64 << 10
	sharedReadBurst = 256 << 10
	delayedReadSize = 1 << 10

	// maxReadDelay limits the delay of a read.
	maxReadDelay = time.Second
)

// A connPacer counts TLS handshakes and received data, which trackedConn delays above the limits.
type connPacer struct {
	handshakes, reads *rate.Limiter
}

func newConnPacer() connPacer {
	return connPacer{
		handshakes: rate.NewLimiter(handshakeRate, handshakeBurst),
		reads:      rate.NewLimiter(sharedReadRate, sharedReadBurst),
	}
}

// reserve takes n units and returns the time to wait for them, at most the given one.
func reserve(l *rate.Limiter, n int, most time.Duration) time.Duration {
	r := l.ReserveN(time.Now(), n)
	d := r.Delay()
	if d > most { // do not let other clients pay for it later
		r.Cancel()
		return most
	}
	return d
}

// delayHandshake waits while many clients begin a TLS handshake, unless other connections wait for
// the place of this one.
func (c *trackedConn) delayHandshake(ctx context.Context) {
	noPlace, contended := c.limiter.contention()
	if contended {
		return
	}
	c.addWorking(1) // do not evict c
	defer c.addWorking(-1)
	timer := time.NewTimer(reserve(c.limiter.pacer.handshakes, 1, maxHandshakeDelay))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-noPlace:
	case <-ctx.Done():
	}
}
