package webserver

import (
	"context"
	"sync"
	"time"
)

// A throttle limits rendering to half of the time once more than a second of
// render time is used. It is a leaky bucket that drains at half of real time.
// The data of a delayed response are not older: the walk begins later, and more
// requests share it.
type throttle struct {
	mu      sync.Mutex    // guards the fields below
	used    time.Duration // render time in the bucket at updated
	updated time.Time
}

const (
	// throttleBurst is the render time that causes no delay.
	throttleBurst = time.Second

	// throttleCapacity limits the bucket, and so the delay to
	// 2 × (throttleCapacity − throttleBurst) = 500 ms.
	throttleCapacity = 1250 * time.Millisecond
)

// drain removes what has leaked out of the bucket until now. The caller holds mu.
func (t *throttle) drain(now time.Time) {
	t.used = max(0, t.used-now.Sub(t.updated)/2)
	t.updated = now
}

// record adds the duration of one render.
func (t *throttle) record(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drain(time.Now())
	t.used = min(t.used+d, throttleCapacity)
}

// wait blocks until the next render may begin or ctx is done.
func (t *throttle) wait(ctx context.Context) {
	t.mu.Lock()
	t.drain(time.Now())
	delay := 2 * (t.used - throttleBurst)
	t.mu.Unlock()
	if delay <= 0 {
		return
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
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
