package webui

import (
	"context"
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

// A stage is a Recorder whose clock and walks are the test's.
type stage struct {
	*Recorder
	time   time.Time
	walks  int
	groups []grouping.Group
	err    error
}

func newStage() *stage {
	s := &stage{time: time.Unix(1_000_000, 0)}
	s.Recorder = &Recorder{about: func(*Exporter) {}, now: func() time.Time { return s.time }, fresh: Fresh, past: new(past)}
	s.walk = func(context.Context) { s.scrape() }
	return s
}

// scrape is a walk, whoever asked for it.
func (s *stage) scrape() {
	s.walks++
	v := collector.View{Time: s.time, Err: s.err}
	if s.err == nil {
		v.Groups = append(v.Groups, s.groups...)
	}
	s.see(v)
}

func (s *stage) pass(d time.Duration) { s.time = s.time.Add(d) }

func busy(name string, seconds float64) grouping.Group {
	g := grouping.Group{Name: name, Procs: 1, Known: platform.FieldStat | platform.FieldMemory | platform.FieldFDs, Counted: platform.FieldStat, ResidentBytes: 4096}
	g.UserNanos = uint64(seconds * 1e9)
	return g
}

// TestRates takes rates from two walks that are at least a second apart.
func TestRates(t *testing.T) {
	s, ctx := newStage(), context.Background()
	s.groups = []grouping.Group{busy("a", 10)}
	if got := s.Report(ctx); got.Interval != 0 || got.Groups[0].CPU != nil || *got.Groups[0].ResidentBytes != 4096 {
		t.Errorf("got %+v, want no rates from one walk", got)
	}
	s.pass(500 * time.Millisecond)
	s.groups = []grouping.Group{busy("a", 10.5)}
	s.scrape() // too early
	s.pass(3500 * time.Millisecond)
	s.groups = []grouping.Group{busy("a", 12), busy("b", 5)}
	s.scrape()
	got := s.Report(ctx)
	if got.Interval != 4 || *got.Groups[0].CPU != 0.5 {
		t.Errorf("got %v cores over %v s, want 0.5 over 4", *got.Groups[0].CPU, got.Interval)
	}
	if got.Groups[1].CPU != nil {
		t.Errorf("got %v cores of a group that is new", *got.Groups[1].CPU)
	}
	if g := got.Groups[0]; g.ReadBytes != nil || g.PSSBytes != nil || *g.FDs != 0 {
		t.Errorf("got %+v, want nothing of what was not read", g)
	}
	s.pass(5 * time.Second)
	s.groups = []grouping.Group{busy("a", 3)} // as after a reload that moved its processes
	if got := s.Report(ctx); *got.Groups[0].CPU != 0 {
		t.Errorf("got %v cores of a counter that fell", *got.Groups[0].CPU)
	}
}

// TestWalksOnlyForLookers walks at most once in five seconds for those who look,
// less often where scrapes do it anyway, and never when nobody does.
func TestWalksOnlyForLookers(t *testing.T) {
	s, ctx := newStage(), context.Background()
	s.groups = []grouping.Group{busy("a", 1)}
	s.scrape()
	if s.past.last != nil {
		t.Error("a walk is remembered that nobody looks at")
	}
	s.walks = 0
	for range 600 { // a minute, ten looks a second
		s.Report(ctx)
		s.Detail(ctx, "a")
		s.pass(100 * time.Millisecond)
	}
	if s.walks != 12 {
		t.Errorf("got %d walks in a minute, want 12", s.walks)
	}
	s.walks = 0
	for range 20 { // scrapes every three seconds
		s.scrape()
		s.Report(ctx)
		s.pass(3 * time.Second)
	}
	if s.walks != 20 {
		t.Errorf("got %d walks beside 20 scrapes", s.walks-20)
	}
	s.pass(2 * time.Minute)
	s.scrape()
	if s.past.last != nil || s.past.prev != nil || s.past.history != nil {
		t.Error("walks are remembered after everybody left")
	}
}

func TestHistory(t *testing.T) {
	s, ctx := newStage(), context.Background()
	for i := range 100 {
		s.groups = []grouping.Group{busy("a", float64(i))}
		if i < 50 {
			s.groups = append(s.groups, busy("gone", 1))
		}
		s.Report(ctx)
		s.pass(5 * time.Second)
	}
	got := s.Report(ctx)
	if h := got.Groups[0].History; len(h) != historyPoints || h[0] != 0.2 {
		t.Errorf("got %d points %v, want %d of 0.2", len(h), h, historyPoints)
	}
	if len(s.past.history) != 1 {
		t.Errorf("got histories of %d groups, want 1", len(s.past.history))
	}
}

// TestFailure keeps the last groups, with the error, where processes cannot be
// read any more.
func TestFailure(t *testing.T) {
	s, ctx := newStage(), context.Background()
	s.groups = []grouping.Group{busy("a", 1)}
	s.Report(ctx)
	s.pass(6 * time.Second)
	s.err = errors.New("no /proc")
	got := s.Report(ctx)
	if got.Exporter.ScrapeSuccess || got.Exporter.Error != "no /proc" || len(got.Groups) != 1 {
		t.Errorf("got %+v", got)
	}
}

// TestFailureIsLookedForSeldom tries no more often to read processes that cannot be
// read than others.
func TestFailureIsLookedForSeldom(t *testing.T) {
	s, ctx := newStage(), context.Background()
	s.err = errors.New("no /proc")
	for range 600 { // a minute, ten looks a second
		s.Report(ctx)
		s.pass(100 * time.Millisecond)
	}
	if s.walks != 12 {
		t.Errorf("got %d walks in a minute, want 12", s.walks)
	}
}

// TestAnswerIsShared makes the answer to all who look once, until there is something
// else to tell.
func TestAnswerIsShared(t *testing.T) {
	s, ctx := newStage(), context.Background()
	reloaded := true
	s.about = func(e *Exporter) { e.ConfigReloaded = reloaded }
	s.groups = []grouping.Group{busy("a", 1)}
	ask := func() *body {
		p := s.look(ctx)
		b, err := p.all(s.exporter(p))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	first := ask()
	if s.pass(time.Second); ask() != first {
		t.Error("the same was made twice")
	}
	s.scrape()
	second := ask()
	if second == first {
		t.Error("a new walk is not told of")
	}
	if reloaded = false; ask() == second || !strings.Contains(string(ask().plain), `"config_reloaded":false`) {
		t.Error("a failed reload is not told of")
	}
}

// TestDetailsAreBounded refuses who asks for a group while as many do as may.
func TestDetailsAreBounded(t *testing.T) {
	s := newStage()
	s.groups = []grouping.Group{busy("a", 1)}
	h, err := NewHandler(s.Recorder, "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	ask := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w
	}
	for range maxDetails {
		h.details <- struct{}{}
	}
	if w := ask(GroupsPath + "?group=a"); w.Code != 503 || w.Header().Get("Retry-After") != "1" {
		t.Errorf("got %d %v, want to be told to come again", w.Code, w.Header())
	}
	if w := ask(GroupsPath); w.Code != 200 {
		t.Errorf("got %d of all groups, which are not bounded", w.Code)
	}
	<-h.details
	if w := ask(GroupsPath + "?group=a"); w.Code != 200 || len(h.details) != maxDetails-1 {
		t.Errorf("got %d, and %d places taken, of which %d are the test's", w.Code, len(h.details), maxDetails-1)
	}
}

func TestHandler(t *testing.T) {
	s := newStage()
	s.groups = []grouping.Group{busy("a", 1), busy("a b\n</script>", 1)}
	h, err := NewHandler(s.Recorder, "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path   string
		status int
		want   string
	}{
		{"/", 200, `<a href="metrics">`},
		{"/page.js", 200, "use strict"},
		{"/page.css", 200, "color-scheme"},
		{"/api/v1/groups", 200, `"name":"a"`},
		{"/api/v1/groups?group=a", 200, `"groups":[{"name":"a","procs":1`},
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
			t.Errorf("%s: got no policy", tt.path)
		}
	}
}

// TestFieldsAreDocumented finds each field of a Report in docs/api.md, and no
// other there.
func TestFieldsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "| `"); ok {
			name, _, _ := strings.Cut(rest, "`")
			documented[name] = true
		}
	}
	fields := make(map[string]bool)
	addFields(reflect.TypeFor[Report](), "", fields)
	for name := range fields {
		if !documented[name] {
			t.Errorf("docs/api.md lacks %s", name)
		}
	}
	for name := range documented {
		if !fields[name] {
			t.Errorf("docs/api.md has %s, which there is not", name)
		}
	}
	if len(fields) < 40 {
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
		if inner.Kind() == reflect.Struct && inner != reflect.TypeFor[time.Time]() {
			addFields(inner, prefix+name+".", to)
			continue
		}
		to[prefix+name] = true
	}
}
