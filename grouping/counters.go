package grouping

import "github.com/seed57308aee/process_exporter/platform"

// A counterSet is a set of kinds of counters, one bit for each field of
// [CounterDecreases] in order. Waiting times are not included: that of a main thread
// is lost when execve(2) in another thread replaces it.
type counterSet uint8

const (
	cpuCounters counterSet = 1 << iota
	faultCounters
	ioCounters
	switchCounters

	allCounters = cpuCounters | faultCounters | ioCounters | switchCounters
)

// CounterDecreases counts how often counters of a process, or of its threads, had a
// lower value than in the sample before. The kernel guarantees that they never
// decrease. The totals of groups do not decrease with them.
type CounterDecreases struct {
	CPU, Faults, IO, Switches uint64
}

// readCounters returns the kinds of counters that a sample has.
func readCounters(have platform.Fields) (kinds counterSet) {
	if have&platform.FieldStat != 0 {
		kinds |= cpuCounters | faultCounters
	}
	if have&platform.FieldIO != 0 {
		kinds |= ioCounters
	}
	if have&platform.FieldStatus != 0 {
		kinds |= switchCounters
	}
	return kinds
}

// note counts the counters that decreased in this walk and not when they were compared before.
// compared are the kinds of counters that were compared in this walk.
// A process that is being reaped has no threads and zero counters, which is no
// decrease.
func (n *CounterDecreases) note(r *record, s *platform.Sample, compared counterSet) {
	if s.Threads > 0 {
		for kind, to := range [...]*uint64{&n.CPU, &n.Faults, &n.IO, &n.Switches} {
			*to += uint64(r.decreased &^ r.decreasedBefore >> kind & 1)
		}
		r.decreasedBefore = r.decreasedBefore&^compared | r.decreased
	}
	r.decreased = 0
}
