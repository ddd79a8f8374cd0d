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

// A counterReader computes the differences of counters of one kind.
type counterReader struct {
	known          bool // a value was read before
	countFromStart bool // the first value counts in full
	kind           counterSet
	decreased      *counterSet // receives kind if a counter decreased
}

// difference returns the increase of a counter since *base, and sets *base to the
// new value. A counter that is read for the first time counts from 0 with
// countFromStart, else not at all. A counter that decreased counts again when it
// exceeds its highest value.
func (c counterReader) difference(base *uint64, now uint64) uint64 {
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

// account adds the usage of every live process since the walk before to its group.
func (t *Tracker) account() {
	for i := range t.records {
		r, s := &t.records[i], &t.snap.Samples[i]
		switch {
		case r.group != nil:
			t.accountProcess(r, s)
		case r.identity == identityCurrent: // if it joins a group later, its usage until then does not count
			d := r.advanceStat(s)
			r.countFromStart = false
			t.matches.unmatchedNanos += d.UserNanos + d.SystemNanos
			r.active = r.active || d.UserNanos+d.SystemNanos > 0
		}
		if r.decreased|r.decreasedBefore != 0 {
			t.health.CounterDecreases.note(r, s)
		}
	}
}

// accountProcess adds the usage of a grouped process since the sample before to its
// group.
func (t *Tracker) accountProcess(r *record, s *platform.Sample) {
	if r.executed || r.mainThreadReplaced || (r.have^s.Have)&platform.FieldSwitches != 0 {
		r.resetSwitches(s)
	}
	d := r.advanceStat(s)
	r.advanceOthers(s, &d)
	if s.Have&platform.FieldTasks != 0 {
		t.accountTasks(r, s, &d)
	}
	if s.Have&platform.FieldStatus != 0 {
		r.have &^= platform.FieldSwitches
	}
	r.have |= s.Have
	g := r.group
	g.total.add(&d)
	g.counted |= s.Have
	r.active = r.active || d.UserNanos+d.SystemNanos+d.VoluntarySwitches+d.NonvoluntarySwitches > 0
	if r.rule.Top > 0 && s.Threads > 0 {
		g.top.add(r, s, &d)
	}
}

// resetSwitches sets the base of the context switches to the current values where
// they belong to other threads than before. The switches in between are not counted.
func (r *record) resetSwitches(s *platform.Sample) {
	if (r.have^s.Have)&platform.FieldSwitches != 0 && r.have&s.Have&platform.FieldStatus != 0 {
		// One source counts the main thread, the other all threads.
		r.base.VoluntarySwitches, r.base.NonvoluntarySwitches = s.VoluntarySwitches, s.NonvoluntarySwitches
	}
	if r.executed {
		r.decreasedBefore |= switchCounters // another thread may have fewer switches
		if len(r.tasks) > 0 && s.Have&platform.FieldSwitches == 0 {
			// The thread that calls execve(2) gets the TID of the main thread and
			// keeps its own context switches, which were counted.
			r.mainThreadReplaced, r.tasks = true, r.tasks[:0]
		}
	}
	if r.mainThreadReplaced && s.Have&(platform.FieldStatus|platform.FieldSwitches) == platform.FieldStatus {
		r.base.VoluntarySwitches, r.base.NonvoluntarySwitches = s.VoluntarySwitches, s.NonvoluntarySwitches
		r.have |= platform.FieldStatus
		r.mainThreadReplaced = false
	}
	r.executed = false
}

// advanceStat returns the differences of the counters of FieldStat.
func (r *record) advanceStat(s *platform.Sample) (d Counters) {
	if s.Have&platform.FieldStat == 0 {
		return d
	}
	known := r.have&platform.FieldStat != 0
	r.have |= platform.FieldStat
	r.cpu = s.UserNanos + s.SystemNanos
	cpu := counterReader{known, r.countFromStart, cpuCounters, &r.decreased}
	faults := counterReader{known, r.countFromStart, faultCounters, &r.decreased}
	d.UserNanos = cpu.difference(&r.base.UserNanos, s.UserNanos)
	d.SystemNanos = cpu.difference(&r.base.SystemNanos, s.SystemNanos)
	d.MinorFaults = faults.difference(&r.base.MinorFaults, s.MinorFaults)
	d.MajorFaults = faults.difference(&r.base.MajorFaults, s.MajorFaults)
	return d
}

// advanceOthers sets the differences of all other counters of the process in d.
func (r *record) advanceOthers(s *platform.Sample, d *Counters) {
	if s.Have&platform.FieldIO != 0 {
		io := counterReader{r.have&platform.FieldIO != 0, r.countFromStart, ioCounters, &r.decreased}
		d.ReadBytes = io.difference(&r.base.ReadBytes, s.ReadBytes)
		d.WriteBytes = io.difference(&r.base.WriteBytes, s.WriteBytes)
	}
	if s.Have&platform.FieldStatus != 0 {
		switches := counterReader{r.have&platform.FieldStatus != 0, r.countFromStart, switchCounters, &r.decreased}
		d.VoluntarySwitches = switches.difference(&r.base.VoluntarySwitches, s.VoluntarySwitches)
		d.NonvoluntarySwitches = switches.difference(&r.base.NonvoluntarySwitches, s.NonvoluntarySwitches)
	}
	if s.Have&platform.FieldRunWait != 0 {
		wait := counterReader{r.have&platform.FieldRunWait != 0, r.countFromStart, 0, &r.decreased}
		d.RunWaitNanos = wait.difference(&r.base.RunWaitNanos, s.RunWaitNanos)
	}
	if s.Have&platform.FieldBlockWait != 0 {
		wait := counterReader{r.have&platform.FieldBlockWait != 0, r.countFromStart, 0, &r.decreased}
		d.BlockWaitNanos = wait.difference(&r.base.BlockWaitNanos, s.BlockWaitNanos)
	}
}
