package grouping

import "github.com/seed57308aee/process_exporter/platform"

// Counters are totals that never decrease.
type Counters struct {
	UserNanos, SystemNanos                  uint64
	MinorFaults, MajorFaults                uint64
	ReadBytes, WriteBytes                   uint64
	VoluntarySwitches, NonvoluntarySwitches uint64
	RunWaitNanos, BlockWaitNanos            uint64
}

func (c *Counters) add(d *Counters) {
	c.UserNanos += d.UserNanos
	c.SystemNanos += d.SystemNanos
	c.MinorFaults += d.MinorFaults
	c.MajorFaults += d.MajorFaults
	c.ReadBytes += d.ReadBytes
	c.WriteBytes += d.WriteBytes
	c.RunWaitNanos += d.RunWaitNanos
	c.BlockWaitNanos += d.BlockWaitNanos
	c.addSwitches(d)
}

func (c *Counters) addSwitches(d *Counters) {
	c.VoluntarySwitches += d.VoluntarySwitches
	c.NonvoluntarySwitches += d.NonvoluntarySwitches
}

// A counterDelta computes the differences of counters of one kind.
type counterDelta struct {
	known          bool // a value was read before
	countFromStart bool // the first value counts in full
	kind           counterSet
	decreased      *counterSet // receives kind if a counter decreased
}

// difference returns the increase of a counter since *base, and sets *base to the
// new value. A counter that is read for the first time counts from 0 with
// countFromStart, else not at all. A counter that decreased counts again when it
// exceeds its highest value.
func (c counterDelta) difference(base *uint64, now uint64) uint64 {
	before := *base
	if !c.known {
		*base = now
		if c.countFromStart {
			return now
		}
		return 0
	}
	if now <= before {
		if now < before {
			*c.decreased |= c.kind
		}
		return 0
	}
	*base = now
	return now - before
}

// cpuDifference returns the increases of user and system time since base, and adds them
// to base. Their sum is the increase of the CPU time, which a source knows exactly. The
// kernel estimates how much of it is user time, so another source, or the exit event, can
// have another estimate than the previous sample.
func (c counterDelta) cpuDifference(base *Counters, user, system uint64) (userIncrease, systemIncrease uint64) {
	if c.known && user == base.UserNanos && system == base.SystemNanos {
		return 0, 0 // most processes and threads are idle
	}
	if !c.known {
		return c.difference(&base.UserNanos, user), c.difference(&base.SystemNanos, system)
	}
	if user < base.UserNanos || system < base.SystemNanos {
		*c.decreased |= c.kind
	}
	before, now := base.UserNanos+base.SystemNanos, user+system
	if now <= before {
		return 0, 0
	}
	if user > base.UserNanos {
		userIncrease = min(user-base.UserNanos, now-before)
	}
	systemIncrease = now - before - userIncrease
	base.UserNanos += userIncrease
	base.SystemNanos += systemIncrease
	return userIncrease, systemIncrease
}

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
// lower value than in the previous sample. The kernel guarantees that they never
// decrease. The totals of groups do not decrease with them.
type CounterDecreases struct {
	CPU, Faults, IO, Switches uint64
}

// counterKinds returns the kinds of counters that a sample has.
func counterKinds(have platform.Fields) (kinds counterSet) {
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

// note counts the kinds of counters that decreased in this walk and did not decrease when they were
// compared before. compared are the kinds that were compared in this walk.
// A process that is being reaped has no threads and zero counters, which is no
// decrease.
func (n *CounterDecreases) note(r *processRecord, s *platform.Sample, compared counterSet) {
	if s.NumThreads > 0 {
		for kind, to := range [...]*uint64{&n.CPU, &n.Faults, &n.IO, &n.Switches} {
			*to += uint64(r.decreased &^ r.decreasedBefore >> kind & 1)
		}
		r.decreasedBefore = r.decreasedBefore&^compared | r.decreased
	}
	r.decreased = 0
}
