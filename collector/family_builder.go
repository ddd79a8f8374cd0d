package collector

import (
	"cmp"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/seed57308aee/process_exporter/grouping"
)

// maxPairs limits the cache of label pairs: any user can choose thread names.
const maxPairs = 20_000

// A familyBuilder builds the metric families of updates. It is not safe for concurrent use.
type familyBuilder struct {
	rows []row // sorted by name

	pairs   map[pair]*dto.LabelPair // cache of immutable label pairs
	samples *arena                  // memory of the next samples
	shared  *arena                  // memory of families that are used one at a time
	lines   []byte                  // memory of text that is used one family at a time
}

// A row is a metric family of groups or of the exporter.
type row struct {
	name, help string
	kind       prometheus.ValueType // see histogram
	labels     []string
	grouped    bool // has the labels of groups in addition to labels
	fill       func(b *familyBuilder, mf *dto.MetricFamily, u *update)
	text       func(dst []byte, u *update, format TextFormat) []byte
}

// A pair is the key of a label pair.
type pair struct{ name, value string }

// newFamilyBuilder returns a familyBuilder of the families of groups, and of the metrics of
// the exporter that belong to the collectors in enabled.
func newFamilyBuilder(enabled grouping.CollectorSet) *familyBuilder {
	b := &familyBuilder{pairs: make(map[pair]*dto.LabelPair), shared: new(arena)}
	for _, f := range families() {
		b.rows = append(b.rows, row{f.name, f.help, f.kind, f.labels, true, func(b *familyBuilder, mf *dto.MetricFamily, u *update) {
			for i := range u.groups {
				b.addGroup(mf, &f, &u.groups[i], u)
			}
		}, f.appendGroups})
	}
	for _, m := range exporterMetrics() {
		if !enabled.Has(m.collector) {
			continue
		}
		b.rows = append(b.rows, row{m.name, m.help, m.kind, m.labels, false, func(b *familyBuilder, mf *dto.MetricFamily, u *update) {
			if m.isExported(u) {
				m.collect(u, func(value float64, labels labelValues, _ int64) {
					mf.Metric = append(mf.Metric, b.exporterSample(&m, u, value, labels))
				})
			}
		}, m.appendText})
	}
	slices.SortFunc(b.rows, func(x, y row) int { return strings.Compare(x.name, y.name) })
	return b
}

// build returns a family for every row, in the order of rows, including families
// without samples. Histograms have none. The families are in new memory.
func (b *familyBuilder) build(u *update) []*dto.MetricFamily {
	out := make([]*dto.MetricFamily, 0, len(b.rows))
	b.samples = new(arena)
	for i := range b.rows {
		if b.rows[i].kind == histogram { // the formats of text have no native histograms
			out = append(out, newFamily(b.rows[i].name, b.rows[i].help, histogram))
			continue
		}
		out = append(out, b.family(i, u, nil))
	}
	return out
}

// each calls use with every family that has samples. All families use the same
// memory. It stops at the first error of use.
func (b *familyBuilder) each(u *update, use func(*dto.MetricFamily) error) error {
	b.samples = b.shared
	for i := range b.rows {
		b.shared.reset()
		mf := b.family(i, u, b.shared.metrics)
		b.shared.metrics = mf.Metric[:0]
		if len(mf.Metric) == 0 {
			continue
		}
		if err := use(mf); err != nil {
			return err
		}
	}
	return nil
}

// family builds the family of row i and appends its samples to metrics.
func (b *familyBuilder) family(i int, u *update, metrics []*dto.Metric) *dto.MetricFamily {
	r := &b.rows[i]
	mf := newFamily(r.name, r.help, r.kind)
	mf.Metric = metrics
	r.fill(b, mf, u)
	return mf
}

// exporterSample returns a sample of a metric of the exporter.
func (b *familyBuilder) exporterSample(e *exporterMetric, u *update, value float64, labels labelValues) *dto.Metric {
	m := b.samples.newSample(e.kind, value, u.countersStart)
	for i := range e.labels {
		m.Label = append(m.Label, &dto.LabelPair{Name: &e.labels[i], Value: &labels[i]})
	}
	return m
}

func newFamily(name, help string, kind prometheus.ValueType) *dto.MetricFamily {
	metricType := dto.MetricType_GAUGE
	switch kind {
	case counter:
		metricType = dto.MetricType_COUNTER
	case histogram:
		metricType = dto.MetricType_HISTOGRAM
	}
	return &dto.MetricFamily{Name: &name, Help: &help, Type: &metricType}
}

// addGroup adds the samples of one group to mf.
func (b *familyBuilder) addGroup(mf *dto.MetricFamily, f *family, g *grouping.Group, u *update) {
	if f.kind == histogram {
		if (g.Collectors &^ u.excluded).Has(f.collector) {
			b.addHistogram(mf, f, g, u)
		}
		return
	}
	f.samples(g, u, func(value float64, labels labelValues, since int64) {
		m := b.samples.newSample(f.kind, value, cmp.Or(since, g.CountersStart))
		b.addLabels(m, f, g, u.labels, labels)
		mf.Metric = append(mf.Metric, m)
	})
}

// addLabels adds the labels of a group and those of f to m, sorted by name.
func (b *familyBuilder) addLabels(m *dto.Metric, f *family, g *grouping.Group, labelNames []string, labels labelValues) {
	m.Label = append(m.Label, b.pair("groupname", g.Name))
	for i, value := range g.Labels {
		m.Label = append(m.Label, b.pair(labelNames[i], value))
	}
	for i, name := range f.labels {
		m.Label = append(m.Label, b.pair(name, labels[i]))
	}
	slices.SortFunc(m.Label, func(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) })
}

// pair returns the cached label pair.
func (b *familyBuilder) pair(name, value string) *dto.LabelPair {
	key := pair{name, value}
	if p := b.pairs[key]; p != nil {
		return p
	}
	if len(b.pairs) >= maxPairs {
		clear(b.pairs)
	}
	p := &dto.LabelPair{Name: &key.name, Value: &key.value}
	b.pairs[key] = p
	return p
}
