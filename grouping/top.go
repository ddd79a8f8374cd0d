package grouping

import (
	"slices"

	"github.com/seed57308aee/process_exporter/platform"
)

// A Member is one process of a group.
type Member struct {
	PID   int
	Comm  string  // a valid label value
	Value float64 // CPU seconds per second since the walk before, or resident bytes
}

// A top holds the processes of a group that have the most of something.
type top struct {
	cpu, rss []contender // the most first
}

type contender struct {
	pid   int
	comm  string
	value uint64
}

// offer enters a process that has used d since the last walk.
func (t *top) offer(r *record, s *platform.Sample, d *Counters) {
	t.cpu = enter(t.cpu, contender{s.PID, s.Comm, d.UserNanos + d.SystemNanos}, r.rule.Top)
	t.rss = enter(t.rss, contender{s.PID, s.Comm, s.ResidentBytes}, r.rule.Top)
}

// enter puts c where it belongs among at most n, unless it has nothing.
func enter(list []contender, c contender, n int) []contender {
	at, _ := slices.BinarySearchFunc(list, c, func(e, c contender) int {
		if e.value >= c.value {
			return -1
		}
		return 1
	})
	if c.value == 0 || at >= n {
		return list
	}
	return slices.Insert(list[:min(len(list), n-1)], at, c)
}

// members returns the processes and begins anew. ticks have passed since the
// walk before.
func (t *top) members(ticks uint64, snap *platform.Snapshot) (cpu, rss []Member) {
	if ticks > 0 {
		span := float64(ticks) / float64(snap.TicksPerSecond)
		cpu = membersOf(t.cpu, func(nanos uint64) float64 { return float64(nanos) / 1e9 / span })
	}
	rss = membersOf(t.rss, func(bytes uint64) float64 { return float64(bytes) })
	t.cpu, t.rss = t.cpu[:0], t.rss[:0]
	return cpu, rss
}

func membersOf(list []contender, value func(uint64) float64) []Member {
	if len(list) == 0 {
		return nil
	}
	out := make([]Member, len(list))
	for i, c := range list {
		out[i] = Member{c.pid, processName(c.comm), value(c.value)}
	}
	return out
}
