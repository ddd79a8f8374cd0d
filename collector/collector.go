// Package collector turns groups of processes into Prometheus metrics.
//
// All metrics stand in two tables, families and healthMetrics. The package
// touches no file and no process: a [grouping.Tracker] does. A scrape that
// fails, or that comes too late, still tells so in
// namedprocess_exporter_scrape_success.
package collector

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
)

// DefaultTimeout bounds a scrape that brings no deadline of its own.
const DefaultTimeout = 10 * time.Second

// Options says what a Collector exports.
type Options struct {
	Tracker *grouping.Tracker // of which the Collector is the only user from now on
	Logger  *slog.Logger
	Threads bool // metrics by thread name
	Smaps   bool // memory of kinds that only smaps tells
}

// Fields returns what a Tracker must read for a Collector with these options.
func Fields(threads, smaps bool) platform.Fields {
	f := platform.FieldStat | platform.FieldStatus | platform.FieldIO | platform.FieldFDs |
		platform.FieldFDLimit | platform.FieldWChan | platform.FieldTasks
	if threads {
		f |= platform.FieldTaskUsage
	}
	if smaps {
		f |= platform.FieldSmaps
	}
	return f
}

// A Collector reads all processes once per scrape. It may be used from any
// number of goroutines: scrapes that overlap share one walk.
type Collector struct {
	tracker  *grouping.Tracker
	log      *slog.Logger
	families []described
	health   []describedHealth

	mu      sync.Mutex // guards what follows
	running *walk
	last    walk // the newest that is done
}

type described struct {
	family
	desc *prometheus.Desc
}

type describedHealth struct {
	healthMetric
	desc *prometheus.Desc
}

// A walk is one update of the Tracker. What follows done may be read once done
// is closed, and nothing changes it any more.
type walk struct {
	done     chan struct{}
	groups   []grouping.Group
	health   grouping.Health
	failures uint64
	took     time.Duration
	err      error
}

// New returns a Collector of the groups of o.Tracker.
func New(o Options) *Collector {
	c := &Collector{tracker: o.Tracker, log: o.Logger}
	for _, f := range families() {
		if f.tasks && !o.Threads {
			continue
		}
		if !o.Smaps {
			f.series = withoutSmaps(f.series)
		}
		labels := append([]string{"groupname"}, f.labels...)
		c.families = append(c.families, described{f, prometheus.NewDesc(f.name, f.help, labels, nil)})
	}
	for _, h := range healthMetrics() {
		c.health = append(c.health, describedHealth{h, prometheus.NewDesc(h.name, h.help, nil, nil)})
	}
	return c
}

func withoutSmaps(all []series) []series {
	var kept []series
	for _, s := range all {
		if !s.smaps {
			kept = append(kept, s)
		}
	}
	return kept
}

// Describe implements [prometheus.Collector].
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range c.families {
		ch <- f.desc
	}
	for _, h := range c.health {
		ch <- h.desc
	}
}

// Collect implements [prometheus.Collector].
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), DefaultTimeout)
	defer cancel()
	c.For(ctx).Collect(ch)
}

// For returns a view of c whose Collect waits for the walk no longer than ctx.
func (c *Collector) For(ctx context.Context) prometheus.Collector { return view{c, ctx} }

type view struct {
	*Collector
	ctx context.Context
}

// Collect implements [prometheus.Collector].
func (v view) Collect(ch chan<- prometheus.Metric) {
	w := v.join(v.ctx)
	for _, h := range v.health {
		if h.late || w.err == nil {
			ch <- prometheus.MustNewConstMetric(h.desc, h.kind, h.value(w))
		}
	}
	for i := range w.groups {
		v.collectGroup(ch, &w.groups[i])
	}
}

func (c *Collector) collectGroup(ch chan<- prometheus.Metric, g *grouping.Group) {
	for i := range c.families {
		f := &c.families[i]
		put := func(value float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(f.desc, f.kind, value, append([]string{g.Name}, labels...)...)
		}
		if f.each != nil {
			f.each(g, put)
		}
		for j := range f.series {
			s := &f.series[j]
			switch {
			case !s.has(g):
			case s.label == "":
				put(s.value(g))
			default:
				put(s.value(g), s.label)
			}
		}
	}
}

// join waits for the walk that runs, or starts one. It returns at the end of
// ctx in any case; the walk goes on then for whoever comes next.
func (c *Collector) join(ctx context.Context) *walk {
	c.mu.Lock()
	w := c.running
	if w == nil {
		w = &walk{done: make(chan struct{})}
		c.running = w
		go c.walk(w, deadline(ctx))
	}
	c.mu.Unlock()
	select {
	case <-w.done:
		return w
	case <-ctx.Done():
		c.mu.Lock()
		defer c.mu.Unlock()
		return &walk{health: c.last.health, failures: c.last.failures, err: ctx.Err()}
	}
}

// deadline returns when a walk must end for its caller to answer in time: a
// tenth of the time is left for that.
func deadline(ctx context.Context) time.Time {
	now := time.Now()
	end, ok := ctx.Deadline()
	if !ok {
		return now.Add(DefaultTimeout)
	}
	return end.Add(-end.Sub(now) / 10)
}

// walk updates the Tracker. Only one walk runs at a time.
func (c *Collector) walk(w *walk, end time.Time) {
	ctx, cancel := context.WithDeadline(context.Background(), end)
	defer cancel()
	start := time.Now()
	w.groups, w.err = c.tracker.Update(ctx)
	w.took = time.Since(start)
	w.health = c.tracker.Health()
	if w.err != nil {
		c.log.Error("Cannot read processes", "err", w.err)
	}
	c.mu.Lock()
	w.failures = c.last.failures
	if w.err != nil {
		w.failures++
	}
	c.last, c.running = *w, nil
	c.mu.Unlock()
	close(w.done)
}
