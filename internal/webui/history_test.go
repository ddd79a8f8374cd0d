package webui

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
)

// historyOf makes n walks, five seconds apart, of groups that use CPU: group i uses i cores.
func historyOf(s *testRecorder, n, groups int) {
	for range n {
		s.groups = s.groups[:0]
		for i := range groups {
			g := cpuGroup(fmt.Sprintf("g%04d", i), float64(i)*float64(s.time.Unix()-1_000_000))
			g.NumThreads = 2
			s.groups = append(s.groups, g)
		}
		s.Report(context.Background())
		s.advance(5 * time.Second)
	}
}

// seriesText returns the series of one metric as text.
func seriesText(r HistoryReport, metric string) string {
	var out []string
	for _, v := range r.Series {
		if v.Metric == metric {
			text, _ := json.Marshal(v.Values)
			out = append(out, fmt.Sprintf("%s%s%s", v.Group, strings.Repeat("+", v.Others), text))
		}
	}
	return strings.Join(out, " ")
}

// TestHistoryReport checks the highest groups, the sum of the others, the range, and a single group.
func TestHistoryReport(t *testing.T) {
	s, ctx := newTestRecorder(), context.Background()
	historyOf(s, 4, 5)
	report := func(q historyQuery) HistoryReport { return s.current.history.report(q) }
	got := report(historyQuery{top: 2})
	if text := seriesText(got, "cpu_ratio"); text != "g0004[4,4,4] g0003[3,3,3] ++[3,3,3]" {
		t.Errorf("got %s, want the highest two and the sum of the other two that use CPU", text)
	}
	if text := seriesText(got, "num_threads"); text != "" {
		t.Errorf("got %s, want threads of single groups only", text)
	}
	from := got.Times[1].Time
	part := report(historyQuery{top: 1, from: from, to: from.Add(time.Second)})
	if text := seriesText(part, "cpu_ratio"); text != "g0004[4,4,4] +++[6,6,6]" {
		t.Errorf("got %s in a range of one point, want its neighbors too", text)
	}
	if g := part.Means; len(g) != 5 || g[3].Group != "g0003" || g[3].Values["cpu_ratio"] != 3 || g[3].Values["resident_bytes"] != 4096 {
		t.Errorf("got the means %+v of all groups", g)
	}
	one := report(historyQuery{group: "g0002"})
	if seriesText(one, "cpu_ratio") != "g0002[2,2,2]" || seriesText(one, "num_threads") != "g0002[2,2,2]" {
		t.Errorf("got %+v of one group", one)
	}
	s.groups = s.groups[:1]
	s.Report(ctx)
	if text := seriesText(report(historyQuery{group: "g0002"}), "resident_bytes"); text != "g0002[4096,4096,4096,null]" {
		t.Errorf("got %s of a group that does not exist any more", text)
	}
}

// TestHistoryEvents checks the events between walks, and that their number is limited.
func TestHistoryEvents(t *testing.T) {
	s, ctx := newTestRecorder(), context.Background()
	start := s.time
	s.describe = func(e *ExporterStatus) {
		e.StartTime, e.ReloadTime = Timestamp{start.Add(-time.Hour)}, Timestamp{start.Add(12 * time.Second)}
	}
	walk := func(starts, good, bad, oom uint64) {
		g := cpuGroup("a", 1)
		g.ExitsKnown, g.Starts, g.OOMKills = true, starts, oom
		g.Exits = []grouping.ExitCount{
			{Reason: platform.ReasonExited, Code: "0", Count: good}, {Reason: platform.ReasonExited, Code: "3", Count: bad},
		}
		s.groups = []grouping.Group{g}
		s.Report(ctx)
		s.advance(5 * time.Second)
	}
	walk(1, 1, 1, 1)
	walk(1, 1, 1, 1)
	walk(3, 2, 5, 2)
	walk(3, 2, 5, 2)
	var got []string
	for _, e := range s.historyReport(ctx, historyQuery{top: 1}).Events {
		got = append(got, fmt.Sprint(e.Kind, e.Code, e.Group, e.Count))
	}
	if want := "oom_killa1 failure3a4 exit0a1 starta2 reload1"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
	checkEventLimit(t, s)
}

// checkEventLimit checks that many starts remove no failure.
func checkEventLimit(t *testing.T, s *testRecorder) {
	t.Helper()
	ctx := context.Background()
	s.groups = nil
	for i := range 2000 {
		g := cpuGroup(fmt.Sprint(i), 1)
		g.ExitsKnown, g.Starts = true, 1
		s.groups = append(s.groups, g)
	}
	s.advance(5 * time.Second)
	s.Report(ctx)
	if events := s.current.history.events; len(events) > 5+maxWalkEvents || events[len(events)-1].Others != 2000-maxWalkEvents {
		t.Errorf("got %d events of a walk with 2000 starts, want at most %d and a sum of the others", len(events), 5+maxWalkEvents)
	}
	for range 30 {
		s.advance(5 * time.Second)
		for i := range s.groups {
			s.groups[i].Starts++
		}
		s.Report(ctx)
	}
	events := s.current.history.events
	if len(events) > maxEvents || events[0].Kind != EventOOMKill || events[1].Kind != EventFailure || events[1].Others != 0 {
		t.Errorf("got %d events from %+v on, want %d with the failures", len(events), events[:3], maxEvents)
	}
	starts := uint64(0)
	for _, e := range events {
		if e.Kind == EventStart {
			starts += e.Count
		}
	}
	if want := uint64(2 + 31*len(s.groups)); starts != want {
		t.Errorf("got %d starts in the events, want %d", starts, want)
	}
}

