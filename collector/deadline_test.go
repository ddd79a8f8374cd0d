package collector

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/test/procfstree"
)

// A fakeSource is a Source of size equal processes, with hooks.
type fakeSource struct {
	size       int
	onWalk     func(*platform.Snapshot) // may be nil
	onIdentify func()                   // may be nil
	err        error                    // of the walk
}

func (c *fakeSource) Walk(_ context.Context, snap *platform.Snapshot) error {
	want := make(map[int]platform.Fields)
	for _, s := range snap.Samples {
		want[s.PID] = s.Want
	}
	snap.Samples, snap.Incomplete, snap.HidePID, snap.Unreported, snap.Unresponsive = nil, false, false, 0, 0
	snap.Now, snap.TicksPerSecond = 1e6, 100
	for pid := 1; pid <= c.size; pid++ {
		snap.Samples = append(snap.Samples, platform.Sample{
			ID:         platform.ID{PID: pid, Start: 1},
			Have:       platform.FieldStat,
			State:      'S',
			Comm:       "g",
			NumThreads: 1,
			Want:       want[pid],
		})
	}
	if c.onWalk != nil {
		c.onWalk(snap)
	}
	return c.err
}

func (c *fakeSource) Complete(context.Context, *platform.Snapshot) {}

func (c *fakeSource) Identify(_ context.Context, s *platform.Sample, _ platform.IdentityFields) (platform.Identity, error) {
	if c.onIdentify != nil {
		c.onIdentify()
	}
	return platform.Identity{ID: s.ID, Comm: s.Comm}, nil
}

func (c *fakeSource) Fingerprints(_ context.Context, _ *platform.Snapshot, indexes []int, _ platform.IdentityFields, _ []uint64) int {
	return len(indexes)
}

func (c *fakeSource) Close() error { return nil }

func (c *fakeSource) ExitIdentity(*platform.Exit, platform.IdentityFields) platform.Identity {
	return platform.Identity{}
}

func (c *fakeSource) Kind() (platform.SourceKind, error) { return platform.SourceProcfs, nil }

func (c *fakeSource) ExitsReady() <-chan struct{} { return nil }

