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
	"github.com/seed57308aee/process_exporter/testdata/proctree"
)

// uptime is for how long the machine of every world is up at the first walk.
const uptime = 100_000

// A world is a copy of /proc under test and a whole exporter that reads it,
// but for the HTTP server.
type world struct {
	*proctree.Tree
	t   *testing.T
	c   *Collector
	reg *prometheus.Registry
}

// A setup says how the exporter of a world is configured.
type setup struct {
	config    string // what follows process_names:, or all of it
	mapper    grouping.Matcher
	opts      grouping.Options
	noThreads bool
	noSmaps   bool
}

// children is the default of the flag of that name.
var children = grouping.Options{Children: true}

// newWorld returns an exporter that has made its first walk over ps.
func newWorld(t *testing.T, s setup, ps ...proctree.Process) *world {
	t.Helper()
	tree := proctree.New(t, uptime)
	tree.Set(ps...)
	if s.mapper == nil {
		cfg, err := grouping.Parse("test.yaml", []byte("process_names:\n"+s.config))
		if err != nil {
			t.Fatal(err)
		}
		s.mapper = cfg
	}
	src, err := platform.Open(platform.Options{Root: tree.Root})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = src.Close() })
	s.opts.Fields = Fields(!s.noThreads, !s.noSmaps)
	c := New(Options{
		Tracker: grouping.NewTracker(src, s.mapper, s.opts),
		Logger:  slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	w := &world{Tree: tree, t: t, c: c, reg: prometheus.NewPedanticRegistry()}
	w.reg.MustRegister(c)
	if len(ps) > 0 {
		w.scrape()
	}
	return w
}

// scrape returns every series by name and labels, such as
// `num_procs{groupname="a"}`; the prefix that all groups share is left off.
func (w *world) scrape() map[string]float64 {
	w.t.Helper()
	fams, err := w.reg.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	return flatten(fams)
}

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

// want compares some series; the value absent says that a series is not there.
func (w *world) want(got map[string]float64, want map[string]float64) {
	w.t.Helper()
	for _, key := range slices.Sorted(maps.Keys(want)) {
		v, ok := got[key]
		switch {
		case want[key] == absent && ok:
			w.t.Errorf("got %s %v, want no such series", key, v)
		case want[key] != absent && !ok:
			w.t.Errorf("got no %s, want %v; have %v", key, want[key], slices.Sorted(maps.Keys(got)))
		case want[key] != absent && v != want[key]:
			w.t.Errorf("got %s %v, want %v", key, v, want[key])
		}
	}
}

// absent stands for a series that must not be there.
const absent = -1e300

// procs returns how many processes every group has.
func (w *world) procs() map[string]float64 {
	w.t.Helper()
	out := make(map[string]float64)
	for key, v := range w.scrape() {
		if name, ok := strings.CutPrefix(key, `num_procs{groupname="`); ok {
			out[strings.TrimSuffix(name, `"}`)] = v
		}
	}
	return out
}

// in builds the key of a series of group "g".
func in(metric string, labels ...string) string {
	all := []string{`groupname="g"`}
	for i := 0; i+1 < len(labels); i += 2 {
		all = append(all, fmt.Sprintf("%s=%q", labels[i], labels[i+1]))
	}
	slices.Sort(all)
	return metric + "{" + strings.Join(all, ",") + "}"
}
