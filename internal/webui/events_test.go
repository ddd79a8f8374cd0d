package webui

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/collector"
	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
)

// TestEventTimes checks that events of exits have the time of the exit, if the source knows it.
func TestEventTimes(t *testing.T) {
	s, ctx := newTestRecorder(), context.Background()
	end := s.time.Add(2 * time.Second)
	var ended []grouping.EndedProcess
	var exits []grouping.ExitCount
	s.walk = func(context.Context) {
		g := cpuGroup("a", 1)
		g.ExitsKnown, g.Exits = true, exits
		s.observe(collector.UpdateResult{Time: s.time, Groups: []grouping.Group{g}, Ended: ended})
	}
	s.Report(ctx)
	s.advance(5 * time.Second)
	exits = []grouping.ExitCount{
		{Reason: platform.ReasonExited, Code: "0", Count: 1}, {Reason: platform.ReasonKilled, Code: "SIGKILL", Count: 2},
	}
	ended = []grouping.EndedProcess{
		{Group: "a", PID: 1, Start: end.Add(-time.Second), End: end.Add(-time.Second), Reason: platform.ReasonKilled, Code: "SIGKILL"},
		{Group: "a", PID: 2, Start: end.Add(-time.Second), End: end, Reason: platform.ReasonKilled, Code: "SIGKILL"},
		{Group: "b", PID: 3, Start: end.Add(-time.Second), End: end, Reason: platform.ReasonExited, Code: "0"},
		{Group: "a", PID: 4, Start: end.Add(-time.Second), Reason: platform.ReasonExited, Code: "0"}, // at an unknown time
	}
	s.Report(ctx)
	var got []string
	for _, e := range s.current.history.report(historyQuery{top: 1}).Events {
		got = append(got, fmt.Sprint(e.Kind, e.Count, e.Time.Sub(end), e.Approximate))
	}
	if want := "[failure2 0s false exit1 3s true]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
	report := s.processes.report(&processRequest{query: grouping.ProcessQuery{Group: "a", Limit: 10}, list: new(grouping.ProcessList)})
	got = nil
	for _, e := range report.Ended {
		got = append(got, fmt.Sprint(e.PID, e.End.Sub(end), e.Approximate))
	}
	if want := "[4 3s true 2 0s false 1 -1s false]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

// TestEventOfOldExit checks that the exit of a process that was a zombie for longer than the history
// has the time of the walk that found it.
func TestEventOfOldExit(t *testing.T) {
	s := newTestRecorder()
	var ended []grouping.EndedProcess
	var exits []grouping.ExitCount
	s.walk = func(context.Context) {
		g := cpuGroup("a", 1)
		g.ExitsKnown, g.Exits = true, exits
		s.observe(collector.UpdateResult{Time: s.time, Groups: []grouping.Group{g}, Ended: ended})
	}
	s.Report(t.Context())
	s.advance(5 * time.Second)
	exits = []grouping.ExitCount{{Reason: platform.ReasonDumped, Code: "SIGSEGV", Count: 1}}
	ended = []grouping.EndedProcess{
		{Group: "a", PID: 1, End: s.time.Add(-DefaultRetention - time.Second), Reason: platform.ReasonDumped, Code: "SIGSEGV"},
	}
	s.Report(t.Context())
	want := []Event{{
		Time: Timestamp{s.time}, Kind: EventFailure, Group: "a", Reason: platform.ReasonDumped, Code: "SIGSEGV", Count: 1, Approximate: true,
	}}
	if got := s.current.history.report(historyQuery{top: 1}).Events; !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
