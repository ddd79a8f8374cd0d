package collector

import (
	"bytes"
	"context"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/platform/sockets"
	"github.com/seed57308aee/process_exporter/test/procfstree"
)

// clientText returns families in the text format of the client library.
func clientText(t testing.TB, families []*dto.MetricFamily) string {
	t.Helper()
	var out bytes.Buffer
	for _, f := range families {
		if len(f.Metric) == 0 {
			continue
		}
		if _, err := expfmt.MetricFamilyToText(&out, f); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

// ourText returns the text of eachText.
func ourText(t *testing.T, c *Collector, u *update) (out string) {
	t.Helper()
	err := c.builder.eachText(u, PlainText, func(_ string, lines []byte) error {
		out += string(lines)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// familyText returns the families of each in the text format of the client library.
func familyText(t *testing.T, c *Collector, u *update) (out string) {
	t.Helper()
	err := c.builder.each(u, func(mf *dto.MetricFamily) error {
		if mf.GetType() != dto.MetricType_HISTOGRAM { // only protobuf has them
			out += clientText(t, []*dto.MetricFamily{mf})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestText compares the text with the text that the client library writes for the
// same families.
func TestText(t *testing.T) {
	special := "a \"b\" \\ c\nd\xff"
	f := newFixture(t, setup{config: "- comm: [a]\n- comm: [b]\n"},
		procfstree.Process{PID: 7, Comm: "a", Threads: []procfstree.Thread{{TID: 8, Comm: "t"}}},
		procfstree.Process{PID: 9, Comm: "b"})
	c := f.c
	walk := c.join(context.Background())
	walk.matchCounts.Rules[0].Rule = &grouping.Rule{Template: special}
	check := func(what string) {
		t.Helper()
		want := clientText(t, c.builder.build(walk))
		for function, got := range map[string]string{"eachText": ourText(t, c, walk), "each": familyText(t, c, walk)} {
			if got != want || got == "" {
				t.Errorf("%s, %s: got\n%s\nwant\n%s", what, function, got, want)
			}
		}
	}
	check("one walk")
	usage := grouping.Counters{UserNanos: 1, SystemNanos: 1 << 62, ReadBytes: 1_000_000, WriteBytes: math.MaxUint64}
	walk.groups = []grouping.Group{{
		Collectors: grouping.AllCollectors,
		Name:       special, ExitsKnown: true, GaugeFields: math.MaxUint16, CounterFields: math.MaxUint16, Procs: 999_999, Counters: usage,
		WorstFDRatio: 1. / 3, SmapsAge: math.NaN(), OldestStart: 1_700_000_000,
		Threads:    []grouping.ThreadTotals{{Name: special, Counters: usage, CounterFields: math.MaxUint16}},
		WChans:     []grouping.WChanCount{{Name: special, Count: 3}},
		Exits:      []grouping.ExitCount{{Reason: "killed", Code: "SIGKILL", Count: 2, Matched: 1}},
		Unreadable: []grouping.UnreadableField{{Field: platform.FieldIO, Procs: 1}},
		Sockets:    someSockets(),
	}}
	walk.sockets = grouping.SocketStatus{
		Kind: platform.SourceBPF, HasTraffic: true, Unattributed: sockets.Traffic{SentBytes: 1 << 50}, LostSockets: 1,
	}
	check("special values and characters")
	walk.labels, walk.groups[0].Labels = []string{"aa", "zz"}, []string{"", special}
	walk.groups[0].Expect = &grouping.Expect{Min: 1, Max: 2}
	walk.groups[0].TopCPU = []grouping.TopProcess{{PID: 7, Comm: special, Value: 0.5}}
	check("labels of rules")
	walk.groups = nil
	check("no groups")
	walk.err = context.Canceled
	check("failed walk")
}

// openMetricsText returns families in the format OpenMetrics of the client library.
func openMetricsText(t *testing.T, families []*dto.MetricFamily, options ...expfmt.EncoderOption) string {
	t.Helper()
	var out bytes.Buffer
	for _, f := range families {
		if len(f.Metric) == 0 {
			continue
		}
		if _, err := expfmt.MetricFamilyToOpenMetrics(&out, f, options...); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

// sameOpenMetrics reports the first line in which two texts differ in something else than
// the format of a number.
func sameOpenMetrics(t *testing.T, got, want string) {
	t.Helper()
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(gotLines), len(wantLines)) {
		if i >= len(gotLines) || i >= len(wantLines) {
			t.Fatalf("got %d lines, want %d", len(gotLines), len(wantLines))
		}
		g, w := gotLines[i], wantLines[i]
		gotValue, gotErr := strconv.ParseFloat(g[strings.LastIndexByte(g, ' ')+1:], 64)
		wantValue, wantErr := strconv.ParseFloat(w[strings.LastIndexByte(w, ' ')+1:], 64)
		same := gotErr == nil && wantErr == nil && (gotValue == wantValue || math.IsNaN(gotValue) && math.IsNaN(wantValue) ||
			math.Abs(gotValue/wantValue-1) < 1e-12) // the client library adds the nanoseconds of a start time as a float
		if same {
			g, w = g[:strings.LastIndexByte(g, ' ')], w[:strings.LastIndexByte(w, ' ')]
		}
		if g != w {
			t.Fatalf("line %d: got\n%s\nwant\n%s", i, g, w)
		}
	}
}

// TestOpenMetricsText compares the text with the text that the client library writes for
// the same families.
func TestOpenMetricsText(t *testing.T) {
	special := "a \"b\" \\ c\nd"
	f := newFixture(t, setup{config: "- comm: [a]\n"}, procfstree.Process{PID: 7, Comm: "a"})
	c := f.c
	walk := c.join(context.Background())
	usage := grouping.Counters{UserNanos: 1, SystemNanos: 1 << 62, ReadBytes: 1_000_000, WriteBytes: math.MaxUint64}
	walk.labels = []string{"aa", "zz"}
	walk.groups = []grouping.Group{{
		Collectors: grouping.AllCollectors,
		Name:       special, Labels: []string{"", special}, ExitsKnown: true, GaugeFields: math.MaxUint16, CounterFields: math.MaxUint16,
		Procs: 999_999, Counters: usage, CountersStart: 1_700_000_000_007, WorstFDRatio: 1. / 3, SmapsAge: math.NaN(), OldestStart: 1_700_000_000,
		Threads: []grouping.ThreadTotals{{Name: special, Counters: usage, CounterFields: math.MaxUint16, CountersStart: 1_700_000_001_070}},
		WChans:  []grouping.WChanCount{{Name: special, Count: 3}},
		Exits: []grouping.ExitCount{{
			Reason: "killed", Code: "SIGKILL", Count: 2, Matched: 1, CountStart: 1_700_000_002_700, MatchedStart: 1_700_000_003_000,
		}},
		Sockets: someSockets(),
	}, {
		Collectors: grouping.AllCollectors,
		Name:       "no start", Labels: []string{"", ""}, GaugeFields: math.MaxUint16, CounterFields: math.MaxUint16, Procs: 1,
	}}
	text := func(format TextFormat) (out string) {
		if err := c.builder.eachText(walk, format, func(_ string, lines []byte) error { out += string(lines); return nil }); err != nil {
			t.Fatal(err)
		}
		return out
	}
	sameOpenMetrics(t, text(OpenMetrics), openMetricsText(t, c.builder.build(walk)))
	created := text(OpenMetricsCreated)
	// The client library also writes the lines for metrics of type unknown, which cannot have them.
	invalid := regexp.MustCompile(`(?m)^namedprocess_scrape_\w+_created .*\n`)
	want := invalid.ReplaceAllString(openMetricsText(t, c.builder.build(walk), expfmt.WithCreatedLines()), "")
	sameOpenMetrics(t, created, want)
	quoted := `"a \"b\" \\ c\nd"`
	for _, line := range []string{
		`namedprocess_namegroup_cpu_seconds_created{aa="",groupname=Q,mode="user",zz=Q} 1700000000.007`,
		`namedprocess_namegroup_thread_major_page_faults_created{aa="",groupname=Q,threadname=Q,zz=Q} 1700000001.070`,
		`namedprocess_namegroup_tcp_sent_bytes_created{aa="",groupname=Q,zz=Q} 1700000000.007`,
		`namedprocess_namegroup_tcp_connection_failures_created{aa="",groupname=Q,reason="reset",zz=Q} 1700000000.007`,
		`namedprocess_namegroup_exits_created{aa="",code="SIGKILL",groupname=Q,reason="killed",zz=Q} 1700000002.700`,
		`namedprocess_namegroup_matched_exits_created{aa="",code="SIGKILL",groupname=Q,reason="killed",zz=Q} 1700000003.000`,
	} {
		line = strings.ReplaceAll(line, "=Q", "="+quoted)
		if !strings.Contains(created, line+"\n") {
			t.Errorf("got no line %s in\n%s", line, created)
		}
	}
	if strings.Contains(created, `created{aa="",groupname="no start"`) {
		t.Error("got a start time of a group without one")
	}
}

// TestOpenMetricsNames checks that the name of a counter without the suffix _total is not
// the name of another family.
func TestOpenMetricsNames(t *testing.T) {
	seen := make(map[string]string)
	for _, r := range newFamilyBuilder(grouping.AllCollectors).rows {
		name := r.name
		if r.kind == counter {
			name = strings.TrimSuffix(name, totalSuffix)
		}
		if other := seen[name]; other != "" {
			t.Errorf("%s and %s have the same name in OpenMetrics", r.name, other)
		}
		seen[name] = r.name
	}
}

// TestTextValues compares the text of numbers with the text that the client library
// writes.
func TestTextValues(t *testing.T) {
	values := []float64{
		0, 1, 0.1, 1e-9, 999_999, 999_999.5, 1e6, 123_456_789, 1 << 53, 1e21, -1, -17.5,
		math.MaxFloat64, math.Inf(1), math.Inf(-1), math.NaN(),
	}
	for _, v := range values {
		name, kind := "x", dto.MetricType_GAUGE
		got := string(appendValue([]byte("# TYPE x gauge\nx"), v))
		want := clientText(t, []*dto.MetricFamily{{Name: &name, Type: &kind, Metric: []*dto.Metric{{Gauge: &dto.Gauge{Value: &v}}}}})
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestTextAllocations checks that allocations increase with the number of families
// only, not with groups or threads.
func TestTextAllocations(t *testing.T) {
	f := newFixture(t, setup{config: "- comm: [a]\n"}, procfstree.Process{PID: 7, Comm: "a"})
	walk := f.c.join(context.Background())
	text := func(groups int) float64 {
		walk.groups = nil
		for i := range groups {
			walk.groups = append(walk.groups, grouping.Group{
				Collectors: grouping.AllCollectors,
				Name:       strconv.Itoa(i), ExitsKnown: true, GaugeFields: math.MaxUint16, CounterFields: math.MaxUint16, Procs: 1,
				Threads: []grouping.ThreadTotals{{Name: "a", CounterFields: math.MaxUint16}, {Name: "b", CounterFields: math.MaxUint16}},
				WChans:  []grouping.WChanCount{{Name: "do_poll", Count: 3}},
				Exits:   []grouping.ExitCount{{Reason: "exited", Code: "0", Count: 1, Matched: 1}},
				Sockets: someSockets(),
			})
		}
		return testing.AllocsPerRun(20, func() {
			if err := f.c.builder.eachText(walk, PlainText, func(string, []byte) error { return nil }); err != nil {
				t.Fatal(err)
			}
		})
	}
	if few, many := text(1), text(500); many > few {
		t.Errorf("got %v allocations for 1 group and %v for 500", few, many)
	}
}
