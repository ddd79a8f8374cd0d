package webui

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/collector"
	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
)

// A testRecorder is a Recorder with a clock and walks that the test controls.
type testRecorder struct {
	*Recorder
	time   time.Time
	walks  int
	groups []grouping.Group
	err    error
}

func newTestRecorder() *testRecorder {
	s := &testRecorder{time: time.Unix(1_000_000, 0)}
	s.Recorder = &Recorder{
		describe:  func(*ExporterStatus) {},
		now:       func() time.Time { return s.time },
		sleep:     func(_ context.Context, d time.Duration) { s.advance(max(0, d)) },
		searches:  make(chan struct{}, maxSearches),
		searching: make(chan struct{}, 1),
		maxAge:    DefaultMaxAge,
	}
	s.current = s.newRecording()
	s.machine.now = s.now
	s.walk = func(context.Context) { s.scrape() }
	return s
}

// scrape makes a walk.
func (s *testRecorder) scrape() {
	s.walks++
	v := collector.UpdateResult{Time: s.time, Err: s.err}
	if s.err == nil {
		v.Groups = append(v.Groups, s.groups...)
	}
	s.observe(v)
}

func (s *testRecorder) advance(d time.Duration) { s.time = s.time.Add(d) }

// cpuGroup returns a group that has used so many seconds of CPU time.
func cpuGroup(name string, seconds float64) grouping.Group {
	g := grouping.Group{
		Name:          name,
		Procs:         1,
		GaugeFields:   platform.FieldStat | platform.FieldMemory | platform.FieldFDs,
		CounterFields: platform.FieldStat,
		ResidentBytes: 4096,
	}
	g.UserNanos = uint64(seconds * 1e9)
	return g
}

// TestRates checks rates between walks that are at least a second apart.
func TestRates(t *testing.T) {
	s, ctx := newTestRecorder(), context.Background()
	s.groups = []grouping.Group{cpuGroup("a", 10)}
	if got := s.Report(ctx); got.Interval != 0 || got.Groups[0].CPU != nil || *got.Groups[0].ResidentBytes != 4096 {
		t.Errorf("got %+v, want no rates after one walk", got)
	}
	s.advance(500 * time.Millisecond)
	s.groups = []grouping.Group{cpuGroup("a", 10.5)}
	s.scrape() // too early
	s.advance(3500 * time.Millisecond)
	s.groups = []grouping.Group{cpuGroup("a", 12), cpuGroup("b", 5)}
	s.scrape()
	got := s.Report(ctx)
	if got.Interval != 4 || *got.Groups[0].CPU != 0.5 {
		t.Errorf("got %v cores over %v s, want 0.5 over 4", *got.Groups[0].CPU, got.Interval)
	}
	if got.Groups[1].CPU != nil {
		t.Errorf("got %v cores of a new group, want none", *got.Groups[1].CPU)
	}
	if g := got.Groups[0]; g.ReadBytes != nil || g.ProportionalBytes != nil || *g.OpenFDs != 0 {
		t.Errorf("got %+v, want no values that were not read", g)
	}
	s.advance(5 * time.Second)
	s.groups = []grouping.Group{cpuGroup("a", 3)} // as after the group was removed and created again
	if got := s.Report(ctx); *got.Groups[0].CPU != 0 {
		t.Errorf("got %v cores after a counter decrease, want 0", *got.Groups[0].CPU)
	}
}

// TestWalksForRequests checks that requests cause at most one walk in five
// seconds, fewer if scrapes cause walks, and none without requests.
func TestWalksForRequests(t *testing.T) {
	s, ctx := newTestRecorder(), context.Background()
	s.groups = []grouping.Group{cpuGroup("a", 1)}
	s.scrape()
	if s.current.last != nil {
		t.Error("got a recorded walk without requests, want none")
	}
	s.walks = 0
	for range 600 { // one minute, ten requests per second
		s.Report(ctx)
		s.Detail(ctx, "a")
		s.advance(100 * time.Millisecond)
	}
	if s.walks != 13 {
		t.Errorf("got %d walks in the first minute, want 12 and one for the first rates", s.walks)
	}
	s.walks = 0
	for range 20 { // scrapes every three seconds
		s.scrape()
		s.Report(ctx)
		s.advance(3 * time.Second)
	}
	if s.walks != 20 {
		t.Errorf("got %d additional walks with 20 scrapes, want 0", s.walks-20)
	}
	s.advance(2 * time.Minute)
	s.scrape()
	if s.current.last != nil || s.current.prev != nil || len(s.current.history.times) > 0 {
		t.Error("got recorded walks a minute after the last request, want none")
	}
}

