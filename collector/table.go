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
	rows []row // by name

	pairs map[pair]*dto.LabelPair // each label pair once, since nothing changes one
	cells *cells                  // where the next samples come from
	reuse *cells                  // of families that somebody is done with before the next is built
	lines []byte                  // the same, of text
}

// A row is a metric family, of groups or of our own work.
type row struct {
	name, help string
	kind       prometheus.ValueType
	labels     []string
	grouped    bool // with the labels of groups, too
	fill       func(t *table, mf *dto.MetricFamily, w *walk)
	text       func(dst []byte, w *walk) []byte
}

// A pair is the key of a label pair.
type pair struct{ name, value string }

func newTable() *table {
	t := &table{pairs: make(map[pair]*dto.LabelPair), reuse: new(cells)}
	for _, f := range families() {
		t.rows = append(t.rows, row{f.name, f.help, f.kind, f.labels, true, func(t *table, mf *dto.MetricFamily, w *walk) {
			for i := range w.groups {
				t.addGroup(mf, &f, &w.groups[i], w.labels)
			}
		}, f.appendGroups})
	}
	for _, h := range exporterMetrics() {
		t.rows = append(t.rows, row{h.name, h.help, h.kind, h.labels, false, func(t *table, mf *dto.MetricFamily, w *walk) {
			if h.always || w.err == nil {
				h.collect(w, func(value float64, labels labelValues) { mf.Metric = append(mf.Metric, t.plain(&h, value, labels)) })
			}
		}, h.appendText})
	}
	slices.SortFunc(t.rows, func(a, b row) int { return strings.Compare(a.name, b.name) })
	return t
}

// build returns a family for every row, in order, also those without samples.
// Those are new at every call.
func (t *table) build(w *walk) []*dto.MetricFamily {
	out := make([]*dto.MetricFamily, 0, len(t.rows))
	t.cells = new(cells)
	for i := range t.rows {
		out = append(out, t.family(i, w, nil))
	}
	return out
}

// each builds one family after the other that has samples, in the same memory:
// what use is handed is gone when it returns. An error of it ends the whole.
func (t *table) each(w *walk, use func(*dto.MetricFamily) error) error {
	t.cells = t.reuse
	for i := range t.rows {
		t.reuse.next()
		mf := t.family(i, w, t.reuse.metrics)
		t.reuse.metrics = mf.Metric[:0]
		if len(mf.Metric) == 0 {
			continue
		}
		if err := use(mf); err != nil {
			return err
		}
	}
	return nil
}

func (t *table) family(i int, w *walk, metrics []*dto.Metric) *dto.MetricFamily {
	r := &t.rows[i]
	mf := newFamily(r.name, r.help, r.kind)
	mf.Metric = metrics
	r.fill(t, mf, w)
	return mf
}

// plain returns a sample that belongs to no group.
func (t *table) plain(h *exporterMetric, value float64, labels labelValues) *dto.Metric {
	m := t.cells.take(h.kind, value)
	for i := range h.labels {
		m.Label = append(m.Label, &dto.LabelPair{Name: &h.labels[i], Value: &labels[i]})
	}
	return m
}

func newFamily(name, help string, kind prometheus.ValueType) *dto.MetricFamily {
	metricType := dto.MetricType_GAUGE
	if kind == counter {
		metricType = dto.MetricType_COUNTER
	}
	return &dto.MetricFamily{Name: &name, Help: &help, Type: &metricType}
}

// addGroup adds the samples that a family has of one group.
func (t *table) addGroup(mf *dto.MetricFamily, f *family, g *grouping.Group, names []string) {
	f.samples(g, func(value float64, labels labelValues) {
		mf.Metric = append(mf.Metric, t.sample(f, g, names, value, labels))
	})
}

// sample returns a sample of a group with the labels that f has beside those of
// the group, of which names are the names.
func (t *table) sample(f *family, g *grouping.Group, names []string, value float64, labels labelValues) *dto.Metric {
	m := t.cells.take(f.kind, value)
	m.Label = append(m.Label, t.pair("groupname", g.Name))
	for i, value := range g.Labels {
		m.Label = append(m.Label, t.pair(names[i], value))
	}
	for i, name := range f.labels {
		m.Label = append(m.Label, t.pair(name, labels[i]))
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
