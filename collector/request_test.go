package collector

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/test/procfstree"
)

func TestRequestedCollectors(t *testing.T) {
	const enabled = grouping.AllCollectors &^ grouping.CollectorSmaps
	tests := []struct {
		query string
		want  grouping.CollectorSet
		err   string
	}{
		{"", grouping.AllCollectors, ""},
		{"x=1", grouping.AllCollectors, ""},
		{"collect[]=cpu", grouping.CollectorCPU, ""},
		{"collect[]=io&collect[]=cpu&collect[]=io", grouping.CollectorCPU | grouping.CollectorIO, ""},
		{"exclude[]=cpu", grouping.AllCollectors &^ grouping.CollectorCPU, ""},
		{"exclude[]=smaps", grouping.AllCollectors &^ grouping.CollectorSmaps, ""},
		{"collect[]=smaps", 0, "disabled collector smaps"},
		{"collect[]=disk", 0, `unknown collector "disk"; the collectors are cpu,`},
		{"exclude[]=disk", 0, `unknown collector "disk"; the collectors are cpu,`},
		{"collect[]=cpu&exclude[]=io", 0, "exclude each other"},
		{"collect=cpu", 0, "unknown parameter collect; did you mean collect[]?"},
		{"exclude=cpu&collect[]=io", 0, "unknown parameter exclude; did you mean exclude[]?"},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			query, err := url.ParseQuery(tt.query)
			if err != nil {
				t.Fatal(err)
			}
			got, err := RequestedCollectors(query, enabled)
			if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %v, error %v, want %v and %q", got.Names(), err, tt.want.Names(), tt.err)
			}
		})
	}
}

// TestVariants checks which requests share a response.
func TestVariants(t *testing.T) {
	variant := func(query string) string {
		return VariantOf(httptest.NewRequest(http.MethodGet, "/metrics?"+query, nil))
	}
	if variant("x=1") != variant("") {
		t.Error("got another variant with a parameter that is ignored")
	}
	if variant("collect[]=cpu&collect[]=io") != variant("collect[]=io&collect[]=cpu&y=2") {
		t.Error("got two variants of one set of collectors")
	}
	if variant("collect[]=cpu") == variant("") || variant("collect[]=cpu") == variant("collect[]=io") {
		t.Error("got one variant of different sets of collectors")
	}
}