// rules parses rules without the key process_names.
func rules(t *testing.T, config string) *grouping.Config {
	t.Helper()
	cfg, err := grouping.Parse("test.yaml", []byte("process_names:\n"+config))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// TestIdentificationStopsAtDeadline checks that processes that are not identified
// before the deadline are identified by the next update.
func TestIdentificationStopsAtDeadline(t *testing.T) {
	const size, limit = 100, 3
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	identified := 0
	src := &fakeSource{size: size, onIdentify: func() {
		if identified++; identified == limit {
			cancel()
		}
	}}
	tr := grouping.NewTracker(src, rules(t, groupG), grouping.Options{Children: true, Collectors: grouping.AllCollectors})
	if _, err := tr.Update(ctx); err != nil {
		t.Fatal(err)
	}
	if identified != limit || !tr.Health().Incomplete {
		t.Errorf("got %d processes identified and Incomplete %v, want %d and true", identified, tr.Health().Incomplete, limit)
	}
	groups, err := tr.Update(context.Background())
	if err != nil || len(groups) != 1 || groups[0].Procs != size || tr.Health().Incomplete {
		t.Errorf("got groups %+v, error %v, Incomplete %v of the next update, want one group with all processes",
			groups, err, tr.Health().Incomplete)
	}
}

// A slowSource is a fakeSource whose walk ends at its deadline.
type slowSource struct{ fakeSource }

func (s *slowSource) Walk(ctx context.Context, snap *platform.Snapshot) error {
	err := s.fakeSource.Walk(ctx, snap)
	<-ctx.Done()
	snap.Incomplete = true
	return err
}

// TestWalkLeavesTimeForIdentification checks that new processes are identified
// although every walk ends at its deadline.
func TestWalkLeavesTimeForIdentification(t *testing.T) {
	const size = 100
	src := &slowSource{fakeSource{size: size}}
	tr := grouping.NewTracker(src, rules(t, groupG), grouping.Options{Children: true, Collectors: grouping.AllCollectors})
	for range 20 { // on a busy machine one update may not identify all
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		groups, err := tr.Update(ctx)
		cancel()
		if err != nil || !tr.Health().Incomplete {
			t.Fatalf("got error %v, Incomplete %v", err, tr.Health().Incomplete)
		}
		if len(groups) == 1 && groups[0].Procs == size {
			return
		}
	}
	t.Errorf("got fewer than %d processes identified after 20 updates", size)
}

// A cancelingMatcher cancels a context when it matches a process.
type cancelingMatcher struct {
	grouping.Matcher
	cancel func()
}

func (c cancelingMatcher) Match(id *platform.Identity) grouping.Match {
	c.cancel()
	return c.Matcher.Match(id)
}

// TestDeadlineBeforeComplete checks that a deadline between the walk and the read of
// the wanted fields makes the update incomplete.
func TestDeadlineBeforeComplete(t *testing.T) {
	tree := procfstree.New(t, uptime)
	tree.Set(gWithCPU(1))
	src, err := platform.Open(platform.Options{Root: tree.Root})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = src.Close() }()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	tr := grouping.NewTracker(src, cancelingMatcher{rules(t, groupG), cancel},
		grouping.Options{Children: true, Collectors: grouping.AllCollectors})
	groups, err := tr.Update(ctx)
	if err != nil || len(groups) != 1 {
		t.Fatalf("got groups %+v, error %v, want one", groups, err)
	}
	if groups[0].GaugeFields&platform.FieldFDs != 0 || !tr.Health().Incomplete {
		t.Errorf("got GaugeFields %b and Incomplete %v, want no open files and true", groups[0].GaugeFields, tr.Health().Incomplete)
	}
}

// A waitedContext closes waits at the first call of Done.
type waitedContext struct {
	context.Context
	once  sync.Once
	waits chan struct{}
}

func (s *waitedContext) Done() <-chan struct{} {
	s.once.Do(func() { close(s.waits) })
	return s.Context.Done()
}

