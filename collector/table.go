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
	// Room for the next samples, handed out and never taken back.
	gauges   []gaugeCell
	counters []counterCell
}

// A pair is the key of a label pair.
type pair struct{ name, value string }

// A gaugeCell is a sample and all that it points to, so that many come in one
// piece of memory.
type gaugeCell struct {
	metric dto.Metric
	gauge  dto.Gauge
	value  float64
	labels [3]*dto.LabelPair
}

// A counterCell is the same of a counter.
type counterCell struct {
	metric  dto.Metric
	counter dto.Counter
	value   float64
	labels  [3]*dto.LabelPair
}

// cellsAtOnce is how many samples are made room for together.
const cellsAtOnce = 128

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
				m := t.cell(h.kind, value)
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

// cell returns a sample without labels, and with room for some.
func (t *table) cell(kind prometheus.ValueType, value float64) *dto.Metric {
	if kind == counter {
		if len(t.counters) == 0 {
			t.counters = make([]counterCell, cellsAtOnce)
		}
		c := &t.counters[0]
		t.counters = t.counters[1:]
		c.value = value
		c.counter.Value, c.metric.Counter, c.metric.Label = &c.value, &c.counter, c.labels[:0]
		return &c.metric
	}
	if len(t.gauges) == 0 {
		t.gauges = make([]gaugeCell, cellsAtOnce)
	}
	c := &t.gauges[0]
	t.gauges = t.gauges[1:]
	c.value = value
	c.gauge.Value, c.metric.Gauge, c.metric.Label = &c.value, &c.gauge, c.labels[:0]
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
	m := t.cell(f.kind, value)
	m.Label = append(m.Label, t.pair("groupname", g.Name))
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