// seriesOfCollectors returns the series of a scrape of some collectors, from its families and from its
// text, which must be equal.
func seriesOfCollectors(t *testing.T, c *Collector, only grouping.CollectorSet) map[string]float64 {
	t.Helper()
	var families []*dto.MetricFamily
	u := c.join(context.Background()).limitedTo(only)
	err := c.builder.each(u, func(mf *dto.MetricFamily) error {
		if mf.GetType() == dto.MetricType_HISTOGRAM { // only protobuf has them
			return nil
		}
		families = append(families, &dto.MetricFamily{Name: mf.Name, Help: mf.Help, Type: mf.Type, Metric: copyMetrics(mf.Metric)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := ourText(t, c, u), familyText(t, c, u); got != want {
		t.Errorf("got the text\n%s\nwant\n%s", got, want)
	}
	return flatten(families)
}

// copyMetrics returns samples that do not use the memory of the builder.
func copyMetrics(metrics []*dto.Metric) (out []*dto.Metric) {
	for _, m := range metrics {
		own := &dto.Metric{}
		for _, l := range m.Label {
			name, value := l.GetName(), l.GetValue()
			own.Label = append(own.Label, &dto.LabelPair{Name: &name, Value: &value})
		}
		value := m.GetGauge().GetValue() + m.GetCounter().GetValue()
		own.Gauge = &dto.Gauge{Value: &value}
		out = append(out, own)
	}
	return out
}

// TestScrapesOfSomeCollectors checks that the scrapes of the single collectors have every
// series of a complete scrape once, and that counters of a collector include the usage
// between scrapes of others.
func TestScrapesOfSomeCollectors(t *testing.T) {
	p := procfstree.Process{PID: 7, Comm: "g", Start: 5, UTime: 100, ReadBytes: 1000, Voluntary: 3, FDs: 2, RSS: 10,
		MainThread: procfstree.Thread{WChan: "do_poll"}, Threads: []procfstree.Thread{{TID: 8, Comm: "more", Start: 6, WChan: "do_poll"}}}
	opts := withChildren
	opts.Sockets = new(fixedReader)
	f := newFixture(t, setup{config: "- {name: g, comm: [g], top: 1, expect: {min: 1}}", opts: opts}, p)
	f.scrape()
	p.UTime, p.ReadBytes = p.UTime+100, p.ReadBytes+500
	f.Set(p)
	seriesOfCollectors(t, f.c, grouping.CollectorCPU)
	p.UTime, p.ReadBytes = p.UTime+100, p.ReadBytes+500
	f.Set(p)
	all := seriesOfCollectors(t, f.c, grouping.AllCollectors)
	f.want(all, map[string]float64{seriesG("cpu_seconds_total", "mode", "user"): 2, seriesG("read_bytes_total"): 1000})
	seen := make(map[string]string)
	families, err := f.c.Gatherer(context.Background()).Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := SeriesByCollector(families)
	for i, info := range grouping.CollectorTable {
		got := seriesOfCollectors(t, f.c, 1<<i)
		if counts[info.Name] != len(got) {
			t.Errorf("got a count of %d series of the collector %s, want %d", counts[info.Name], info.Name, len(got))
		}
		if len(got) == 0 && info.Name != "exits" { // only with the source bpf
			t.Errorf("got no series of the collector %s", info.Name)
		}
		for key := range got {
			if seen[key] != "" {
				t.Errorf("got %s of the collectors %s and %s", key, seen[key], info.Name)
			}
			if seen[key] = info.Name; !hasKey(all, key) {
				t.Errorf("got %s of the collector %s, which the complete scrape lacks", key, info.Name)
			}
		}
	}
	if len(seen) != len(all) {
		t.Errorf("got %d series of the single collectors, want %d", len(seen), len(all))
	}
}

func hasKey(m map[string]float64, key string) bool {
	_, ok := m[key]
	return ok
}

// TestScrapesOfSomeCollectorsShareWalks makes concurrent scrapes of different collectors
// during one walk.
func TestScrapesOfSomeCollectorsShareWalks(t *testing.T) {
	var walks atomic.Int32
	entered, release := make(chan struct{}, 1), make(chan struct{})
	src := &fakeSource{size: 1, onWalk: func(*platform.Snapshot) {
		walks.Add(1)
		entered <- struct{}{}
		<-release
	}}
	tracker := grouping.NewTracker(src, rules(t, groupG), grouping.Options{Collectors: grouping.AllCollectors})
	c := New(Options{Tracker: tracker, Logger: slog.New(slog.DiscardHandler)})
	var scrapes sync.WaitGroup
	scrape := func(only grouping.CollectorSet, want string) {
		scrapes.Go(func() {
			found := false
			err := c.EachText(context.Background(), only, PlainText, func(name string, _ []byte) error {
				found = found || name == namespace+want
				return nil
			})
			if err != nil || !found {
				t.Errorf("got no %s in a scrape of %v, error %v", want, only.Names(), err)
			}
		})
	}
	scrape(grouping.CollectorCPU, "cpu_seconds_total")
	<-entered
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // these scrapes join the walk, and do not wait for it
	for _, only := range []grouping.CollectorSet{grouping.CollectorMemory, grouping.AllCollectors} {
		if err := c.EachText(ctx, only, PlainText, func(string, []byte) error { return nil }); err != nil {
			t.Error(err)
		}
	}
	close(release)
	scrapes.Wait()
	if n := walks.Load(); n != 1 {
		t.Errorf("got %d walks, want 1", n)
	}
}
