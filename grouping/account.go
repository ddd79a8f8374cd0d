package grouping

import "github.com/seed57308aee/process_exporter/platform"

// account adds the usage of every live process since the previous walk to its group.
func (t *Tracker) account() {
	for i := range t.records {
		r, s := &t.records[i], &t.snap.Samples[i]
		accounted := s.Have & platform.FieldStat
		switch {
		case r.group != nil:
			t.accountProcess(r, s)
			accounted = s.Have
		case accounted == 0:
		case t.staysUngrouped(r, s):
			t.accountUngrouped(r, s)
		case !r.countFromStart && r.have&platform.FieldStat == 0:
			r.advanceStat(s) // its usage from now on counts where it is identified
		default:
			accounted = 0
		}
		if r.identity != identityDue {
			r.executed = false
		}
		if r.decreased|r.decreasedBefore != 0 {
			t.health.CounterDecreases.note(r, s, counterKinds(accounted))
		}
	}
}

// staysUngrouped reports whether a process in no group remains there. A young process may
// join a group by its next name: until then its usage from its start does not count.
func (t *Tracker) staysUngrouped(r *processRecord, s *platform.Sample) bool {
	return r.identity == identityCurrent && !(r.countFromStart && t.isYounger(s, youngAge))
}

// accountUngrouped counts the CPU time of a process in no group. If the process joins a
// group later, its usage until then does not count there.
func (t *Tracker) accountUngrouped(r *processRecord, s *platform.Sample) {
	d := r.advanceStat(s)
	r.countFromStart, r.counted = false, true
	t.matches.ungroupedNanos += d.UserNanos + d.SystemNanos
}

// accountProcess adds the usage of a grouped process since its previous sample to its
// group.
func (t *Tracker) accountProcess(r *processRecord, s *platform.Sample) {
	if r.mainThreadReplaced || (r.have^s.Have)&platform.FieldSwitchesOfAllThreads != 0 {
		r.resetSwitches(s)
	}
	d := r.advanceStat(s)
	r.advanceOthers(s, &d)
	if s.Have&platform.FieldTasks != 0 {
		t.accountTasks(r, s, &d)
	}
	if s.Have&platform.FieldStatus != 0 {
		r.have &^= platform.FieldSwitchesOfAllThreads
	}
	r.have |= s.Have
	r.counted = true
	g := r.group
	g.total.add(&d)
	g.counterFields |= s.Have
	if r.rule.Top > 0 && s.NumThreads > 0 {
		g.top.add(r, s, &d)
	}
}

// resetSwitches makes the context switches of s the new base if they are those of other
// threads than in the previous sample. The switches since that sample are not counted.
func (r *processRecord) resetSwitches(s *platform.Sample) {
	if s.Have&platform.FieldStatus == 0 {
		return
	}
	// One source counts the main thread, the other all threads.
	otherThreads := r.have&platform.FieldStatus != 0 && (r.have^s.Have)&platform.FieldSwitchesOfAllThreads != 0
	if otherThreads || r.mainThreadReplaced && s.Have&platform.FieldSwitchesOfAllThreads == 0 {
		r.base.VoluntarySwitches, r.base.NonvoluntarySwitches = s.VoluntarySwitches, s.NonvoluntarySwitches
		r.have |= platform.FieldStatus
		r.mainThreadReplaced = false
	}
}

// advanceStat returns the differences of the counters of FieldStat.
func (r *processRecord) advanceStat(s *platform.Sample) (d Counters) {
	if s.Have&platform.FieldStat == 0 {
		return d
	}
	known := r.have&platform.FieldStat != 0
	r.have |= platform.FieldStat
	cpu := counterDelta{known, r.countFromStart, cpuCounters, &r.decreased}
	faults := counterDelta{known, r.countFromStart, faultCounters, &r.decreased}
	d.UserNanos, d.SystemNanos = cpu.cpuDifference(&r.base, s.UserNanos, s.SystemNanos)
	d.MinorFaults = faults.difference(&r.base.MinorFaults, s.MinorFaults)
	d.MajorFaults = faults.difference(&r.base.MajorFaults, s.MajorFaults)
	return d
}

// advanceOthers sets the differences of all other counters of the process in d.
func (r *processRecord) advanceOthers(s *platform.Sample, d *Counters) {
	if s.Have&platform.FieldIO != 0 {
		io := counterDelta{r.have&platform.FieldIO != 0, r.countFromStart, ioCounters, &r.decreased}
		d.ReadBytes = io.difference(&r.base.ReadBytes, s.ReadBytes)
		d.WriteBytes = io.difference(&r.base.WriteBytes, s.WriteBytes)
	}
	if s.Have&platform.FieldStatus != 0 {
		switches := counterDelta{r.have&platform.FieldStatus != 0, r.countFromStart, switchCounters, &r.decreased}
		d.VoluntarySwitches = switches.difference(&r.base.VoluntarySwitches, s.VoluntarySwitches)
		d.NonvoluntarySwitches = switches.difference(&r.base.NonvoluntarySwitches, s.NonvoluntarySwitches)
	}
	if s.Have&platform.FieldRunWait != 0 {
		wait := counterDelta{r.have&platform.FieldRunWait != 0, r.countFromStart, 0, &r.decreased}
		d.RunWaitNanos = wait.difference(&r.base.RunWaitNanos, s.RunWaitNanos)
	}
	if s.Have&platform.FieldBlockWait != 0 {
		wait := counterDelta{r.have&platform.FieldBlockWait != 0, r.countFromStart, 0, &r.decreased}
		d.BlockWaitNanos = wait.difference(&r.base.BlockWaitNanos, s.BlockWaitNanos)
	}
}
