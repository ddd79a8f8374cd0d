package webui

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/collector"
	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

// walkProcesses makes the walks of s return what the Recorder asks for.
func walkProcesses(s *testRecorder, ended ...grouping.EndedProcess) (queries *int) {
	queries = new(int)
	s.walk = func(context.Context) {
		s.walks++
		v := collector.UpdateResult{Time: s.time, Groups: s.groups}
		interest := s.interest()
		for _, q := range interest.Queries {
			*queries++
			rules := ""
			if q.Scope == grouping.ScopeUngrouped {
				rules = "- rule"
			}
			v.Processes = append(v.Processes, grouping.ProcessList{
				Query: q, SuggestedRules: rules, Total: 30, Interval: float64(s.walks - 1),
				Processes: []grouping.Process{{
					PID: 7, Start: s.time, State: 'R', User: "<b>", Command: "<img onerror=x>", Have: platform.FieldStat,
					HaveRates: platform.FieldStat, CPU: 0.5, ResidentBytes: 4096,
				}},
			})
		}
		if interest.Ended {
			v.Ended = ended
		}
		s.observe(v)
	}
	return queries
}

// TestProcessRequests checks that requests for processes cause few walks, that walks return
// processes only while requests want them, and that the number of queries is limited.
func TestProcessRequests(t *testing.T) {
	s, ctx := newTestRecorder(), context.Background()
	ended := grouping.EndedProcess{Group: "a", PID: 9, Name: "x", Start: s.time, Reason: platform.ReasonExited, Code: "3"}
	queries := walkProcesses(s, ended, grouping.EndedProcess{Group: "b"})
	if s.walk(ctx); *queries != 0 || len(s.processes.ended) != 0 {
		t.Fatalf("got %d queries and %d ended processes without requests, want 0", *queries, len(s.processes.ended))
	}
	query := grouping.ProcessQuery{Group: "a", Limit: 20}
	s.advance(10 * time.Second)
	s.walks = 0
	got, err := s.Processes(ctx, query)
	if err != nil || got.Total != 30 || s.walks != 1 {
		t.Fatalf("got %+v, error %v and %d walks, want processes after one walk", got, err, s.walks)
	}
	s.processes.queries[0].list.Interval = 0
	s.advance(500 * time.Millisecond)
	if _, err = s.Processes(ctx, query); err != nil || s.walks != 1 {
		t.Errorf("got %d walks, want no second walk within a second", s.walks)
	}
	s.advance(500 * time.Millisecond)
	if got, err = s.Processes(ctx, query); err != nil || s.walks != 2 || got.Interval == 0 || *got.Processes[0].CPU != 0.5 {
		t.Errorf("got %+v and %d walks, want rates after a second walk", got, s.walks)
	}
	if len(got.Ended) != 2 || got.Ended[0].Code != "3" || !got.Ended[0].Failed {
		t.Errorf("got %+v, want the exits of the group", got.Ended)
	}
	checkQueryLimit(t, s, queries)
}