func TestHistory(t *testing.T) {
	s, ctx := newTestRecorder(), context.Background()
	for i := range 100 {
		s.groups = []grouping.Group{cpuGroup("a", float64(i))}
		if i < 50 {
			s.groups = append(s.groups, cpuGroup("exited", 1))
		}
		s.Report(ctx)
		s.advance(5 * time.Second)
	}
	got := s.Report(ctx)
	const points = 61 // in five minutes
	if h := got.Groups[0].CPUHistory; len(h) != points || h[0] != 0.2 {
		t.Errorf("got %d points %v, want %d of 0.2", len(h), h, points)
	}
	if times := got.HistoryTimes; len(times) != points || times[0] != (Timestamp{got.Time.Add(-sparkTime)}) || times[points-1] != got.Time {
		t.Errorf("got times %v, want those of %d points", times, points)
	}
	if got := got.Groups[0].CPUHistory; len(s.Report(ctx).Groups) != 1 || len(got) == 0 {
		t.Errorf("got %v, want the history of the group that exists", got)
	}
	recent, _ := s.current.history.recent()
	if memory := s.current.history.residentOf(s.groups[0].Key(), recent); len(memory) != points || memory[0] != 4096 {
		t.Errorf("got %d points %v, want %d of 4096", len(memory), memory, points)
	}
	s.advance(time.Minute)
	s.Report(ctx)
	s.advance(time.Minute)
	if times := s.Report(ctx).HistoryTimes; len(times) != points-24+2 || times[len(times)-1].Sub(times[len(times)-2].Time) != time.Minute {
		t.Errorf("got times %v after two rare walks", times)
	}
}

// TestFailure checks that a failed walk keeps the groups and adds the error.
func TestFailure(t *testing.T) {
	s, ctx := newTestRecorder(), context.Background()
	s.groups = []grouping.Group{cpuGroup("a", 1)}
	s.Report(ctx)
	s.advance(6 * time.Second)
	s.err = errors.New("no /proc")
	got := s.Report(ctx)
	if got.Exporter.ScrapeSuccess || got.Exporter.Error != "no /proc" || len(got.Groups) != 1 {
		t.Errorf("got %+v", got)
	}
}

// TestFailuresAreNotRetriedEarly checks that failed walks are not more frequent
// than successful walks.
func TestFailuresAreNotRetriedEarly(t *testing.T) {
	s, ctx := newTestRecorder(), context.Background()
	s.err = errors.New("no /proc")
	for range 600 { // one minute, ten requests per second
		s.Report(ctx)
		s.advance(100 * time.Millisecond)
	}
	if s.walks != 12 {
		t.Errorf("got %d walks in a minute, want 12", s.walks)
	}
}

// TestResponseIsCached checks that requests share one encoded response until its
// content changes.
func TestResponseIsCached(t *testing.T) {
	s, ctx := newTestRecorder(), context.Background()
	reloaded := true
	s.describe = func(e *ExporterStatus) { e.ReloadSuccessful = reloaded }
	s.groups = []grouping.Group{cpuGroup("a", 1)}
	get := func() *response {
		current := s.recording(ctx)
		encoded, err := current.encodeAll(s.reportStatus(ctx, current))
		if err != nil {
			t.Fatal(err)
		}
		return encoded
	}
	first := get()
	if s.advance(500 * time.Millisecond); get() != first {
		t.Error("got a new response without a change, want the cached one")
	}
	s.advance(500 * time.Millisecond)
	s.scrape()
	second := get()
	if second == first {
		t.Error("got the cached response after a walk, want a new one")
	}
	if text := string(second.identity); strings.Contains(text, "resident_bytes_history") || !strings.Contains(text, `"resident_bytes":`) {
		t.Errorf("got %s without a request for the history of memory, want none", text)
	}
	with, err := s.current.encodeWithMemory(s.reportStatus(ctx, s.current))
	if err != nil || !strings.Contains(string(with.identity), `"resident_bytes_history":[4096]`) || get() != second {
		t.Errorf("got %s, %v, want the history of memory, and another cached response", with.identity, err)
	}
	if reloaded = false; get() == second || !strings.Contains(string(get().identity), `"config_last_reload_successful":false`) {
		t.Errorf("got %s after a failed reload, want config_last_reload_successful false", get().identity)
	}
}

// TestDetailLimit checks that the number of concurrent detail responses is limited.
func TestDetailLimit(t *testing.T) {
	s := newTestRecorder()
	s.groups = []grouping.Group{cpuGroup("a", 1)}
	h, err := NewHandler(s.Recorder, testOptions)
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w
	}
	for range maxDetails {
		h.details <- struct{}{}
	}
	if w := get(GroupsPath + "?group=a"); w.Code != 503 || w.Header().Get("Retry-After") != "1" {
		t.Errorf("got %d %v, want 503 with Retry-After", w.Code, w.Header())
	}
	if w := get(GroupsPath); w.Code != 200 {
		t.Errorf("got %d for all groups, want 200", w.Code)
	}
	<-h.details
	if w := get(GroupsPath + "?group=a"); w.Code != 200 || len(h.details) != maxDetails-1 {
		t.Errorf("got status %d and %d slots in use, want 200 and %d", w.Code, len(h.details), maxDetails-1)
	}
}

