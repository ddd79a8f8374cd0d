package webserver

import (
	"sync"
	"time"
)

// A requestPacer delays requests once pacerBurst of them arrive faster than pacerRate. A client that
// sends one request at a time then gets about pacerRate responses per second. The delay is
// short and the same for all, so that a scraper or a health check does not wait behind
// other clients. The zero value is ready to use.
type requestPacer struct {
	mu      sync.Mutex // guards the fields below
	level   float64    // requests in the leaky bucket at updated
	updated time.Time
}

const (
	pacerRate  = 50 // requests per second
	pacerBurst = 300
	pacerDelay = 50 * time.Millisecond
)

// delay counts a request and returns the time for which it must wait.
func (p *requestPacer) delay() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.level = min(max(0, p.level-now.Sub(p.updated).Seconds()*pacerRate)+1, pacerBurst+1)
	p.updated = now
	if p.level > pacerBurst {
		return pacerDelay
	}
	return 0
}
