package collector

import (
	"slices"

	dto "github.com/prometheus/client_model/go"

	"github.com/seed57308aee/process_exporter/grouping"
)

// SeriesByGroup returns the number of series of every group by its
// [grouping.GroupKey].
func SeriesByGroup(families []*dto.MetricFamily) map[string]int {
	counts := make(map[string]int)
	for _, f := range families {
		for _, m := range f.Metric {
			if key, ok := groupKeyOf(m); ok {
				counts[key]++
			}
		}
	}
	return counts
}

// groupKeyOf returns the key of the group of m, or false if m is not a series of a
// group. Labels are sorted by name, as the labels of a group are.
func groupKeyOf(m *dto.Metric) (string, bool) {
	name, ok := "", false
	var values []string
	for _, l := range m.Label {
		switch {
		case l.GetName() == "groupname":
			name, ok = l.GetValue(), true
		case !slices.Contains(grouping.ReservedLabels, l.GetName()):
			values = append(values, l.GetValue())
		}
	}
	if !ok {
		return "", false
	}
	return grouping.GroupKey(name, values), true
}

// SeriesByCollector returns the number of series of every collector by its name.
func SeriesByCollector(all []*dto.MetricFamily) map[string]int {
	ofGroups, ofExporter := make(map[string]*family), make(map[string]grouping.CollectorSet)
	for _, f := range families() {
		ofGroups[f.name] = &f
	}
	for _, m := range exporterMetrics() {
		ofExporter[m.name] = m.collector
	}
	counts := make(map[string]int)
	for _, mf := range all {
		for _, m := range mf.Metric {
			collector := ofExporter[mf.GetName()]
			if f := ofGroups[mf.GetName()]; f != nil {
				collector = f.collectorOf(m)
			}
			for _, name := range collector.Names() {
				counts[name]++
			}
		}
	}
	return counts
}

// collectorOf returns the collector of one sample of f.
func (f *family) collectorOf(m *dto.Metric) grouping.CollectorSet {
	for _, s := range f.series {
		for _, l := range m.Label {
			if s.collector != 0 && l.GetName() == f.labels[0] && l.GetValue() == s.label {
				return s.collector
			}
		}
	}
	return f.collector
}
