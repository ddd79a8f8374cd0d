package webui

import (
	"context"
	"sync"
	"time"

	"github.com/seed57308aee/process_exporter/collector"
	"github.com/seed57308aee/process_exporter/grouping"
)

const (
	// Fresh is how old a walk may be before somebody who looks at the page gets a
	// new one.
	Fresh = 5 * time.Second

	// minInterval is how far two walks must be apart for rates between them: CPU
	// time grows in ticks of a hundredth of a second.
	minInterval = time.Second

	// lookedFor is how long after the last look walks are remembered.
	lookedFor = time.Minute

	// historyPoints and historyStep make five minutes.
	historyPoints = 60
	historyStep   = 5 * time.Second
)

// A Recorder remembers the last two walks of a [collector.Collector], and the
// last minutes in short, while somebody looks. Any goroutine may use it.
type Recorder struct {
	walk  func(context.Context) // waits for a walk that See is told of
	about func(*Exporter)       // fills in what no walk tells
	now   func() time.Time
	fresh time.Duration

	mu     sync.Mutex // guards what follows
	looked time.Time
	past   *past
}

// A past is what is remembered of the walks until now. The next walk makes another
// of it; nothing of this one changes but the answer that it keeps.
type past struct {
	last    *collector.View            // the newest without an error, nil before there is one
	prev    map[string]*grouping.Group // of the one before, by key
	between float64                    // seconds from prev to last, 0 without prev
	failed  error                      // of the newest walk
	walked  time.Time                  // when that ended
	history map[string][]float32       // the CPU usage of groups by key, in cores, the newest last
	pointAt time.Time                  // of the newest in history
	shared  shared
}

// NewRecorder returns a Recorder of the walks of c. It starts one of its own when
// somebody looks and the last is as old as fresh. about fills in what only the
// rest of the program knows of itself.
func NewRecorder(c *collector.Collector, fresh time.Duration, about func(*Exporter)) *Recorder {
	r := &Recorder{walk: c.Walk, about: about, now: time.Now, fresh: fresh, past: new(past)}
	c.Watch(r.see)
	return r
}

// see takes a walk down, if anybody has looked of late.
func (r *Recorder) see(v collector.View) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now().Sub(r.looked) > lookedFor {
		r.past = new(past)
		return
	}
	r.past = r.past.and(&v)
}

// and returns p with one more walk.
func (p *past) and(v *collector.View) *past {
	next := &past{
		last: p.last, prev: p.prev, between: p.between, failed: v.Err, walked: v.Time, history: p.history, pointAt: p.pointAt,
	}
	if v.Err != nil {
		return next
	}
	if p.last == nil {
		next.last = v
		return next
	}
	between := v.Time.Sub(p.last.Time)
	if between < minInterval {
		if p.failed == nil {
			return p // what is known is young enough
		}
		return next
	}
	next.prev = make(map[string]*grouping.Group, len(p.last.Groups))
	for i := range p.last.Groups {
		g := &p.last.Groups[i]
		next.prev[g.Key()] = g
	}
	next.last, next.between = v, between.Seconds()
	if v.Time.Sub(p.pointAt) >= historyStep-historyStep/10 {
		next.pointAt = v.Time
		next.history = next.lengthened()
	}
	return next
}

// lengthened returns the history with the newest CPU usage of every group. What is
// remembered of groups that are gone goes with them.
func (p *past) lengthened() map[string][]float32 {
	out := make(map[string][]float32, len(p.last.Groups))
	for i := range p.last.Groups {
		g := &p.last.Groups[i]
		k := g.Key()
		old := p.prev[k]
		if old == nil {
			continue
		}
		values := p.history[k]
		if len(values) == historyPoints {
			values = values[1:]
		}
		cores := float32(p.cores(old.UserNanos+old.SystemNanos, g.UserNanos+g.SystemNanos))
		longer := make([]float32, 0, historyPoints) // for others may read the old ones
		out[k] = append(append(longer, values...), cores)
	}
	return out
}

// cores returns how many CPUs were busy between two counts of nanoseconds.
func (p *past) cores(before, after uint64) float64 { return p.rate(before, after) / 1e9 }

// rate returns the growth of a counter per second.
func (p *past) rate(before, after uint64) float64 {
	if after < before { // the rules have moved processes elsewhere
		return 0
	}
	return float64(after-before) / p.between
}

// Report tells what all groups do. It waits for a walk if there is none that is
// young enough, but no longer than ctx.
func (r *Recorder) Report(ctx context.Context) Report {
	p := r.look(ctx)
	return p.report(r.exporter(p))
}

// Detail tells the same of the groups of one name only, and what is too much to
// tell of all.
func (r *Recorder) Detail(ctx context.Context, name string) Report {
	p := r.look(ctx)
	return p.detail(r.exporter(p), name)
}

// look notes that somebody looks, and waits for a walk if the last is too old.
func (r *Recorder) look(ctx context.Context) *past {
	r.mu.Lock()
	now := r.now()
	r.looked = now
	p := r.past
	r.mu.Unlock()
	if now.Sub(p.walked) < r.fresh {
		return p
	}
	r.walk(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.past
}
