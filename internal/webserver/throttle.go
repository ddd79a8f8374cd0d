package webserver

import (
	"context"
	"sync"
	"time"
)

// A throttle limits rendering to a share of one core once throttleBurst of CPU time is
// used. It is a leaky bucket. The data of a delayed response are not older: the walk
// begins later, and more requests share it.
type throttle struct {
	mu      sync.Mutex    // guards the fields below
	used    time.Duration // CPU time in the bucket at updated
	updated time.Time
}

const (
	// throttleShare is the reciprocal of the share of one core: 5 %.
	throttleShare = 20

	// throttleBurst is the CPU time that causes no delay.
	throttleBurst = 2 * time.Second

	// maxThrottleDelay limits the delay of a response. A response that uses more than
	// maxThrottleDelay / throttleShare, 50 ms, can exceed the share.
	maxThrottleDelay = time.Second

	// minThrottleDelay is half of the time for rendering if the timeout of the client is a
	// second. Responses with shorter timeouts can have status 503.
	minThrottleDelay = 250 * time.Millisecond
)

// drain removes what has leaked out of the bucket until now. The caller holds mu.
func (t *throttle) drain(now time.Time) {
	t.used = max(0, t.used-now.Sub(t.updated)/throttleShare)
	t.updated = now
}

// record adds the CPU time of one render.
func (t *throttle) record(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drain(time.Now())
	t.used = min(t.used+d, throttleBurst+maxThrottleDelay/throttleShare)
}

// delay returns the time until the next render may begin.
func (t *throttle) delay() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drain(time.Now())
	return max(0, throttleShare*(t.used-throttleBurst))
}

// wait blocks until the next render may begin, but not longer than a quarter of the time until
// the deadline of ctx, or minThrottleDelay if that is more, so that the response is complete. It
// returns false if ctx ends before.
func (t *throttle) wait(ctx context.Context) bool {
	delay := t.delay()
	if deadline, ok := ctx.Deadline(); ok {
		delay = min(delay, max(time.Until(deadline)/4, minThrottleDelay))
	}
	return sleep(ctx, delay)
}

// sleep blocks for a duration. It returns false if ctx ends before.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// A pacer delays requests once pacerBurst of them arrive faster than pacerRate. A client that
// sends one request at a time then gets about pacerRate responses per second. The delay is
// short and the same for all, so that a scraper or a health check does not wait behind
// other clients. The zero value is ready to use.
type pacer struct {
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
func (p *pacer) delay() time.Duration {
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

// A semaphore limits the number of concurrent requests. It has no queue: a
// scraper retries at its next interval, and a queue would serve it late and
// delay others. A nil semaphore has no limit.
type semaphore chan struct{}

func newSemaphore(n int) semaphore {
	if n <= 0 {
		return nil
	}
	return make(semaphore, n)
}

func (s semaphore) tryAcquire() bool {
	if s == nil {
		return true
	}
	select {
	case s <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s semaphore) release() {
	if s != nil {
		<-s
	}
}
