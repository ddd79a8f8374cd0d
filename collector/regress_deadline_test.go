package collector

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/testdata/proctree"
)

// A crowd is a Source of processes that never lived, whose calls a test hooks.
type crowd struct {
	size       int
	onWalk     func(*platform.Snapshot) // nil: nothing
	onIdentify func()                   // nil: nothing
	err        error                    // of the walk
}

func (c *crowd) Walk(_ context.Context, snap *platform.Snapshot) error {
	want := make(map[int]platform.Fields)
	for _, s := range snap.Samples {
		want[s.PID] = s.Want
	}
	snap.Samples, snap.Partial, snap.HidePID, snap.Unresponsive = nil, false, false, 0
	snap.Now, snap.TicksPerSecond = 1e6, 100
	for pid := 1; pid <= c.size; pid++ {
		snap.Samples = append(snap.Samples, platform.Sample{ID: platform.ID{PID: pid, Start: 1}, Have: platform.FieldStat, State: 'S', Comm: "g", Threads: 1, Want: want[pid]})
	}
	if c.onWalk != nil {
		c.onWalk(snap)
	}
	return c.err
}

func (c *crowd) Complete(context.Context, *platform.Snapshot) {}

func (c *crowd) Identify(_ context.Context, s *platform.Sample, _ platform.IdentityFields) (platform.Identity, error) {
	if c.onIdentify != nil {
		c.onIdentify()
	}
	return platform.Identity{ID: s.ID, Comm: s.Comm}, nil
}

func (c *crowd) Fingerprints(context.Context, *platform.Snapshot, []int, platform.IdentityFields, []uint64) {
}

func (c *crowd) Close() error { return nil }

func (c *crowd) ExitIdentity(*platform.Exit, platform.IdentityFields) platform.Identity {
	return platform.Identity{}
}

func (c *crowd) Kind() (platform.Kind, error) { return platform.KindProcfs, nil }

func (c *crowd) ExitsPending() <-chan struct{} { return nil }