// checkQueryLimit checks that there are at most maxQueries queries, and that they end.
func checkQueryLimit(t *testing.T, s *testRecorder, queries *int) {
	t.Helper()
	ctx := context.Background()
	for i := range maxQueries - 1 {
		if _, err := s.Processes(ctx, grouping.ProcessQuery{Group: fmt.Sprint(i), Limit: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Processes(ctx, grouping.ProcessQuery{Group: "one too many"}); err == nil {
		t.Error("got no error, want a limit of queries")
	}
	s.advance(2 * viewerTimeout)
	if *queries = 0; len(s.interest().Queries) != 0 {
		t.Error("got queries after two minutes without requests, want none")
	}
	if s.walk(ctx); *queries != 0 || s.processes.ended != nil {
		t.Errorf("got %d queries and %d ended processes in a walk without requests, want 0", *queries, len(s.processes.ended))
	}
}

// TestFindTimeout checks that walks find processes for a short time after the last request.
func TestFindTimeout(t *testing.T) {
	s := newTestRecorder()
	walkProcesses(s)
	for i := range 2 * maxQueries {
		query := grouping.ProcessQuery{Scope: grouping.ScopeFound, Text: fmt.Sprint(i), Limit: 1}
		if got, err := s.Processes(t.Context(), query); err != nil || len(got.Processes) != 1 {
			t.Fatalf("got %+v, error %v, want a process", got, err)
		}
		s.advance(time.Second)
	}
	s.advance(findTimeout)
	if n := len(s.interest().Queries); n != 0 {
		t.Errorf("got %d queries without requests, want none", n)
	}
}

// TestFindLimit checks that requests for different texts start walks at least a second apart, which
// find the processes of few texts, and that they leave space for other queries.
func TestFindLimit(t *testing.T) {
	s := newTestRecorder()
	walkProcesses(s)
	walk, last := s.walk, time.Time{}
	s.walk = func(ctx context.Context) {
		if between := s.time.Sub(last); between < minInterval {
			t.Errorf("got a walk after %v, want at least %v between walks", between, minInterval)
		}
		last = s.time
		walk(ctx)
		if n := len(s.interest().Queries); n > maxSearches {
			t.Errorf("got %d queries in a walk, want at most %d", n, maxSearches)
		}
	}
	for i := range maxQueries {
		query := grouping.ProcessQuery{Scope: grouping.ScopeFound, Text: fmt.Sprint(i), Limit: 1}
		if got, err := s.Processes(t.Context(), query); err != nil || len(got.Processes) != 1 {
			t.Fatalf("got %+v, error %v, want a process", got, err)
		}
	}
	s.walk = walk
	for i := range maxQueries {
		if _, err := s.Processes(t.Context(), grouping.ProcessQuery{Group: fmt.Sprint(i), Limit: 1}); err != nil {
			t.Fatalf("query %d of another kind: %v", i, err)
		}
	}
}

// waitForSearches waits until n requests wait for a walk that finds processes.
func (s *testRecorder) waitForSearches(t *testing.T, n int) {
	t.Helper()
	testenv.WaitFor(t, fmt.Sprintf("%d requests to wait", n), func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		requests := 0
		for _, q := range s.processes.queries {
			requests += q.requests
		}
		return requests == n && len(s.searches) == n && len(s.searching) == 1
	})
}

// TestConcurrentSearches checks that one walk finds the processes of all waiting requests, that other
// requests fail at once, and that the text of a waiting request stays.
func TestConcurrentSearches(t *testing.T) {
	s := newTestRecorder()
	walkProcesses(s)
	s.lastRequest = s.time
	s.scrape()
	finish, reports := make(chan struct{}), make(chan string, maxSearches+1)
	s.sleep = func(context.Context, time.Duration) { <-finish }
	find := func(ctx context.Context, text string) {
		got, err := s.Processes(ctx, grouping.ProcessQuery{Scope: grouping.ScopeFound, Text: text, Limit: 1})
		reports <- fmt.Sprintf("%d processes, error %v", len(got.Processes), err)
	}
	waiting := func(n int) {
		t.Helper()
		s.waitForSearches(t, n)
	}
	go find(t.Context(), "first")
	waiting(1)
	canceled, cancel := context.WithCancel(t.Context())
	for i := range maxSearches - 1 {
		ctx := t.Context()
		if i == 0 {
			ctx = canceled
		}
		go find(ctx, fmt.Sprint(i))
	}
	waiting(maxSearches)
	h, err := NewHandler(s.Recorder, testOptions)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, ProcessesPath+"?find=more", nil))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("got status %d and headers %v above the limit, want 503 and Retry-After", w.Code, w.Header())
	}
	cancel()
	if got := <-reports; got != "0 processes, error context canceled" {
		t.Errorf("got %s for a canceled request", got)
	}
	waiting(maxSearches - 1)
	go find(t.Context(), "later")
	waiting(maxSearches)
	s.walks = 0
	close(finish)
	for range maxSearches {
		if got := <-reports; got != "1 processes, error <nil>" {
			t.Errorf("got %s, want a process", got)
		}
	}
	if s.walks != 1 {
		t.Errorf("got %d walks, want 1", s.walks)
	}
}

// TestProcessesWithoutWalk checks that requests for processes fail if no walk succeeds, that they start
// few walks, and that they succeed after a walk.
func TestProcessesWithoutWalk(t *testing.T) {
	for _, query := range []grouping.ProcessQuery{
		{Group: "a", Limit: 1}, largestQuery, {Scope: grouping.ScopeFound, Text: "a", Limit: 1},
	} {
		s := newTestRecorder()
		s.err = context.DeadlineExceeded
		for range 2 {
			if got, err := s.Processes(t.Context(), query); !errors.Is(err, errNoWalk) {
				t.Errorf("%+v: got %+v, error %v, want %v", query, got, err, errNoWalk)
			}
		}
		if query.Scope != grouping.ScopeFound && s.walks > 3 { // a request that finds processes sleeps before each walk
			t.Errorf("%+v: got %d walks, want no more within a second", query, s.walks)
		}
		walkProcesses(s)
		s.advance(minInterval)
		if got, err := s.Processes(t.Context(), query); err != nil || len(got.Processes) != 1 {
			t.Errorf("%+v: got %+v, error %v, want a process", query, got, err)
		}
	}
}

// TestProcessesWithStuckWalk checks that a request that waits for rates returns the last processes if
// the walk does not end in time.
func TestProcessesWithStuckWalk(t *testing.T) {
	s := newTestRecorder()
	walkProcesses(s)
	query := grouping.ProcessQuery{Group: "a", Limit: 1}
	if _, err := s.Processes(t.Context(), query); err != nil {
		t.Fatal(err)
	}
	s.advance(minInterval)
	ctx, cancel := context.WithCancel(t.Context())
	stuck := 0
	s.walk = func(context.Context) { stuck++; cancel() }
	got, err := s.Processes(ctx, query)
	if err != nil || len(got.Processes) != 1 || got.Interval != 0 || stuck == 0 {
		t.Errorf("got %+v, error %v after %d walks, want a process without rates after a walk", got, err, stuck)
	}
}

