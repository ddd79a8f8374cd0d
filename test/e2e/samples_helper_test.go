package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// A sampleSet holds the values of a scrape by metric name and sorted labels.
type sampleSet map[string]float64

func parseMetrics(t *testing.T, text string) (sampleSet, map[string]dto.MetricType) {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	values, types := make(sampleSet), make(map[string]dto.MetricType)
	for name, f := range families {
		types[name] = f.GetType()
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			slices.Sort(labels)
			values[name+"{"+strings.Join(labels, ",")+"}"] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return values, types
}

// value returns the sample of a family without labels. The test fails if it is missing.
func (s sampleSet) value(t *testing.T, name string) float64 {
	t.Helper()
	v, ok := s[name+"{}"]
	if !ok {
		t.Fatalf("got no %s", name)
	}
	return v
}

// seriesOfGroups returns the series of the groups whose name starts with prefix.
func (s sampleSet) seriesOfGroups(prefix string) sampleSet {
	out := make(sampleSet)
	for key, v := range s {
		if strings.Contains(key, `groupname="`+prefix) {
			out[strings.TrimPrefix(key, "namedprocess_namegroup_")] = v
		}
	}
	return out
}

// cpu returns the CPU seconds of a group.
func (s sampleSet) cpu(group string) float64 {
	return s[`cpu_seconds_total{groupname="`+group+`",mode="user"}`] + s[`cpu_seconds_total{groupname="`+group+`",mode="system"}`]
}

// cpuSeconds returns the user and system CPU time of a group.
func (s sampleSet) cpuSeconds(group string) float64 {
	return s[fmt.Sprintf(`namedprocess_namegroup_cpu_seconds_total{groupname=%q,mode="user"}`, group)] +
		s[fmt.Sprintf(`namedprocess_namegroup_cpu_seconds_total{groupname=%q,mode="system"}`, group)]
}

// sumOf adds up a metric over the groups whose name starts with prefix.
func (s sampleSet) sumOf(metric, prefix string) (sum float64) {
	for key, v := range s {
		if strings.HasPrefix(key, "namedprocess_namegroup_"+metric+"{") && strings.Contains(key, `groupname="`+prefix) {
			sum += v
		}
	}
	return sum
}

// update parses a response, checks that no counter of the exporter decreased, and stores the counters.
func (last sampleSet) update(t *testing.T, text string) sampleSet {
	t.Helper()
	series, kinds := parseMetrics(t, text)
	for key, value := range series {
		name, _, _ := strings.Cut(key, "{")
		if !strings.HasPrefix(name, "namedprocess_") || kinds[name] != dto.MetricType_COUNTER {
			continue
		}
		if value < last[key] {
			t.Errorf("%s decreased from %v to %v", key, last[key], value)
		}
		last[key] = value
	}
	return series
}