// TestScrapeAfterShortenedWalk checks that a scrape that waited for the walk of
// another scrape with a shorter deadline starts another walk.
func TestScrapeAfterShortenedWalk(t *testing.T) {
	waiting := &waitedContext{Context: context.Background(), waits: make(chan struct{})}
	walks := 0
	src := &fakeSource{size: 2, onWalk: func(snap *platform.Snapshot) {
		if walks++; walks == 1 {
			<-waiting.waits // until the second scrape has joined
			snap.Incomplete = true
		}
	}}
	c := New(Options{
		Tracker: grouping.NewTracker(src, rules(t, groupG), grouping.Options{Collectors: grouping.AllCollectors}),
		Logger:  slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if _, mine := c.begin(context.Background()); !mine {
		t.Fatal("got a running walk, want none")
	}
	u := c.join(waiting)
	if u.health.Incomplete || walks != 2 {
		t.Errorf("got Incomplete %v after %d walks, want false after 2", u.health.Incomplete, walks)
	}
}

// TestExpiredDeadlineIsNoReadError checks that a scrape whose deadline has passed
// fails without counting read errors.
func TestExpiredDeadlineIsNoReadError(t *testing.T) {
	f := newFixture(t, setup{config: groupG, opts: withChildren}, gWithCPU(1))
	late, cancel := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
	defer cancel()
	for range 5 {
		walk, _ := f.c.begin(late) // or joins the walk that the previous scrape started
		if <-walk.done; !walk.health.Incomplete {
			t.Fatal("got a complete walk after its deadline")
		}
		fams, err := f.c.Gatherer(late).Gather()
		if err != nil {
			t.Fatal(err)
		}
		f.want(flatten(fams), map[string]float64{"namedprocess_exporter_scrape_success": 0, "namedprocess_exporter_scrape_incomplete": 1})
	}
	f.want(f.scrape(), map[string]float64{
		"namedprocess_scrape_procread_errors":     0,
		"namedprocess_scrape_partial_errors":      0,
		"namedprocess_scrape_errors":              0,
		"namedprocess_exporter_scrape_success":    1,
		"namedprocess_exporter_scrape_incomplete": 0,
		seriesG("num_procs"):                      1,
	})
}

// TestPartialScrapes checks the metrics of walks that end at their deadline, fail, or
// do not see all processes. Only the first are partial.
func TestPartialScrapes(t *testing.T) {
	tests := []struct {
		name             string
		onWalk           func(*platform.Snapshot)
		err              error
		success, partial float64
	}{
		{name: "complete", success: 1},
		{name: "hidden processes", onWalk: func(snap *platform.Snapshot) { snap.HidePID = true }},
		{name: "unresponsive process", onWalk: func(snap *platform.Snapshot) { snap.Unresponsive = 1 }, success: 1},
		{name: "walk ends at the deadline", onWalk: func(snap *platform.Snapshot) { snap.Incomplete = true }, partial: 1},
		{name: "walk fails", err: io.ErrUnexpectedEOF},
	}
	src := &fakeSource{size: 2}
	tracker := grouping.NewTracker(src, rules(t, groupG), grouping.Options{Collectors: grouping.AllCollectors})
	c := New(Options{Tracker: tracker, Logger: slog.New(slog.DiscardHandler)})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src.onWalk, src.err = tt.onWalk, tt.err
			fams, err := c.Gatherer(context.Background()).Gather()
			if err != nil {
				t.Fatal(err)
			}
			f := &fixture{t: t}
			f.want(flatten(fams), map[string]float64{
				"namedprocess_exporter_scrape_success":    tt.success,
				"namedprocess_exporter_scrape_incomplete": tt.partial,
			})
		})
	}
}

// TestUnreportedProcesses checks the metric of processes that BPF does not report, and that
// the log has one warning while there are some.
func TestUnreportedProcesses(t *testing.T) {
	src := &fakeSource{size: 2}
	var log strings.Builder
	c := New(Options{
		Tracker: grouping.NewTracker(src, rules(t, groupG), grouping.Options{Collectors: grouping.AllCollectors}),
		Logger:  slog.New(slog.NewTextHandler(&log, nil)),
	})
	for _, n := range []int{0, 1, 1, 2} {
		src.onWalk = func(snap *platform.Snapshot) { snap.Unreported, snap.UnreportedList = n, fmt.Sprint(n, " (init)") }
		fams, err := c.Gatherer(context.Background()).Gather()
		if err != nil {
			t.Fatal(err)
		}
		f := &fixture{t: t}
		f.want(flatten(fams), map[string]float64{"namedprocess_exporter_unreported_processes": float64(n)})
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 || !strings.Contains(log.String(), `processes=1 first="1 (init)"`) {
		t.Errorf("got %d warnings, want 1 about one process, in\n%s", n, log.String())
	}
}

// TestConcurrentScrapes is for the race detector: scrapes with deadlines shorter and
// longer than a walk, reloads and changing processes.
func TestConcurrentScrapes(t *testing.T) {
	f := newFixture(t, setup{
		config: "- {name: '{{.Comm}}', cmdline: ['.']}",
		opts:   grouping.Options{Children: true, Recheck: true, RemoveEmpty: true},
	}, initProcess, gWithCPU(1))
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			for range 20 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+i*i*40)*time.Millisecond)
				if _, err := f.c.Gatherer(ctx).Gather(); err != nil {
					t.Error(err)
				}
				cancel()
			}
		})
	}
	for i := range 20 {
		f.c.tracker.SetMatcher(rules(t, groupG))
		f.Set(proc(11, 10, fmt.Sprint("p", i), "x"))
	}
	wg.Wait()
	f.want(f.scrape(), map[string]float64{seriesG("num_procs"): 2, "namedprocess_exporter_scrape_success": 1})
}
