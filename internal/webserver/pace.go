package webserver

import (
	"context"
	"sync"
	"time"
)

// A pace keeps scrapes from taking a whole core, however many come: beyond a
// second's worth of them, they run for half of the time. What a scrape shows is
// never older for it; it begins later, and more clients share it.
type pace struct {
	mu   sync.Mutex // guards what follows
	used time.Duration
	at   time.Time // when used was right
}

// maxUsed bounds how long a scrape is put off: by twice what it is above a second.
const maxUsed = 1250 * time.Millisecond

func (p *pace) settle(now time.Time) {
	p.used = max(0, p.used-now.Sub(p.at)/2)
	p.at = now
}

// spent books the time that a scrape took.
func (p *pace) spent(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settle(time.Now())
	p.used = min(p.used+d, maxUsed)
}

// wait waits until a scrape may begin, or ctx ends.
func (p *pace) wait(ctx context.Context) {
	p.mu.Lock()
	p.settle(time.Now())
	late := 2 * (p.used - time.Second)
	p.mu.Unlock()
	if late <= 0 {
		return
	}
	timer := time.NewTimer(late)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// slots are places for requests that wait for their answer. There is no queue
// for them: a scraper comes again anyway, and a queue would serve it late and
// keep the next one waiting. No slots at all are no limit.
type slots chan struct{}

func newSlots(n int) slots {
	if n <= 0 {
		return nil
	}
	return make(slots, n)
}

func (s slots) take() bool {
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

func (s slots) give() {
	if s != nil {
		<-s
	}
}