// TestHistoryRetention checks that points are dropped, that nothing stays without requests, and that
// Options.Retention keeps the history of walks without requests.
func TestHistoryRetention(t *testing.T) {
	s := newTestRecorder()
	historyOf(s, 400, 2)
	h := s.current.history
	if n := len(h.times); n != 181 || len(h.groups["g0001"].points) != n || len(h.totals) != n {
		t.Errorf("got %d points in %v, want 181", n, DefaultRetention)
	}
	s.advance(2 * time.Minute)
	s.scrape()
	if n := len(s.current.history.times); n != 0 {
		t.Errorf("got %d points after two minutes without requests, want none", n)
	}
	s = newTestRecorder()
	s.keep = time.Minute
	s.current = s.newRecording()
	for range 20 {
		s.groups = []grouping.Group{cpuGroup("a", 1)}
		s.scrape()
		s.advance(15 * time.Second)
	}
	if n := len(s.current.history.times); n != 5 {
		t.Errorf("got %d points without requests, want 5 in a minute", n)
	}
	if !s.historyReport(t.Context(), historyQuery{top: 1}).Always {
		t.Error("got a history that needs requests, want one that does not")
	}
}

// TestLateTraffic adds the first known traffic to a history with more points than the usual distance
// gives: a reload can turn on the collector network.
func TestLateTraffic(t *testing.T) {
	const limit = 10
	var s groupHistory
	for range limit + 5 {
		s.add(unknownPoint(), limit)
	}
	known := unknownPoint()
	known[historySent], known[historyReceived] = 1, 2
	s.add(known, limit)
	if got := s.network[len(s.network)-1]; len(s.network) != len(s.points) || got != (networkPoint{1, 2}) {
		t.Errorf("got %d points of the traffic, the last %v, want %d and the known one", len(s.network), got, len(s.points))
	}
}

// TestHistoryMemory checks the memory of a full history of 2000 groups, and that further groups
// need none.
func TestHistoryMemory(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	s := newTestRecorder()
	historyOf(s, 2, maxHistoryGroups+100)
	before := heap()
	for range 200 {
		s.lastRequest = s.time
		for i := range s.groups {
			s.groups[i].UserNanos += uint64(i) * 5e9
		}
		s.scrape()
		s.advance(5 * time.Second)
	}
	grown := int64(heap() - before)
	t.Logf("history of %d groups in %v: %.1f MB", len(s.current.history.groups), DefaultRetention, float64(grown)/1e6)
	if n := len(s.current.history.groups); n != maxHistoryGroups || grown > 9e6 {
		t.Errorf("got a history of %d groups and %d bytes, want %d and at most 9 MB", n, grown, maxHistoryGroups)
	}
	got := s.current.history.report(historyQuery{top: 1})
	last := got.Series[1].Values[len(got.Times)-1]
	if want := float64(2099 * 2098 / 2); math.Abs(float64(last)-want) > want/1000 {
		t.Errorf("got %v cores of the other groups, want %v with those that have no history", last, want)
	}
}

func TestServeHistory(t *testing.T) {
	s := newTestRecorder()
	historyOf(s, 3, 3)
	h, err := NewHandler(s.Recorder, testOptions)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		query  string
		status int
		want   string
	}{
		{"", 200, `"retention_seconds":900,"records_always":false,"timestamps_seconds":[1000005,1000010`},
		{"?group=g0001", 200, `{"metric":"cpu_ratio","group":"g0001","values":[1,1`},
		{"?group=other", 200, `"series":[]`},
		{"?from=1000006&to=1000010.5", 200, `"timestamps_seconds":[1000005,1000010,1000015]`},
		{"?top=0", 400, "use 1 to 50"},
		{"?from=x", 400, "parameter from"},
		{"?to=NaN", 400, "parameter to"},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, HistoryPath+tt.query, nil))
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("%s: got %d %s, want %d and %s", tt.query, w.Code, w.Body, tt.status, tt.want)
		}
	}
}

// TestHistoryFieldsAreDocumented compares the fields of a HistoryReport with docs/api.md.
func TestHistoryFieldsAreDocumented(t *testing.T) {
	checkDocumented(t, "## Fields of the history", reflect.TypeFor[HistoryReport](), 12)
}

// TestHistoryMeans checks that a point counts for the time since the point before it, in the time of the query.
func TestHistoryMeans(t *testing.T) {
	s, ctx := newTestRecorder(), context.Background()
	used := 0.0
	walk := func(after time.Duration, cores float64) time.Time {
		s.advance(after)
		used += cores * after.Seconds()
		s.groups = []grouping.Group{cpuGroup("a", used)}
		s.Report(ctx)
		return s.time
	}
	walk(5*time.Second, 0)
	from := walk(5*time.Second, 7)
	walk(5*time.Second, 1)
	to := walk(30*time.Second, 2)
	walk(5*time.Second, 9)
	for _, tt := range []struct {
		from, to time.Time
		want     string
	}{
		{from, to, "1.857"}, {from, to.Add(-20 * time.Second), "1.667"}, {from.Add(2 * time.Second), from.Add(4 * time.Second), "1"},
		{to.Add(time.Hour), time.Time{}, "none"}, {time.Time{}, time.Time{}, "none"},
	} {
		got := "none"
		if means := s.current.history.report(historyQuery{from: tt.from, to: tt.to}).Means; len(means) > 0 {
			text, _ := json.Marshal(means[0].Values["cpu_ratio"])
			got = string(text)
		}
		if got != tt.want {
			t.Errorf("got mean %s from %v to %v, want %s", got, tt.from, tt.to, tt.want)
		}
	}
}
