package collector

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
)

// An exitSource is a fakeSource whose exit events are always due. A walk uses 10 ms of CPU time.
type exitSource struct {
	fakeSource
	ready chan struct{}
	used  atomic.Int64 // nanoseconds
	skips []bool       // Snapshot.SkipSmaps of each walk
}

func (s *exitSource) ExitsReady() <-chan struct{} { return s.ready }

// newExitCollector returns a Collector of an exitSource. onWalk is called in each walk.
func newExitCollector(t *testing.T, onWalk func()) (*Collector, *exitSource) {
	s := &exitSource{fakeSource: fakeSource{size: 1}, ready: make(chan struct{})}
	close(s.ready)
	s.onWalk = func(snap *platform.Snapshot) {
		s.used.Add(int64(10 * time.Millisecond))
		s.skips = append(s.skips, snap.SkipSmaps)
		onWalk()
	}
	cpuTime := func() time.Duration { return time.Duration(s.used.Load()) }
	return New(Options{
		Tracker: grouping.NewTracker(s, rules(t, groupG), grouping.Options{CPUTime: cpuTime}),
		Logger:  slog.New(slog.DiscardHandler),
	}), s
}

// TestUpdatesForExits checks that updates for exit events use 5 % of the time, and read no
// proportional memory.
func TestUpdatesForExits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const duration, limit = time.Minute, 1000
		ctx, cancel := context.WithTimeout(t.Context(), duration)
		defer cancel()
		walks := 0
		c, s := newExitCollector(t, func() {
			if walks++; walks == limit {
				cancel()
			}
		})
		c.UpdateOnExits(ctx)
		synctest.Wait()
		if used := time.Duration(s.used.Load()); used > duration/20+10*time.Millisecond || used < duration/40 {
			t.Errorf("got %v of CPU time in %v, want 5 %%", used, duration)
		}
		if slices.Contains(s.skips, false) {
			t.Error("got a walk that reads proportional memory")
		}
	})
}

// TestScrapeDuringUpdateForExits checks that a scrape that waited for an update for exit events starts
// one that reads proportional memory.
func TestScrapeDuringUpdateForExits(t *testing.T) {
	waiting := &waitedContext{Context: t.Context(), waits: make(chan struct{})}
	c, s := newExitCollector(t, func() { <-waiting.waits }) // until the scrape has joined
	c.beginWith(t.Context(), &update{forExits: true})
	if u := c.join(waiting); u.forExits || !slices.Equal(s.skips, []bool{true, false}) {
		t.Errorf("got an update for exits %v after walks that skip memory %v, want false after true and false", u.forExits, s.skips)
	}
}

// A joiningContext calls join when a scrape has joined an update.
type joiningContext struct {
	context.Context
	join func()
}

func (s joiningContext) Done() <-chan struct{} {
	s.join()
	return s.Context.Done()
}

// TestScrapeAfterOtherUpdates checks which update a scrape returns that joins finished updates of
// others: never one for exit events, and an incomplete one only if it is not the first.
func TestScrapeAfterOtherUpdates(t *testing.T) {
	forExits, incomplete := update{forExits: true}, update{health: grouping.Health{Incomplete: true}}
	tests := []struct {
		name   string
		others []update
		own    bool // the scrape starts an update
	}{
		{"update for exits", []update{forExits}, true},
		{"update for exits after an incomplete one", []update{incomplete, forExits}, true},
		{"two updates for exits", []update{forExits, forExits}, true},
		{"two incomplete updates", []update{incomplete, incomplete}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, s := newExitCollector(t, func() {})
			var other *update
			next := func() { // ends the running update of others, and begins the next one
				c.mu.Lock()
				defer c.mu.Unlock()
				if c.running != other {
					return
				}
				if other = nil; len(tt.others) > 0 {
					other, tt.others = &tt.others[0], tt.others[1:]
					other.done = make(chan struct{})
					close(other.done)
				}
				c.running = other
			}
			next()
			u := c.join(joiningContext{t.Context(), next})
			if own := slices.Equal(s.skips, []bool{false}); u.forExits || own != tt.own || u.health.Incomplete == own {
				t.Errorf("got an update for exits %v, Incomplete %v, after walks %v; want an own one %v",
					u.forExits, u.health.Incomplete, s.skips, tt.own)
			}
		})
	}
}
