package webserver

import (
	"time"

	"golang.org/x/time/rate"
)

// Limits of the CPU time that clients can use without a request. A scraper, a probe each second and a
// browser stay below them. All listeners of a connLimiter share them. The comments give the cost
// of one unit.
const (
	acceptRate  = 250 // connections per second; 75 microseconds
	acceptBurst = 300

	handshakeRate  = 50 // TLS handshakes per second; 500 microseconds with ECDSA
	handshakeBurst = 100

	// A TLS connection can receive connReadBurst and connReadRate without delay, also while other
	// clients send much. A client with larger headers or certificates uses the shared limit. An
	// HTTP/2 PING frame has 17 bytes.
	connReadRate    = 1 << 10 // bytes per second
	connReadBurst   = 4 << 10
	sharedReadRate  = 64 << 10
	sharedReadBurst = 256 << 10
	delayedReadSize = 1 << 10

	// maxConnDelay limits each delay.
	maxConnDelay = time.Second
)

// A connPace delays connections, TLS handshakes and received data above the limits.
type connPace struct {
	accepts, handshakes, reads *rate.Limiter
}

func newConnPace() connPace {
	return connPace{
		accepts:    rate.NewLimiter(acceptRate, acceptBurst),
		handshakes: rate.NewLimiter(handshakeRate, handshakeBurst),
		reads:      rate.NewLimiter(sharedReadRate, sharedReadBurst),
	}
}

// reserve takes n units and returns the time to wait for them.
func reserve(l *rate.Limiter, n int) time.Duration {
	r := l.ReserveN(time.Now(), n)
	d := r.Delay()
	if d > maxConnDelay { // do not let other clients pay for it later
		r.Cancel()
		return maxConnDelay
	}
	return d
}
