package collector

import (
	"bytes"
	"context"
	"math"
	"strconv"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
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
func ourText(t *testing.T, c *Collector, w *walk) (out string) {
	t.Helper()
	err := c.builder.eachText(w, func(_ string, lines []byte) error {
		out += string(lines)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// familyText returns the families of each in the text format of the client library.
func familyText(t *testing.T, c *Collector, w *walk) (out string) {
	t.Helper()
	err := c.builder.each(w, func(mf *dto.MetricFamily) error {
		out += clientText(t, []*dto.MetricFamily{mf})
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
	walk.coverage.Rules[0].Rule = &grouping.Rule{Template: special}
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
		Name: special, ExitsKnown: true, Known: math.MaxUint16, Counted: math.MaxUint16, Procs: 999_999, Counters: usage,
		WorstFDRatio: 1. / 3, SmapsAge: math.NaN(), OldestStart: 1_700_000_000,
		Threads:    []grouping.ThreadName{{Name: special, Counters: usage, Counted: math.MaxUint16}},
		WChans:     []grouping.WChan{{Name: special, Count: 3}},
		Exits:      []grouping.ExitCount{{Reason: "killed", Code: "SIGKILL", Count: 2, Matched: 1}},
		Unreadable: []grouping.UnreadableField{{Field: platform.FieldIO, Procs: 1}},
	}}
	check("special values and characters")
	walk.labels, walk.groups[0].Labels = []string{"aa", "zz"}, []string{"", special}
	walk.groups[0].Expect = &grouping.Expect{Min: 1, Max: 2}
	walk.groups[0].TopCPU = []grouping.Member{{PID: 7, Comm: special, Value: 0.5}}
	check("labels of rules")
	walk.groups = nil
	check("no groups")
	walk.err = context.Canceled
	check("failed walk")
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
				Name: strconv.Itoa(i), ExitsKnown: true, Known: math.MaxUint16, Counted: math.MaxUint16, Procs: 1,
				Threads: []grouping.ThreadName{{Name: "a", Counted: math.MaxUint16}, {Name: "b", Counted: math.MaxUint16}},
				WChans:  []grouping.WChan{{Name: "do_poll", Count: 3}},
				Exits:   []grouping.ExitCount{{Reason: "exited", Code: "0", Count: 1, Matched: 1}},
			})
		}
		return testing.AllocsPerRun(20, func() {
			if err := f.c.builder.eachText(walk, func(string, []byte) error { return nil }); err != nil {
				t.Fatal(err)
			}
		})
	}
	if few, many := text(1), text(500); many > few {
		t.Errorf("got %v allocations for 1 group and %v for 500", few, many)
	}
}
