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
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
)

// DefaultTimeout bounds a scrape that brings no deadline of its own.
const DefaultTimeout = 10 * time.Second

// Options says what a Collector exports.
type Options struct {
	Tracker *grouping.Tracker // of which the Collector is the only user from now on
	Logger  *slog.Logger
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
	tracker *grouping.Tracker
	log     *slog.Logger
	table   *table
	see     []func(View) // of every walk, in the order in which they asked

	building sync.Mutex // one at a time, and guards the families of every walk

	mu      sync.Mutex // guards what follows
	running *walk
	last    walk // the newest that is done, without its families
}

// A walk is one update of the Tracker. What follows done may be read once done
// is closed, and nothing changes it any more.
type walk struct {
	done     chan struct{}
	groups   []grouping.Group
	labels   []string // of groups, beside their name
	health   grouping.Health
	coverage grouping.Coverage
	failures uint64
	took     time.Duration
	err      error
	overdue  bool                // in the place of one that its scrape had no time to wait for
	families []*dto.MetricFamily // nil until somebody asks for them
}

// New returns a Collector of the groups of o.Tracker.
func New(o Options) *Collector {
	return &Collector{tracker: o.Tracker, log: o.Logger, table: newTable()}
}

// descs describes the families that the table builds, in their order, where
// groups have these labels beside their name.
func (c *Collector) descs(labels []string) []*prometheus.Desc {
	var out []*prometheus.Desc
	for _, r := range c.table.rows {
		own := r.labels
		if r.grouped {
			own = slices.Concat([]string{"groupname"}, own, labels)
		}
		out = append(out, prometheus.NewDesc(r.name, r.help, own, nil))
	}
	return out
}

// Describe implements [prometheus.Collector]. A registry refuses what comes later
// with other labels, as after a reload; [Collector.Gatherer] needs none.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs(c.tracker.LabelNames()) {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), DefaultTimeout)
	defer cancel()
	w := c.join(ctx)
	descs := c.descs(w.labels)
	for i, f := range c.families(w) {
		for _, m := range f.Metric {
			ch <- metric{descs[i], m}
		}
	}
}

// A metric is a sample that is ready to be sent.
type metric struct {
	desc *prometheus.Desc
	*dto.Metric
}

// Desc implements [prometheus.Metric].
func (m metric) Desc() *prometheus.Desc { return m.desc }

// Write implements [prometheus.Metric].
func (m metric) Write(out *dto.Metric) error {
	out.Label, out.Gauge, out.Counter = m.Label, m.Gauge, m.Counter
	return nil
}

// For returns the metrics of a scrape that waits for the walk no longer than
// ctx. They need no registry: there are many, and a registry looks each time
// whether all of them are well formed and different, which the tests do once.
func (c *Collector) Gatherer(ctx context.Context) prometheus.Gatherer {
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		var out []*dto.MetricFamily
		for _, f := range c.families(c.join(ctx)) {
			if len(f.Metric) > 0 {
				out = append(out, f)
			}
		}
		return out, nil
	})
}

// Stream hands the families of a scrape to use, by name. It waits for the walk no
// longer than ctx. A family is use's until it returns, so that a scrape takes no
// more memory than its largest family; an error of use ends it.
func (c *Collector) EachFamily(ctx context.Context, use func(*dto.MetricFamily) error) error {
	w := c.join(ctx)
	c.building.Lock()
	defer c.building.Unlock()
	return c.table.each(w, use)
}

// join waits for the walk that runs, or starts one. It returns at the end of
// ctx in any case; the walk goes on then for whoever comes next. A walk that was
// cut short for somebody in a greater hurry is followed by one of our own.
func (c *Collector) join(ctx context.Context) *walk {
	w, mine := c.begin(ctx)
	if !c.wait(ctx, w) {
		return c.late(ctx)
	}
	if mine || !w.health.Incomplete {
		return w
	}
	if w, _ = c.begin(ctx); !c.wait(ctx, w) {
		return c.late(ctx)
	}
	return w
}

// begin returns the walk that runs, or a new one, which is the caller's.
func (c *Collector) begin(ctx context.Context) (w *walk, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running != nil {
		return c.running, false
	}
	c.running = &walk{done: make(chan struct{})}
	go c.walk(c.running, deadline(ctx))
	return c.running, true
}

// wait waits until w is done, and returns false if ctx ends first.
func (c *Collector) wait(ctx context.Context, w *walk) bool {
	select {
	case <-w.done:
		return true
	case <-ctx.Done():
		return false
	}
}

// late returns what to tell a scrape whose time is up before the walk is done.
func (c *Collector) late(ctx context.Context) *walk {
	c.mu.Lock()
	w := &walk{health: c.last.health, coverage: c.last.coverage, labels: c.last.labels, failures: c.last.failures, err: ctx.Err(), overdue: true}
	c.mu.Unlock()
	return w
}

// families returns the families of a walk that is done.
func (c *Collector) families(w *walk) []*dto.MetricFamily {
	c.building.Lock()
	defer c.building.Unlock()
	if w.families == nil {
		w.families = c.table.build(w)
	}
	return w.families
}

// Run walks over the processes whenever so many have ended that the kernel
// cannot remember more, until ctx ends. Where it does not tell of them Run
// returns at once.
func (c *Collector) Run(ctx context.Context) {
	exiting := c.tracker.ExitsPending()
	for exiting != nil {
		select {
		case <-exiting:
			w, _ := c.begin(ctx)
			c.wait(ctx, w)
		case <-ctx.Done():
			return
		}
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
	w.health, w.coverage, w.labels = c.tracker.Health(), c.tracker.Coverage(), c.tracker.LabelNames()
	if w.err != nil {
		c.log.Error("Cannot read processes", "err", w.err)
	}
	if w.health.HidePID && !c.last.health.HidePID {
		c.log.Warn("Only our own processes can be seen: mount the process file system without hidepid, with gid= of a group of ours, or give CAP_SYS_PTRACE")
	}
	if was := c.last.health.Source; was != "" && was != w.health.Source {
		_, why := c.tracker.Kind()
		c.log.Warn("Reading processes in another way from now on", "via", w.health.Source, "reason", why)
	}
	if c.last.health.GroupLimitHits == 0 && w.health.GroupLimitHits > 0 {
		c.log.Warn("There are more group names than the limit; the processes of new ones count under "+grouping.OtherName, "groups", w.coverage.Groups)
	}
	c.mu.Lock()
	w.failures = c.last.failures
	if w.err != nil {
		w.failures++
	}
	c.mu.Unlock()
	c.mu.Lock()
	c.last, c.running = *w, nil
	c.last.families, c.last.groups = nil, nil
	c.mu.Unlock()
	c.show(w)
	close(w.done)
}