// TestConcurrentProcessRequests checks that two requests for the same processes wait for the same walk.
func TestConcurrentProcessRequests(t *testing.T) {
	s := newTestRecorder()
	walkProcesses(s)
	s.lastRequest = s.time
	s.scrape() // recent, without the processes
	walk, waiting, finish := s.walk, make(chan struct{}), make(chan struct{})
	var once sync.Once
	s.walk = func(ctx context.Context) {
		waiting <- struct{}{}
		<-finish
		once.Do(func() { walk(ctx) })
	}
	reports := make(chan string, 2)
	for range 2 {
		go func() {
			got, err := s.Processes(t.Context(), grouping.ProcessQuery{Group: "a", Limit: 1})
			reports <- fmt.Sprintf("%d processes, error %v", len(got.Processes), err)
		}()
		select {
		case <-waiting:
		case got := <-reports:
			t.Fatalf("got %s before the end of a walk", got)
		}
	}
	close(finish)
	for range 2 {
		if got := <-reports; got != "1 processes, error <nil>" {
			t.Errorf("got %s, want a process", got)
		}
	}
}

// TestEndedWithRetention checks that Options.Retention keeps ended processes of walks without
// requests, and that their number is limited.
func TestEndedWithRetention(t *testing.T) {
	s, ctx := newTestRecorder(), t.Context()
	s.keep = time.Minute
	s.current = s.newRecording()
	var ended []grouping.EndedProcess
	for i := range 100 {
		ended = append(ended, grouping.EndedProcess{Group: fmt.Sprint(i), PID: i, Reason: platform.ReasonExited, Code: "3"})
	}
	queries := walkProcesses(s, ended...)
	for range 30 {
		s.walk(ctx)
		s.advance(15 * time.Second)
	}
	if n := len(s.processes.ended); *queries != 0 || n != 1000 {
		t.Errorf("got %d queries and %d ended processes without requests, want 0 and 1000", *queries, n)
	}
	got, err := s.Processes(ctx, grouping.ProcessQuery{Group: "7", Limit: 100})
	if err != nil || len(got.Ended) == 0 || len(got.Ended) > 20 || got.Ended[0].PID != 7 {
		t.Errorf("got %+v, error %v, want at most 20 ended processes of the group", got.Ended, err)
	}
}

// TestServeProcesses checks the responses about processes, also to clients that may not see them.
func TestServeProcesses(t *testing.T) {
	for _, tt := range []struct {
		path   string
		hidden bool
		status int
		want   string
	}{
		{path: "?group=a", status: 200, want: `"processes":[{"pid":7,"user":"\u003cb\u003e"`},
		{path: "?group=a", status: 200, want: `"command":"\u003cimg onerror=x\u003e"`},
		{path: "?group=a&sort=-resident_bytes&limit=5", status: 200, want: `"resident_bytes":4096`},
		{path: "", status: 200, want: `"processes":[{"pid":7`},
		{path: "?unmatched=true&limit=5", status: 200, want: `"suggested_rules":"- rule"`},
		{path: "?find=1", status: 200, want: `"processes":[{"pid":7`},
		{path: "?find=1", hidden: true, status: 403, want: "--web.show-processes=on"},
		{path: "?find=1&group=a", status: 400, want: "without the parameters group"},
		{path: "?find=" + strings.Repeat("x", 65), status: 400, want: "at most 64 bytes"},
		{path: "?unmatched=true", hidden: true, status: 403, want: "--web.show-processes=on"},
		{path: "?unmatched=true&group=a", status: 400, want: "without the parameter group"},
		{path: "?unmatched=x", status: 400, want: "use true"},
		{path: "?group=a&sort=secret", status: 400, want: `unknown value "secret"`},
		{path: "?group=a&limit=0", status: 400, want: "use 1 to 100"},
		{path: "?group=a&limit=101", status: 400, want: "use 1 to 100"},
		{path: "?group=a", hidden: true, status: 403, want: "--web.show-processes=on"},
	} {
		s := newTestRecorder()
		queries := walkProcesses(s)
		options := testOptions
		options.ShowsProcesses = func(*http.Request) bool { return !tt.hidden }
		h, err := NewHandler(s.Recorder, options)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, ProcessesPath+tt.path, nil))
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("%s: got %d %s, want %d and %s", tt.path, w.Code, w.Body, tt.status, tt.want)
		}
		if tt.status == 403 && (*queries != 0 || s.walks != 0) {
			t.Errorf("got %d walks for a refused request, want 0", s.walks)
		}
	}
}

// TestProcessFieldsAreDocumented compares the fields of a ProcessReport with docs/api.md.
func TestProcessFieldsAreDocumented(t *testing.T) {
	checkDocumented(t, "## Fields of processes", reflect.TypeFor[ProcessReport](), 20)
}
