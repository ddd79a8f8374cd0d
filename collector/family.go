package collector

import (
	"cmp"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
)

// A family describes one metric family of groups. Describe, Collect, the text
// format and docs/metrics.md all use the same table of families.
type family struct {
	name      string
	collector grouping.CollectorSet // one
	kind      prometheus.ValueType
	labels    []string // in addition to groupname and the labels of rules
	help      string   // one phrase with the unit and the kernel interface
	note      string   // requirements and exceptions, for docs/metrics.md only

	series     []series                                  // series with fixed label values
	collect    func(*grouping.Group, emit)               // series with label values of the group's processes
	histogram  func(*grouping.Group) *grouping.Histogram // of kind histogram; nil if it is unknown
	threadName bool                                      // one series per thread name
}

// A series is one value of a family.
type series struct {
	label     string // value of the label in addition to groupname, "" for none
	needs     platform.Fields
	collector grouping.CollectorSet // 0 for that of the family
	value     func(*grouping.Group) float64
}

// emit receives one value and its label values, without the labels of the group. A counter
// counts from since, in milliseconds since the Unix epoch; 0 is the start of the counters
// of the group, or of the exporter.
type emit func(value float64, labels labelValues, since int64)

// labelValues are the values of family.labels. An array needs no allocation;
// one scrape passes thousands of them.
type labelValues [2]string

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

// namespace is the prefix of the metrics of groups.
const namespace = "namedprocess_namegroup_"

// isKnown reports whether the fields of s were read for g: at least once for a counter, and
// in the last update for a gauge.
func (s *series) isKnown(g *grouping.Group, kind prometheus.ValueType) bool {
	if kind == counter {
		return g.CounterFields&s.needs == s.needs
	}
	return g.GaugeFields&s.needs == s.needs
}

// samples calls put with every sample of f for one group, without those of the collectors
// that the rules of the group or the update u exclude.
func (f *family) samples(g *grouping.Group, u *update, put emit) {
	enabled := g.Collectors &^ u.excluded
	if f.collect != nil && enabled.Has(f.collector) {
		f.collect(g, put)
	}
	for i := range f.series {
		s := &f.series[i]
		switch {
		case !enabled.Has(cmp.Or(s.collector, f.collector)), !s.isKnown(g, f.kind):
		case s.label == "":
			put(s.value(g), labelValues{}, 0)
		default:
			put(s.value(g), labelValues{s.label}, 0)
		}
	}
}

// seconds converts nanoseconds.
func seconds(nanos uint64) float64 { return float64(nanos) / 1e9 }

// indicator returns 1 if all conditions are true, else 0.
func indicator(conditions ...bool) float64 {
	if slices.Contains(conditions, false) {
		return 0
	}
	return 1
}

// gaugeFamily returns a family with one gauge per group.
func gaugeFamily(name string, needs platform.Fields, help string, value func(*grouping.Group) float64) family {
	return family{name: namespace + name, kind: gauge, help: help, series: []series{{needs: needs, value: value}}}
}

// counterFamily returns a family with one counter per group.
func counterFamily(name string, needs platform.Fields, help string, value func(*grouping.Group) float64) family {
	return family{name: namespace + name, kind: counter, help: help, series: []series{{needs: needs, value: value}}}
}

// in returns f as a family of a collector.
func (f family) in(c grouping.CollectorSet) family {
	f.collector = c
	return f
}

// withNote returns f with a note for docs/metrics.md.
func (f family) withNote(note string) family {
	f.note = note
	return f
}

// families returns the table of all metric families of groups.
func families() []family {
	all := usageFamilies()
	all = append(all, descriptorAndThreadFamilies()...)
	all = append(all, memoryFamilies()...)
	all = append(all, statesFamily(), wchanFamily())
	all = append(all, threadFamilies()...)
	all = append(all, waitFamilies()...)
	all = append(all, lifecycleFamilies()...)
	all = append(all, expectationFamilies()...)
	all = append(all, groupChangesFamily())
	all = append(all, topFamilies()...)
	all = append(all, groupNetworkFamilies()...)
	return append(all, unreadableFamily())
}
