package grouping

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/platform"
)

// newBudgetTracker returns a Tracker of n processes with the title "idle", whose budget is
// sufficient for limit matches in each update.
func newBudgetTracker(t *testing.T, n, limit int) (*titleSource, *Tracker) {
	t.Helper()
	src, tr := newTitleTracker(t, n, "- {name: '{{.Matches.word}}', cmdline: '^(?P<word>\\w+)'}\n", false)
	m := &slowMatcher{Matcher: tr.matcher}
	tr.matcher, tr.opts.MatchBudget, tr.opts.CPUTime = m, time.Duration(limit), func() time.Duration { return m.cpu }
	return src, tr
}

// A slowMatcher uses one nanosecond of CPU time for each match.
type slowMatcher struct {
	Matcher
	cpu time.Duration
}

func (m *slowMatcher) Match(id *platform.Identity) Match {
	m.cpu++
	return m.Matcher.Match(id)
}

// execute makes the process at index i execute a program with a command line.
func (s *titleSource) execute(i int, args string) {
	s.samples[i].ExecID++
	s.run(i, args)
}

// TestMatchBudget checks that an update matches as many processes as the budget permits,
// and counts the others as unidentified. The next updates match them.
func TestMatchBudget(t *testing.T) {
	const n, limit = 100, 30
	src, tr := newBudgetTracker(t, n, limit)
	for i := range src.samples {
		src.execute(i, "busy")
		src.samples[i].UserNanos += 1e9
	}
	for update := 1; update <= 4; update++ {
		want := min(n, update*limit)
		if got := procsOf(t, tr); got["busy"] != want || got["idle"] != n-want || tr.Health().Unidentified != n-want {
			t.Errorf("update %d: got %v and %d unidentified processes, want %d busy", update, got, tr.Health().Unidentified, want)
		}
	}
	if got := tr.groups["busy"].total.UserNanos + tr.groups["idle"].total.UserNanos; got != n*1e9 {
		t.Errorf("got a CPU time of %d ns, want %d", got, uint64(n*1e9))
	}
}

// TestMatchBudgetNewProcesses checks that the usage of a process that is matched late counts
// in full in its group.
func TestMatchBudgetNewProcesses(t *testing.T) {
	const n, limit = 100, 30
	src, tr := newBudgetTracker(t, 1, limit)
	for i := 1; i <= n; i++ {
		s := liveSample(1000+i, 2_000_000, "titled", 1, 3)
		src.samples, src.titles[s.PID] = append(src.samples, s), "new"
	}
	for range 4 {
		procsOf(t, tr)
		for i := range src.samples[1:] {
			src.samples[1+i].UserNanos += 1e9
		}
	}
	procsOf(t, tr)
	got, ungrouped := tr.groups["new"].total.UserNanos, tr.MatchCounts().UngroupedNanos
	if want := uint64(n * (3 + 4) * 1e9); got != want || ungrouped != 0 {
		t.Errorf("got a CPU time of %d ns, and %d ns in no group, want %d and 0", got, ungrouped, want)
	}
}

// TestMatchBudgetUnlimited checks that the first update with new rules matches all.
func TestMatchBudgetUnlimited(t *testing.T) {
	const n = 100
	_, tr := newBudgetTracker(t, n, 1)
	slow := tr.matcher.(*slowMatcher)
	rules, err := Parse("test.yaml", []byte("process_names: [{name: other, cmdline: idle}]"))
	if err != nil {
		t.Fatal(err)
	}
	slow.Matcher = rules
	tr.SetMatcher(slow)
	if got := procsOf(t, tr)["other"]; got != n {
		t.Errorf("got %d processes in the new group, want %d", got, n)
	}
}

// TestLongCommandLines checks that processes with long command lines, which take the whole
// budget of each update, do not delay the others, and that each of them has its turn.
func TestLongCommandLines(t *testing.T) {
	const n, limit = 100, 10
	long := strings.Repeat("x ", maxQuickArgs)
	src, tr := newBudgetTracker(t, n, limit)
	for update := range 30 {
		for i := range n / 2 {
			src.execute(i, "long "+long)
		}
		last := n/2 + update
		src.execute(last, "busy")
		got := procsOf(t, tr)
		if got["busy"] != update+1 {
			t.Fatalf("update %d: got %v, want %d busy processes", update, got, update+1)
		}
	}
	if got := procsOf(t, tr)["long"]; got != n/2 {
		t.Errorf("got %d processes with long command lines in their group, want %d", got, n/2)
	}
}

// A limitedMatcher ends the context of an update after some matches.
type limitedMatcher struct {
	Matcher
	left int
	end  context.CancelFunc
}

func (m *limitedMatcher) Match(id *platform.Identity) Match {
	if m.left--; m.left == 0 {
		m.end()
	}
	return m.Matcher.Match(id)
}

// TestDeadlineWhileMatching checks that each process has its turn if all others must be matched in each
// update, and the deadline permits only some matches.
func TestDeadlineWhileMatching(t *testing.T) {
	const n, limit = 100, 10
	src, tr := newBudgetTracker(t, n, n)
	m := &limitedMatcher{Matcher: tr.matcher}
	tr.matcher = m
	src.execute(n-1, "busy")
	for range n/limit + 1 {
		for i := range n - 1 {
			src.execute(i, "idle")
		}
		var ctx context.Context
		ctx, m.end = context.WithCancel(t.Context())
		m.left = limit
		if _, err := tr.Update(ctx); err != nil || !tr.Health().Incomplete {
			t.Fatalf("got error %v, incomplete %v, want an incomplete update", err, tr.Health().Incomplete)
		}
	}
	if tr.groups["busy"] == nil {
		t.Error("the process with the highest PID was never matched")
	}
}
