package collector

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/test/procfstree"
)

// uptime is the uptime of the machine in clock ticks at the first walk of a fixture.
const uptime = 100_000

// A fixture is a directory in the format of /proc and a Collector that reads it.
type fixture struct {
	*procfstree.Tree
	t   *testing.T
	c   *Collector
	reg *prometheus.Registry
}

// A setup is the configuration of a fixture.
type setup struct {
	config   string           // rules, without the key process_names
	matcher  grouping.Matcher // replaces config
	opts     grouping.Options
	disabled grouping.CollectorSet
}

// withChildren has the default of the flag --children.
var withChildren = grouping.Options{Children: true}

// newFixture returns a fixture after its first walk over ps.
func newFixture(t *testing.T, s setup, ps ...procfstree.Process) *fixture {
	t.Helper()
	tree := procfstree.New(t, uptime)
	tree.Set(ps...)
	if s.matcher == nil {
		cfg, err := grouping.Parse("test.yaml", []byte("process_names:\n"+s.config))
		if err != nil {
			t.Fatal(err)
		}
		s.matcher = cfg
	}
	src, err := platform.Open(platform.Options{Root: tree.Root})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = src.Close() })
	s.opts.Collectors = grouping.AllCollectors &^ s.disabled
	c := New(Options{
		Tracker: grouping.NewTracker(src, s.matcher, s.opts),
		Logger:  slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	f := &fixture{Tree: tree, t: t, c: c, reg: prometheus.NewPedanticRegistry()}
	f.reg.MustRegister(c)
	if len(ps) > 0 {
		f.scrape()
	}
	return f
}

// scrape returns the value of every series by name and labels, such as
// `num_procs{groupname="a"}`, without the common prefix of groups.
func (f *fixture) scrape() map[string]float64 {
	f.t.Helper()
	fams, err := f.reg.Gather()
	if err != nil {
		f.t.Fatal(err)
	}
	return flatten(fams)
}

// flatten returns the value of every series, as scrape does.
func flatten(fams []*dto.MetricFamily) map[string]float64 {
	out := make(map[string]float64)
	for _, f := range fams {
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			key := strings.TrimPrefix(f.GetName(), namespace)
			if len(labels) > 0 {
				key += "{" + strings.Join(labels, ",") + "}"
			}
			out[key] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return out
}

// want compares some series. The value absent means that the series does not exist.
func (f *fixture) want(got map[string]float64, want map[string]float64) {
	f.t.Helper()
	for _, key := range slices.Sorted(maps.Keys(want)) {
		v, ok := got[key]
		switch {
		case want[key] == absent && ok:
			f.t.Errorf("got %s %v, want no series", key, v)
		case want[key] != absent && !ok:
			f.t.Errorf("got no %s, want %v; have %v", key, want[key], slices.Sorted(maps.Keys(got)))
		case want[key] != absent && v != want[key]:
			f.t.Errorf("got %s %v, want %v", key, v, want[key])
		}
	}
}

// absent is the wanted value of a series that must not exist.
const absent = -1e300

// procs returns the number of processes of every group.
func (f *fixture) procs() map[string]float64 {
	f.t.Helper()
	out := make(map[string]float64)
	for key, v := range f.scrape() {
		if name, ok := strings.CutPrefix(key, `num_procs{groupname="`); ok {
			out[strings.TrimSuffix(name, `"}`)] = v
		}
	}
	return out
}

// seriesG returns the key of a series of group g.
func seriesG(metric string, labels ...string) string {
	all := []string{`groupname="g"`}
	for i := 0; i+1 < len(labels); i += 2 {
		all = append(all, fmt.Sprintf("%s=%q", labels[i], labels[i+1]))
	}
	slices.Sort(all)
	return metric + "{" + strings.Join(all, ",") + "}"
}
