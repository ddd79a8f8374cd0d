package grouping

import (
	"slices"

	"github.com/seed57308aee/process_exporter/platform"
)

// A TopProcess is one process of a group.
type TopProcess struct {
	PID   int
	Comm  string  // a valid label value
	Value float64 // CPU seconds per second since the previous walk, or resident bytes
}

// topProcesses are the processes of a group with the highest usage, in descending
// order.
type topProcesses struct {
	cpu, rss []topProcess
}

type topProcess struct {
	pid   int
	comm  string
	value uint64
}

// add adds a process with the usage d since the previous walk.
func (t *topProcesses) add(r *processRecord, s *platform.Sample, d *Counters) {
	t.cpu = insertTop(t.cpu, topProcess{s.PID, s.Comm, d.UserNanos + d.SystemNanos}, r.rule.Top)
	t.rss = insertTop(t.rss, topProcess{s.PID, s.Comm, s.ResidentBytes}, r.rule.Top)
}

// insertTop inserts p into list, which keeps the n highest values. It ignores zero.
func insertTop(list []topProcess, p topProcess, n int) []topProcess {
	at, _ := slices.BinarySearchFunc(list, p, func(e, p topProcess) int {
		if e.value >= p.value {
			return -1
		}
		return 1
	})
	if p.value == 0 || at >= n {
		return list
	}
	return slices.Insert(list[:min(len(list), n-1)], at, p)
}

// members returns the processes and clears the lists. elapsed is the time since the
// previous walk, in ticks; CPU usage is unknown if it is 0.
func (t *topProcesses) members(elapsed, ticksPerSecond uint64) (cpu, rss []TopProcess) {
	if elapsed > 0 {
		seconds := float64(elapsed) / float64(ticksPerSecond)
		cpu = membersOf(t.cpu, func(nanos uint64) float64 { return float64(nanos) / 1e9 / seconds })
	}
	rss = membersOf(t.rss, func(bytes uint64) float64 { return float64(bytes) })
	t.cpu, t.rss = t.cpu[:0], t.rss[:0]
	return cpu, rss
}

func membersOf(list []topProcess, value func(uint64) float64) []TopProcess {
	if len(list) == 0 {
		return nil
	}
	out := make([]TopProcess, len(list))
	for i, p := range list {
		out[i] = TopProcess{p.pid, processName(p.comm), value(p.value)}
	}
	return out
}