func rules(t *testing.T, config string) *grouping.Config {
	t.Helper()
	cfg, err := grouping.Parse("test.yaml", []byte("process_names:\n"+config))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// TestNamingStopsAtTheDeadline has a deadline that comes while many processes
// are given their names. The others get theirs from the next update.
func TestNamingStopsAtTheDeadline(t *testing.T) {
	const size, until = 100, 3
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	named := 0
	src := &crowd{size: size, onIdentify: func() {
		if named++; named == until {
			cancel()
		}
	}}
	tr := grouping.NewTracker(src, rules(t, groupG), grouping.Options{Children: true})
	if _, err := tr.Update(ctx); err != nil {
		t.Fatal(err)
	}
	if named != until || !tr.Health().Incomplete {
		t.Errorf("got %d processes named and Incomplete %v, want %d and true", named, tr.Health().Incomplete, until)
	}
	groups, err := tr.Update(context.Background())
	if err != nil || len(groups) != 1 || groups[0].Procs != size || tr.Health().Incomplete {
		t.Errorf("got groups %+v, error %v, Incomplete %v of the update after it", groups, err, tr.Health().Incomplete)
	}
}

// A slowWalk is a crowd whose walk takes all the time that it is given.
type slowWalk struct{ crowd }

func (s *slowWalk) Walk(ctx context.Context, snap *platform.Snapshot) error {
	err := s.crowd.Walk(ctx, snap)
	<-ctx.Done()
	snap.Partial = true
	return err
}

// TestWalkLeavesTimeForNames has walks that end at their deadline. New processes
// get their names all the same.
func TestWalkLeavesTimeForNames(t *testing.T) {
	const size = 100
	src := &slowWalk{crowd{size: size}}
	tr := grouping.NewTracker(src, rules(t, groupG), grouping.Options{Children: true})
	for range 20 { // on a busy machine there may be no time for all
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
	t.Error("the processes have no names")
}

// A canceller ends a context when it is asked for the name of a process.
type canceller struct {
	grouping.Matcher
	cancel func()
}

func (c canceller) Match(id *platform.Identity) grouping.Match {
	c.cancel()
	return c.Matcher.Match(id)
}

// TestDeadlineBeforeTheRestIsTold has a deadline that comes after all processes
// were found and before the rest of them is read: that is no whole scrape.
func TestDeadlineBeforeTheRestIsTold(t *testing.T) {
	tree := proctree.New(t, uptime)
	tree.Set(user(1))
	src, err := platform.Open(platform.Options{Root: tree.Root})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = src.Close() }()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	tr := grouping.NewTracker(src, canceller{rules(t, groupG), cancel}, grouping.Options{Children: true, Fields: Fields(true, true)})
	groups, err := tr.Update(ctx)
	if err != nil || len(groups) != 1 {
		t.Fatalf("got groups %+v, error %v, want one", groups, err)
	}
	if groups[0].Known&platform.FieldFDs != 0 || !tr.Health().Incomplete {
		t.Errorf("got Known %b and Incomplete %v, want no open files and true", groups[0].Known, tr.Health().Incomplete)
	}
}

// A signalling context tells when somebody begins to wait for its end.
type signalling struct {
	context.Context
	once  sync.Once
	waits chan struct{}
}

func (s *signalling) Done() <-chan struct{} {
	s.once.Do(func() { close(s.waits) })
	return s.Context.Done()
}

// TestHurryOfAnotherScrape has a walk that was cut short for a scrape with
// little time. One with more, which waited for it, gets a walk of its own.
func TestHurryOfAnotherScrape(t *testing.T) {
	patient := &signalling{Context: context.Background(), waits: make(chan struct{})}
	walks := 0
	src := &crowd{size: 2, onWalk: func(snap *platform.Snapshot) {
		if walks++; walks == 1 {
			<-patient.waits // the patient one has joined by then
			snap.Partial = true
		}
	}}
	c := New(Options{Tracker: grouping.NewTracker(src, rules(t, groupG), grouping.Options{}), Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if _, mine := c.begin(context.Background()); !mine {
		t.Fatal("a walk runs already")
	}
	w := c.join(patient)
	if w.health.Incomplete || walks != 2 {
		t.Errorf("got Incomplete %v after %d walks, want false after 2", w.health.Incomplete, walks)
	}
}

// TestLateScrapesAreNoReadErrors has scrapes whose time is up from the start.
// They fail, but no file did.
func TestLateScrapesAreNoReadErrors(t *testing.T) {
	w := newWorld(t, setup{config: groupG, opts: children}, user(1))
	late, cancel := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
	defer cancel()
	for range 5 {
		walk, _ := w.c.begin(late) // or the one that the scrape before left running
		if <-walk.done; !walk.health.Incomplete {
			t.Fatal("a walk without time claims to be whole")
		}
		fams, err := w.c.For(late).Gather()
		if err != nil {
			t.Fatal(err)
		}
		w.want(flatten(fams), map[string]float64{"namedprocess_exporter_scrape_success": 0, "namedprocess_exporter_scrape_partial": 1})
	}
	w.want(w.scrape(), map[string]float64{
		"namedprocess_scrape_procread_errors":  0,
		"namedprocess_scrape_partial_errors":   0,
		"namedprocess_scrape_errors":           0,
		"namedprocess_exporter_scrape_success": 1,
		"namedprocess_exporter_scrape_partial": 0,
		in("num_procs"):                        1,
	})
}

// TestPartialScrapes has walks that end at their deadline, fail, or do not see
// all. Only for the first more time would help.
func TestPartialScrapes(t *testing.T) {
	tests := []struct {
		name             string
		onWalk           func(*platform.Snapshot)
		err              error
		success, partial float64
	}{
		{name: "whole", success: 1},
		{name: "hidden processes", onWalk: func(snap *platform.Snapshot) { snap.HidePID = true }},
		{name: "a process that does not answer", onWalk: func(snap *platform.Snapshot) { snap.Unresponsive = 1 }, success: 1},
		{name: "processes that were not reached", onWalk: func(snap *platform.Snapshot) { snap.Partial = true }, partial: 1},
		{name: "no list of processes", err: io.ErrUnexpectedEOF},
	}
	src := &crowd{size: 2}
	c := New(Options{Tracker: grouping.NewTracker(src, rules(t, groupG), grouping.Options{}), Logger: slog.New(slog.DiscardHandler)})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src.onWalk, src.err = tt.onWalk, tt.err
			fams, err := c.For(context.Background()).Gather()
			if err != nil {
				t.Fatal(err)
			}
			w := &world{t: t}
			w.want(flatten(fams), map[string]float64{"namedprocess_exporter_scrape_success": tt.success, "namedprocess_exporter_scrape_partial": tt.partial})
		})
	}
}

// TestScrapesAtTheSameTime is for the race detector: scrapes with more and less
// time than a walk takes, of rules that are replaced and processes that change.
func TestScrapesAtTheSameTime(t *testing.T) {
	w := newWorld(t, setup{config: "- {name: '{{.Comm}}', cmdline: ['.']}", opts: grouping.Options{Children: true, Recheck: true, RemoveEmpty: true}}, other, user(1))
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			for range 20 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+i*i*40)*time.Millisecond)
				if _, err := w.c.For(ctx).Gather(); err != nil {
					t.Error(err)
				}
				cancel()
			}
		})
	}
	for i := range 20 {
		w.c.tracker.SetMatcher(rules(t, groupG))
		w.Set(proc(11, 10, fmt.Sprint("p", i), "x"))
	}
	wg.Wait()
	w.want(w.scrape(), map[string]float64{in("num_procs"): 2, "namedprocess_exporter_scrape_success": 1})
}
