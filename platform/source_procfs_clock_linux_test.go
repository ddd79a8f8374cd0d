package platform

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/platform/internal/host"
	"github.com/seed57308aee/process_exporter/test/procfstree"
)

// fakeClocks are the clocks of a machine whose wall clock a test sets.
type fakeClocks struct {
	tree          *procfstree.Tree
	btime         int64 // of /proc/stat, in seconds
	sinceBoot, at time.Duration
}

// gettime returns the value of a clock, as clock_gettime(2).
func (m *fakeClocks) gettime(id int32) time.Duration {
	switch id {
	case unix.CLOCK_REALTIME:
		return m.at
	case unix.CLOCK_BOOTTIME:
		return m.sinceBoot
	}
	panic(fmt.Sprintf("unexpected clock %d", id))
}

// advance advances all clocks by d and the wall clock by step. The boot time in /proc/stat
// changes with the wall clock.
func (m *fakeClocks) advance(d, step time.Duration) {
	m.sinceBoot += d
	m.at += d + step
	m.btime += int64(step / time.Second)
	m.tree.BootTime(m.btime)
}

// TestClockSteps sets the wall clock once or several times. After the next walk the age of
// every process must be correct to a second, and its ID unchanged.
func TestClockSteps(t *testing.T) {
	const second, hour, startAfter = time.Second, time.Hour, 50 * time.Second
	for _, tt := range []struct {
		name    string
		steps   []time.Duration
		follows bool // whether the start time of a known process changes
	}{
		{"1 s forward", []time.Duration{second}, false},
		{"1 s back", []time.Duration{-second}, false},
		{"1 s forward and back", []time.Duration{second, -second, second, -second}, false},
		{"1 h forward", []time.Duration{hour}, true},
		{"1 h back", []time.Duration{-hour}, true},
		{"1 s forward repeatedly", []time.Duration{second, second, second, second}, true},
		{"1 h forward and back", []time.Duration{hour, -hour, hour}, true},
		{"to 1970", []time.Duration{-procfstree.BootTime * second}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &fakeClocks{tree: procfstree.New(t, 100_000), btime: procfstree.BootTime, sinceBoot: 1000 * second}
			m.at = procfstree.BootTime*second + m.sinceBoot
			hz := host.TicksPerSecond()
			m.tree.Set(procfstree.Process{PID: 10, Comm: "p", Args: []string{"x"}, Start: uint64(startAfter/second) * hz})
			src := openSource(t, m.tree.Root).(*procfsSource)
			src.clock.Simulate(m.gettime)
			var snap Snapshot
			walk(t, src, &snap, FieldStat)
			first, before := snap.Samples[0].ID, src.clock.Time(snap.Samples[0].Start)
			for i, step := range tt.steps {
				m.advance(15*second, step)
				walk(t, src, &snap, FieldStat)
				s := &snap.Samples[0]
				if s.ID != first || s.Have&FieldStat == 0 {
					t.Errorf("step %d: got %+v, want %+v as before", i, s.ID, first)
				}
				want := time.Unix(0, int64(m.at-m.sinceBoot+startAfter))
				if got := src.clock.Time(s.Start); got.Sub(want).Abs() > second || !snap.BootTime.Add(startAfter).Equal(got) {
					t.Errorf("step %d: got start time %v, want %v; boot time %v", i, got, want, snap.BootTime)
				}
				if now := uint64(m.sinceBoot/second) * hz; snap.Now != now {
					t.Errorf("step %d: got %d ticks since boot, want %d", i, snap.Now, now)
				}
			}
			if moved := !src.clock.Time(first.Start).Equal(before); moved != tt.follows && len(tt.steps)%2 == 1 {
				t.Errorf("start time changed: got %v, want %v", moved, tt.follows)
			}
		})
	}
}
