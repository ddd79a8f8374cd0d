package grouping

import "github.com/seed57308aee/process_exporter/platform"

// A countersStart is the time from which the counters of a group, or of a thread name,
// count. It is set in the first update and does not change: Prometheus takes a change for
// a counter reset.
type countersStart struct {
	unixMillis int64  // 0 until the end of the first update
	ticks      uint64 // after boot, the earliest so far; 0 for none
}

// note notes that a process or thread counts from ticks after boot.
func (c *countersStart) note(ticks uint64) {
	if c.unixMillis == 0 && (c.ticks == 0 || ticks < c.ticks) {
		c.ticks = max(ticks, 1)
	}
}

// finish sets the time at the end of an update. Counters without processes count from
// the walk.
func (c *countersStart) finish(snap *platform.Snapshot) {
	if c.unixMillis != 0 {
		return
	}
	if c.ticks == 0 {
		c.ticks = snap.Now
	}
	c.unixMillis = unixMillis(snap, c.ticks)
}

// merge makes c the start of the sum of two counters.
func (c *countersStart) merge(from countersStart) {
	if c.unixMillis = earlierStart(c.unixMillis, from.unixMillis); c.unixMillis == 0 && from.ticks != 0 {
		c.note(from.ticks)
	}
}

// earlierStart returns the earlier of two times, of which 0 is none.
func earlierStart(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// unixMillis converts ticks after boot to milliseconds since the Unix epoch. It returns
// 0 if the source has no wall clock. Snapshot.BootTime is not used, because it has whole
// seconds only.
func unixMillis(snap *platform.Snapshot, ticks uint64) int64 {
	if snap.Time.IsZero() || snap.TicksPerSecond == 0 {
		return 0
	}
	return snap.Time.UnixMilli() - (int64(snap.Now)-int64(ticks))*1000/int64(snap.TicksPerSecond)
}

// previousWalk returns the time of the previous walk, in ticks after boot, or that of this walk
// if there is none.
func (t *Tracker) previousWalk() uint64 { return t.thisWalk.now - t.thisWalk.elapsed }

// countsFrom returns the time, in ticks after boot, from which the usage of a process
// counts in the group that it joins now.
func (t *Tracker) countsFrom(r *processRecord) uint64 {
	switch {
	case r.have&platform.FieldStat != 0: // its usage until the previous walk is counted elsewhere
		return t.previousWalk()
	case r.countFromStart:
		return r.id.Start
	}
	return t.thisWalk.now
}

// threadCountsFrom returns the time, in ticks after boot, from which the usage of a thread
// counts under the name that it has now.
func (t *Tracker) threadCountsFrom(r *processRecord, n *threadRecord) uint64 {
	switch {
	case n.have&platform.FieldTaskUsage != 0:
		return t.previousWalk()
	case n.countFromStart && n.start != 0:
		return n.start
	case n.countFromStart:
		return r.id.Start
	}
	return t.thisWalk.now
}
