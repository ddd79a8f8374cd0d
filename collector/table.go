package collector

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/seed57308aee/process_exporter/grouping"
)

// maxPairs bounds the cache of label pairs. Thread names and wchans can be made
// up by any user.
const maxPairs = 20_000

// A table turns groups into metric families. It serves one goroutine at a time
// for what it builds of groups; families without groups need no care.
type table struct {
	groups []family
	health []healthMetric

	pairs map[pair]*dto.LabelPair // each label pair once, since nothing changes one
	cells []cell                  // room for the next samples, handed out and never taken back
}

// A pair is the key of a label pair.
type pair struct{ name, value string }

// A cell is a sample and all that it points to, so that many come in one piece
// of memory.
type cell struct {
	metric  dto.Metric
	gauge   dto.Gauge
	counter dto.Counter
	value   float64
	labels  [4]*dto.LabelPair
}

func newTable() *table {
	return &table{groups: families(), health: healthMetrics(), pairs: make(map[pair]*dto.LabelPair)}
}

// build returns a family for every row, in order, also those without samples.
// Those are new at every call: one scrape may still be sent while the next is
// built.
func (t *table) build(w *walk) []*dto.MetricFamily {
	out := make([]*dto.MetricFamily, 0, len(t.groups)+len(t.health))
	for i := range t.groups {
		f := &t.groups[i]
		mf := newFamily(f.name, f.help, f.kind)
		for j := range w.groups {
			t.addGroup(mf, f, &w.groups[j], w.labels)
		}
		out = append(out, mf)
	}
	for _, h := range t.health {
		mf := newFamily(h.name, h.help, h.kind)
		if h.late || w.err == nil {
			h.each(w, func(value float64, labels ...string) {
				m := newCell(new(cell), h.kind, value)
				for i := range labels {
					m.Label = append(m.Label, &dto.LabelPair{Name: &h.labels[i], Value: &labels[i]})
				}
				mf.Metric = append(mf.Metric, m)
			})
		}
		out = append(out, mf)
	}
	return out
}

func newFamily(name, help string, kind prometheus.ValueType) *dto.MetricFamily {
	metricType := dto.MetricType_GAUGE
	if kind == counter {
		metricType = dto.MetricType_COUNTER
	}
	return &dto.MetricFamily{Name: &name, Help: &help, Type: &metricType}
}

func newCell(c *cell, kind prometheus.ValueType, value float64) *dto.Metric {
	c.value = value
	if kind == counter {
		c.counter.Value = &c.value
		c.metric.Counter = &c.counter
	} else {
		c.gauge.Value = &c.value
		c.metric.Gauge = &c.gauge
	}
	return &c.metric
}

// addGroup adds the samples that a family has of one group.
func (t *table) addGroup(mf *dto.MetricFamily, f *family, g *grouping.Group, names []string) {
	if f.each != nil {
		f.each(g, func(value float64, labels ...string) {
			mf.Metric = append(mf.Metric, t.sample(f, g, names, value, labels...))
		})
	}
	for i := range f.series {
		s := &f.series[i]
		switch {
		case !s.has(g):
		case s.label == "":
			mf.Metric = append(mf.Metric, t.sample(f, g, names, s.value(g)))
		default:
			mf.Metric = append(mf.Metric, t.sample(f, g, names, s.value(g), s.label))
		}
	}
}

// sample returns a sample of a group with the labels that f has beside those of
// the group, of which names are the names.
func (t *table) sample(f *family, g *grouping.Group, names []string, value float64, labels ...string) *dto.Metric {
	if len(t.cells) == 0 {
		t.cells = make([]cell, 128)
	}
	c := &t.cells[0]
	t.cells = t.cells[1:]
	m := newCell(c, f.kind, value)
	m.Label = append(c.labels[:0], t.pair("groupname", g.Name))
	for i, value := range g.Labels {
		m.Label = append(m.Label, t.pair(names[i], value))
	}
	for i, value := range labels {
		m.Label = append(m.Label, t.pair(f.labels[i], value))
	}
	slices.SortFunc(m.Label, func(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) })
	return m
}

func (t *table) pair(name, value string) *dto.LabelPair {
	key := pair{name, value}
	if p := t.pairs[key]; p != nil {
		return p
	}
	if len(t.pairs) >= maxPairs {
		clear(t.pairs)
	}
	p := &dto.LabelPair{Name: &key.name, Value: &key.value}
	t.pairs[key] = p
	return p
}
