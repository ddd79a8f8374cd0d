package live

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

	mu      sync.Mutex // guards what follows
	looked  time.Time
	last    *collector.View // the newest without an error
	prev    map[string]*grouping.Group
	between float64 // seconds from prev to last, 0 without prev
	failed  error   // of the newest walk
	history map[string]*points
	pointAt time.Time
}

// points are the CPU usage of a group, in cores, the newest last.
type points struct {
	values []float32
	seen   bool // in the newest walk
}

// NewRecorder returns a Recorder of the walks of c. It starts one of its own when
// somebody looks and the last is as old as fresh. about fills in what only the
// rest of the program knows of itself.
func NewRecorder(c *collector.Collector, fresh time.Duration, about func(*Exporter)) *Recorder {
	r := &Recorder{walk: c.Walk, about: about, now: time.Now, fresh: fresh}
	c.Watch(r.see)
	return r
}

// see takes a walk down, if anybody has looked of late.
func (r *Recorder) see(v collector.View) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now().Sub(r.looked) > lookedFor {
		r.last, r.prev, r.history, r.between = nil, nil, nil, 0
		return
	}
	if r.failed = v.Err; v.Err != nil {
		return
	}
	if r.last == nil {
		r.last = &v
		return
	}
	between := v.Time.Sub(r.last.Time)
	if between < minInterval {
		return // what is known is young enough
	}
	r.prev = make(map[string]*grouping.Group, len(r.last.Groups))
	for i := range r.last.Groups {
		g := &r.last.Groups[i]
		r.prev[key(g)] = g
	}
	r.last, r.between = &v, between.Seconds()
	if v.Time.Sub(r.pointAt) >= historyStep-historyStep/10 {
		r.pointAt = v.Time
		r.addPoints()
	}
}

// addPoints adds the newest CPU usage of every group to its history. What is
// remembered of groups that are gone goes with them.
func (r *Recorder) addPoints() {
	if r.history == nil {
		r.history = make(map[string]*points)
	}
	for i := range r.last.Groups {
		g := &r.last.Groups[i]
		k := key(g)
		old := r.prev[k]
		if old == nil {
			continue
		}
		p := r.history[k]
		if p == nil {
			p = new(points)
			r.history[k] = p
		}
		if len(p.values) == historyPoints {
			p.values = append(p.values[:0], p.values[1:]...)
		}
		p.values = append(p.values, float32(r.cores(old.UserNanos+old.SystemNanos, g.UserNanos+g.SystemNanos)))
		p.seen = true
	}
	for k, p := range r.history {
		if !p.seen {
			delete(r.history, k)
		}
		p.seen = false
	}
}

// cores returns how many CPUs were busy between two counts of nanoseconds.
func (r *Recorder) cores(before, after uint64) float64 { return r.rate(before, after) / 1e9 }

// rate returns the growth of a counter per second.
func (r *Recorder) rate(before, after uint64) float64 {
	if after < before { // the rules have moved processes elsewhere
		return 0
	}
	return float64(after-before) / r.between
}

// Report tells what all groups do. It waits for a walk if there is none that is
// young enough, but no longer than ctx.
func (r *Recorder) Report(ctx context.Context) Report {
	r.look(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.begin()
	if r.last != nil {
		for i := range r.last.Groups {
			out.Groups = append(out.Groups, r.group(&r.last.Groups[i]))
		}
	}
	return out
}

// Detail tells the same of the groups of one name only, and what is too much to
// tell of all.
func (r *Recorder) Detail(ctx context.Context, name string) Report {
	r.look(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.begin()
	if r.last != nil {
		for i := range r.last.Groups {
			if g := &r.last.Groups[i]; g.Name == name {
				detailed := r.group(g)
				r.detail(&detailed, g)
				out.Groups = append(out.Groups, detailed)
			}
		}
	}
	return out
}

// look notes that somebody looks, and waits for a walk if the last is too old.
func (r *Recorder) look(ctx context.Context) {
	r.mu.Lock()
	now := r.now()
	r.looked = now
	stale := r.last == nil || now.Sub(r.last.Time) >= r.fresh
	r.mu.Unlock()
	if stale {
		r.walk(ctx)
	}
}

// key tells groups apart.
func key(g *grouping.Group) string {
	k := g.Name
	for _, label := range g.Labels {
		k += "\xff" + label // which no label can have in it
	}
	return k
}
