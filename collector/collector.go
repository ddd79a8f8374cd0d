// Package collector turns groups of processes into Prometheus metrics, and
// renders them as text, OpenMetrics or protobuf.
//
// The functions families and exporterMetrics return the metrics of groups, scrapes,
// rules and sockets. internal/daemon and internal/webserver define those of reloads,
// capabilities and the sandbox. The package does not access the operating system; a
// [grouping.Tracker] does. A scrape that fails or exceeds its deadline sets
// namedprocess_exporter_scrape_success to 0.
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
)

// DefaultTimeout is the timeout of a scrape without a deadline.
const DefaultTimeout = 10 * time.Second

// Options are the settings of a Collector.
type Options struct {
	Tracker *grouping.Tracker // used by the Collector only, from [New] on
	Logger  *slog.Logger
}

// A Collector reads all processes once per scrape. It is safe for concurrent use:
// concurrent scrapes share one update.
type Collector struct {
	tracker   *grouping.Tracker
	log       *slog.Logger
	builder   *familyBuilder
	started   time.Time
	observers []func(UpdateResult)   // in the order of Watch
	interest  func() ProcessInterest // of the next update

	building sync.Mutex // serializes the use of builder, guards update.families

	mu      sync.Mutex // guards the following fields
	running *update    // nil if no update runs
	last    update     // last finished update, without groups and families
}

// New returns a Collector of the groups of o.Tracker.
func New(o Options) *Collector {
	return &Collector{
		tracker: o.Tracker, log: o.Logger, builder: newFamilyBuilder(o.Tracker.Collectors()), started: time.Now(),
		interest: func() ProcessInterest { return ProcessInterest{} },
	}
}

// descs returns the descriptions of all families in the order of the table, for
// groups with these labels in addition to groupname.
func (c *Collector) descs(labels []string) []*prometheus.Desc {
	var out []*prometheus.Desc
	for _, r := range c.builder.rows {
		names := r.labels
		if r.grouped {
			names = slices.Concat([]string{"groupname"}, names, labels)
		}
		out = append(out, prometheus.NewDesc(r.name, r.help, names, nil))
	}
	return out
}

// Describe implements [prometheus.Collector]. A registry rejects metrics with
// other labels, for example after a reload; [Collector.Gatherer] does not.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs(c.tracker.LabelNames()) {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), DefaultTimeout)
	defer cancel()
	u := c.join(ctx)
	descs := c.descs(u.labels)
	for i, f := range c.families(u) {
		for _, m := range f.Metric {
			ch <- metric{descs[i], m}
		}
	}
}

// A metric is a finished sample.
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

// Gatherer returns the metrics of one scrape. It waits for an update, but not longer
// than ctx. It does not use a registry, which would check every series at every
// scrape; tests check them.
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

// EachFamily calls use with each family of these collectors, sorted by name. It waits for
// an update, but not longer than ctx. All families use the same memory: use must not
// keep a family after it returns. EachFamily stops at the first error of use and
// returns it.
func (c *Collector) EachFamily(ctx context.Context, only grouping.CollectorSet, use func(*dto.MetricFamily) error) error {
	u := c.join(ctx).limitedTo(only)
	c.building.Lock()
	defer c.building.Unlock()
	return c.builder.each(u, use)
}

// EachText is [Collector.EachFamily] with families in a text format: use
// receives the name of a family and its lines. Text without intermediate families
// takes a quarter of the time, and allocates almost nothing.
func (c *Collector) EachText(
	ctx context.Context, only grouping.CollectorSet, format TextFormat, use func(name string, lines []byte) error,
) error {
	u := c.join(ctx).limitedTo(only)
	c.building.Lock()
	defer c.building.Unlock()
	return c.builder.eachText(u, format, use)
}

// families returns the families of a finished update.
func (c *Collector) families(u *update) []*dto.MetricFamily {
	c.building.Lock()
	defer c.building.Unlock()
	if u.families == nil {
		u.families = c.builder.build(u)
	}
	return u.families
}
