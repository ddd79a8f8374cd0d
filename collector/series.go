package collector

import (
	"slices"

	dto "github.com/prometheus/client_model/go"

	"github.com/seed57308aee/process_exporter/grouping"
)

// SeriesByGroup returns the number of series of every group, by its [grouping.GroupKey].
func SeriesByGroup(families []*dto.MetricFamily) map[string]int {
	counts := make(map[string]int)
	for _, f := range families {
		for _, m := range f.Metric {
			name, own, ofGroup := "", []*dto.LabelPair(nil), false
			for _, l := range m.Label {
				switch {
				case l.GetName() == "groupname":
					name, ofGroup = l.GetValue(), true
				case !slices.Contains(grouping.ReservedLabels, l.GetName()):
					own = append(own, l) // in the order of their names, as all labels are
				}
			}
			values := make([]string, len(own))
			for i, l := range own {
				values[i] = l.GetValue()
			}
			if ofGroup {
				counts[grouping.GroupKey(name, values)]++
			}
		}
	}
	return counts
}
