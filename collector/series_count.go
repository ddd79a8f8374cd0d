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
