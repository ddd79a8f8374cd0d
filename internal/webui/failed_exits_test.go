package webui

import (
	"context"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
)

// TestFailedExits checks which exits are failures, and that they are counted for five minutes.
func TestFailedExits(t *testing.T) {
	s, ctx := newTestRecorder(), context.Background()
	s.Report(ctx)
	if got := s.Report(ctx); got.FailedExits != nil {
		t.Errorf("got %d failures without exits, want no value", *got.FailedExits)
	}
	exits := func(counts ...uint64) {
		g := cpuGroup("a", 1)
		g.ExitsKnown = true
		kinds := []grouping.ExitCount{
			{Reason: platform.ReasonExited, Code: "0"}, {Reason: platform.ReasonExited, Code: "1"}, {Reason: platform.ReasonKilled, Code: "SIGTERM"},
			{Reason: platform.ReasonKilled, Code: "SIGKILL"}, {Reason: platform.ReasonDumped, Code: "SIGSEGV"},
		}
		for i, n := range counts {
			kinds[i].Count = n
		}
		g.Exits = kinds
		s.groups = []grouping.Group{g}
	}
	check := func(want uint64, seconds float64) {
		t.Helper()
		got := s.Report(ctx)
		if got.FailedExits == nil || *got.FailedExits != want || *got.FailedExitsSeconds != seconds {
			t.Errorf("got %v failures in %v s, want %d in %v s", *got.FailedExits, *got.FailedExitsSeconds, want, seconds)
		}
		if of := got.Groups[0].FailedExits; of == nil || *of != want {
			t.Errorf("got %v failures of the group, want %d", of, want)
		}
	}
	exits(5, 5, 5, 5, 5)
	s.advance(5 * time.Second)
	s.Report(ctx)
	s.advance(5 * time.Second)
	exits(6, 6, 6, 6, 6) // one success, one stop, three failures
	first := s.Report(ctx)
	if got := *first.FailedExits; got != 18 { // the group is new since the first walk
		t.Errorf("got %d failures, want 15 of the new group and 3", got)
	}
	for i := range 58 { // until a second before the first ones are five minutes old
		s.advance(5 * time.Second)
		check(18, min(300, *first.FailedExitsSeconds+float64(5*i+5)))
	}
	s.advance(5 * time.Second)
	check(3, 300)
	s.advance(5 * time.Second)
	check(0, 300)
}
