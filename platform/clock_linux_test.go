package platform

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/platform/internal/host"
	"github.com/seed57308aee/process_exporter/testdata/proctree"
)

// A machineTime is what the clocks of a machine say whose wall clock can be set.
type machineTime struct {
	tree          *proctree.Tree
	btime         int64 // of /proc/stat, in seconds
	sinceBoot, at time.Duration
}

// gettime is that of a [clock].
func (m *machineTime) gettime(id int32) time.Duration {
	switch id {
	case unix.CLOCK_REALTIME:
		return m.at
	case unix.CLOCK_BOOTTIME:
		return m.sinceBoot
	}
	panic(fmt.Sprintf("nobody asks for clock %d", id))
}

// pass lets some time pass, and then somebody set the clock, upon which the kernel
// tells another time of boot.
func (m *machineTime) pass(d, step time.Duration) {
	m.sinceBoot += d
	m.at += d + step
	m.btime += int64(step / time.Second)
	m.tree.BootTime(m.btime)
}

// TestClockSteps sets the clock of a machine, once or several times. After one walk
// every process is as old as it is, to a second, and it is the one that it was.
func TestClockSteps(t *testing.T) {
	const second, hour, bornAfter = time.Second, time.Hour, 50 * time.Second
	for _, tt := range []struct {
		name    string
		steps   []time.Duration
		follows bool // whether the start of a process that is known moves
	}{
		{"a second on", []time.Duration{second}, false},
		{"a second back", []time.Duration{-second}, false},
		{"on and back", []time.Duration{second, -second, second, -second}, false},
		{"an hour on", []time.Duration{hour}, true},
		{"an hour back", []time.Duration{-hour}, true},
		{"a second on, again and again", []time.Duration{second, second, second, second}, true},
		{"an hour on and back", []time.Duration{hour, -hour, hour}, true},
		{"to 1970", []time.Duration{-proctree.BootTime * second}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &machineTime{tree: proctree.New(t, 100_000), btime: proctree.BootTime, sinceBoot: 1000 * second, at: proctree.BootTime*second + 1000*second}
			hz := host.TicksPerSecond()
			m.tree.Set(proctree.Process{PID: 10, Comm: "p", Args: []string{"x"}, Start: uint64(bornAfter/second) * hz})
			src := openSource(t, m.tree.Root).(*source)
			src.clock.Simulate(m.gettime)
			var snap Snapshot
			walk(t, src, &snap, FieldStat)
			first, before := snap.Samples[0].ID, src.clock.Time(snap.Samples[0].Start)
			for i, step := range tt.steps {
				m.pass(15*second, step)
				walk(t, src, &snap, FieldStat)
				s := &snap.Samples[0]
				if s.ID != first || s.Have&FieldStat == 0 {
					t.Errorf("step %d: got %+v, which was %+v", i, s.ID, first)
				}
				want := time.Unix(0, int64(m.at-m.sinceBoot+bornAfter))
				if got := src.clock.Time(s.Start); got.Sub(want).Abs() > second || !snap.BootTime.Add(bornAfter).Equal(got) {
					t.Errorf("step %d: it began at %v, want %v; the boot was at %v", i, got, want, snap.BootTime)
				}
				if now := uint64(m.sinceBoot/second) * hz; snap.Now != now {
					t.Errorf("step %d: got %d ticks since boot, want %d", i, snap.Now, now)
				}
			}
			if moved := !src.clock.Time(first.Start).Equal(before); moved != tt.follows && len(tt.steps)%2 == 1 {
				t.Errorf("the start moved: %v, want %v", moved, tt.follows)
			}
		})
	}
}
