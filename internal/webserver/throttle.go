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