func TestHandler(t *testing.T) {
	s := newTestRecorder()
	s.groups = []grouping.Group{cpuGroup("a", 1), cpuGroup("a b\n</script>", 1)}
	h, err := NewHandler(s.Recorder, testOptions)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path   string
		status int
		want   string
	}{
		{"/", 200, `<a href="metrics">`},
		{"/", 200, `<title>processes</title>`},
		{"/page.js", 200, "import {"},
		{"/page.css", 200, "color-scheme"},
		{"/api/v1/groups", 200, `"group":"a"`},
		{"/api/v1/groups?group=a", 200, `"groups":[{"group":"a","num_procs":1`},
		{"/api/v1/groups?group=a+b%0A%3C%2Fscript%3E", 200, `\u003c/script\u003e`},
		{"/api/v1/groups?group=other", 404, `There is no group "other".`},
		{"/other", 404, "not found"},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, tt.path, nil))
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("%s: got %d %s, want %d and %s", tt.path, w.Code, w.Body, tt.status, tt.want)
		}
		if w.Code == 200 && !strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: got no Content-Security-Policy", tt.path)
		}
	}
}

// TestFieldsAreDocumented compares the fields of a Report with docs/api.md.
func TestFieldsAreDocumented(t *testing.T) {
	checkDocumented(t, "## Fields of groups", reflect.TypeFor[Report](), 40)
}

// checkDocumented compares the fields of a type with the table in a section of docs/api.md.
func checkDocumented(t *testing.T, heading string, of reflect.Type, least int) {
	t.Helper()
	text, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string]bool)
	_, section, _ := strings.Cut(string(text), heading)
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.Lines(section) {
		if rest, ok := strings.CutPrefix(line, "| `"); ok {
			name, _, _ := strings.Cut(rest, "`")
			documented[name] = true
		}
	}
	fields := make(map[string]bool)
	addFields(of, "", fields)
	for name := range fields {
		if !documented[name] {
			t.Errorf("docs/api.md lacks %s", name)
		}
	}
	for name := range documented {
		if !fields[name] {
			t.Errorf("docs/api.md has %s, which is not a field", name)
		}
	}
	if len(fields) < least {
		t.Errorf("got only %d fields", len(fields))
	}
}

func addFields(of reflect.Type, prefix string, to map[string]bool) {
	for f := range of.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		inner := f.Type
		for inner.Kind() == reflect.Slice || inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if f.Anonymous {
			addFields(inner, prefix, to)
			continue
		}
		if inner.Kind() == reflect.Struct && inner != reflect.TypeFor[Timestamp]() {
			addFields(inner, prefix+name+".", to)
			continue
		}
		to[prefix+name] = true
	}
}

// TestTimestamp checks the JSON of timestamps, also of the zero value.
func TestTimestamp(t *testing.T) {
	for _, tt := range []struct {
		time time.Time
		want string
	}{
		{time.Time{}, "0"},
		{time.Unix(1_700_000_000, 0), "1700000000"},
		{time.UnixMilli(1_700_000_000_125), "1700000000.125"},
	} {
		text, err := json.Marshal(Timestamp{tt.time})
		if err != nil || string(text) != tt.want {
			t.Errorf("%v: got %s, %v, want %s", tt.time, text, err, tt.want)
		}
		var got Timestamp
		if err := json.Unmarshal(text, &got); err != nil || !got.Equal(tt.time) {
			t.Errorf("%s: got %v, %v, want %v", text, got, err, tt.time)
		}
	}
}

// TestUpdatesForExits checks that an update for exits, which does not read proportional memory of new
// processes, changes no report, and that the next recorded walk has the times of its exits.
func TestUpdatesForExits(t *testing.T) {
	s, ctx := newTestRecorder(), context.Background()
	g := cpuGroup("a", 1)
	g.GaugeFields |= platform.FieldSmaps
	g.PSSBytes, g.ExitsKnown = 4096, true
	s.groups = []grouping.Group{g}
	s.Report(ctx)

	s.advance(2 * time.Second)
	end := s.time
	s.groups[0].Exits = []grouping.ExitCount{{Reason: platform.ReasonExited, Code: "0", Count: 1}}
	partial := s.groups[0]
	partial.PSSBytes = 0
	s.observe(collector.UpdateResult{Time: s.time, ForExits: true, Groups: []grouping.Group{partial},
		Ended: []grouping.EndedProcess{{Group: "a", PID: 1, Start: end, End: end, Reason: platform.ReasonExited, Code: "0"}}})
	s.walks = 0
	for range 2 {
		if got := s.Report(ctx); *got.Groups[0].ProportionalBytes != 4096 || s.walks != 1 {
			t.Errorf("got PSS %d after %d walks, want 4096 after 1", *got.Groups[0].ProportionalBytes, s.walks)
		}
	}
	events := s.current.history.report(historyQuery{top: 1}).Events
	if len(events) != 1 || !events[0].Time.Equal(end) || events[0].Approximate {
		t.Errorf("got events %+v, want one at %v", events, end)
	}
	if ended := s.processes.ended; len(ended) != 1 || !ended[0].Found.Equal(end) || s.unrecorded != nil {
		t.Errorf("got ended processes %+v and unrecorded ones %+v, want one and none", ended, s.unrecorded)
	}
}
