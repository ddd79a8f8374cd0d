package grouping

import (
	"cmp"
	"math"
	"math/bits"
	"slices"

	"github.com/seed57308aee/process_exporter/platform"
)

// summarize computes the gauges of every group and returns a copy of all groups,
// sorted by name.
func (t *Tracker) summarize() []Group {
	for _, g := range t.groups {
		g.gauges = Group{WChans: g.gauges.WChans[:0]}
		g.unreadable = [16]int{}
		g.oldestStart, g.oldestSmaps = math.MaxUint64, math.MaxUint64
	}
	withoutStat, partial, zombies := t.snap.WithoutSample, 0, 0
	t.matches.reset()
	for i := range t.records {
		r, s := &t.records[i], &t.snap.Samples[i]
		hasStat := s.Have&platform.FieldStat != 0
		if !hasStat && !(s.Have == 0 && t.snap.Incomplete) { // the deadline is no read error
			withoutStat++
		}
		t.matches.count(r)
		if r.group == nil {
			continue
		}
		if s.Unreadable != 0 && hasStat {
			if partial++; isZombie(s) {
				zombies++
			}
		}
		r.group.addSample(r, s)
	}
	t.health.setReads(&t.snap, withoutStat, partial, zombies)
	t.summarizeSockets()
	t.updateEmpty()
	return t.copyGroups()
}

// updateEmpty notes since when a group has no process, and removes empty groups
// with [Options.RemoveEmpty].
func (t *Tracker) updateEmpty() {
	for _, g := range t.groups {
		switch {
		case g.gauges.Procs > 0:
			g.emptySince = 0
		case t.opts.RemoveEmpty && !g.permanent:
			t.removeGroup(g)
		case g.emptySince == 0:
			g.emptySince = t.snap.Now
		}
	}
}

// copyGroups returns copies of all groups. A permanent group whose labels are
// unknown is left out if its rule has a group with processes, whose labels are known.
// It is not left out if another rule expects processes in it.
func (t *Tracker) copyGroups() []Group {
	populated := make(map[string]bool) // names of groups that have processes, with labels
	if len(t.labels) > 0 {
		for _, g := range t.groups {
			if g.gauges.Procs > 0 {
				populated[g.name] = true
			}
		}
	}
	out := make([]Group, 0, len(t.groups))
	for _, g := range t.groups {
		g.start.finish(&t.snap)
		threads := t.threadTotals(g)
		if g.labelsUnknown && g.expect == nil && g.unused() && populated[g.name] {
			continue
		}
		out = append(out, g.copy(t, threads))
	}
	slices.SortFunc(out, func(a, b Group) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), slices.Compare(a.Labels, b.Labels))
	})
	return out
}

// addSample adds the gauges of a process.
func (g *groupState) addSample(r *processRecord, s *platform.Sample) {
	v := &g.gauges
	v.Procs++
	if r.state == stateMatched && !isZombie(s) {
		v.Matched++
	}
	fields := s.Have
	if fields&platform.FieldFDs == 0 {
		fields &^= platform.FieldFDLimit // a limit is of no use without the number of descriptors
	}
	v.GaugeFields |= fields
	g.addUnreadable(s)
	g.oldestStart = min(g.oldestStart, s.Start)
	if s.Have&(platform.FieldStat|platform.FieldMemory) == 0 {
		return
	}
	v.ResidentBytes += s.ResidentBytes
	v.VirtualBytes += s.VirtualBytes
	v.NumThreads += s.NumThreads
	v.SwapBytes += s.SwapBytes
	g.addFDs(s)
	if s.Have&platform.FieldStat == 0 { // unresponsive: the other values are from an earlier walk
		if s.NumThreads == 1 {
			v.States[stateIndex(s.State)]++
		}
		return
	}
	g.addSmaps(s)
	if len(s.Tasks) == 0 {
		v.States[stateIndex(s.State)]++
		v.addWChan(s.WChan)
	}
	for i := range s.Tasks {
		v.States[stateIndex(s.Tasks[i].State)]++
		v.addWChan(s.Tasks[i].WChan)
	}
}

// addUnreadable counts the fields of a process that could not be read. A zombie has neither
// memory nor files, so nothing is missing.
func (g *groupState) addUnreadable(s *platform.Sample) {
	if isZombie(s) {
		return
	}
	// FieldTasks and FieldTaskUsage are read from the same directory: count it once.
	for lost := uint16((s.Unreadable | s.Skipped) &^ s.Have &^ platform.FieldTaskUsage); lost != 0; lost &= lost - 1 {
		g.unreadable[bits.TrailingZeros16(lost)]++
	}
}

// addSmaps adds the proportional and unique memory of a process.
func (g *groupState) addSmaps(s *platform.Sample) {
	if s.Have&platform.FieldSmaps == 0 {
		return
	}
	g.gauges.PSSBytes += s.PSSBytes
	g.gauges.SwapPSSBytes += s.SwapPSSBytes
	g.gauges.USSBytes += s.USSBytes
	if s.SmapsReadAt > 0 {
		g.oldestSmaps = min(g.oldestSmaps, s.SmapsReadAt)
	}
}

// addFDs adds the open file descriptors of a process.
func (g *groupState) addFDs(s *platform.Sample) {
	if s.Have&platform.FieldFDs == 0 {
		return
	}
	g.gauges.FDs += s.FDs
	if s.FDLimit > 0 && s.Have&platform.FieldFDLimit != 0 {
		g.gauges.WorstFDRatio = max(g.gauges.WorstFDRatio, float64(s.FDs)/float64(s.FDLimit))
	}
}

// isZombie reports whether all threads of a process have exited. A process whose main
// thread has exited has the state of a zombie too, but still has other threads.
func isZombie(s *platform.Sample) bool { return s.State == 'Z' && s.NumThreads <= 1 }

// stateIndex returns the index in [Group.States] of a state of /proc/PID/stat.
func stateIndex(state byte) int {
	switch state {
	case 'R':
		return Running
	case 'S':
		return Sleeping
	case 'D':
		return Waiting
	case 'Z':
		return Zombie
	}
	return Other
}

// addWChan counts a thread that sleeps in the kernel function wchan. A group has few
// of them, so that a linear search is faster than a map.
func (v *Group) addWChan(wchan string) {
	if wchan == "" {
		return
	}
	for i := range v.WChans {
		if v.WChans[i].Name == wchan {
			v.WChans[i].Count++
			return
		}
	}
	v.WChans = append(v.WChans, WChanCount{Name: wchan, Count: 1})
}

// copy returns a copy of the group that later updates do not change.
func (g *groupState) copy(t *Tracker, threads []ThreadTotals) Group {
	snap := &t.snap
	out := g.gauges
	out.Name, out.Labels, out.Rule, out.Expect, out.GroupChanges = g.name, g.labels, g.rule, g.expect, g.groupChanges
	out.Collectors = g.collectors
	out.Counters, out.CounterFields, out.CountersStart = g.total, g.counterFields, g.start.unixMillis
	out.TopCPU, out.TopRSS = g.top.members(t.thisWalk.elapsed, snap.TicksPerSecond)
	if out.Procs == 0 {
		out.GaugeFields = g.fields
		if !g.used() { // export its future counters as 0
			out.CounterFields = g.fields &^ (platform.FieldRunWait | platform.FieldBlockWait)
		}
	} else {
		out.OldestStart = snap.BootTime.Unix() + int64(g.oldestStart/snap.TicksPerSecond)
	}
	if out.GaugeFields&platform.FieldStat != 0 { // which has memory, too
		out.GaugeFields |= platform.FieldMemory
	}
	if g.oldestSmaps < snap.Now {
		out.SmapsAge = float64(snap.Now-g.oldestSmaps) / float64(snap.TicksPerSecond)
	}
	out.Sockets = g.socketsCopy()
	out.WChans = slices.Clone(g.gauges.WChans)
	for i := range out.WChans {
		out.WChans[i].Name = LabelValue(out.WChans[i].Name)
	}
	for i, procs := range g.unreadable {
		if procs > 0 {
			out.Unreadable = append(out.Unreadable, UnreadableField{platform.Fields(1) << i, procs})
		}
	}
	out.Threads = threads
	if out.ExitsKnown = t.reportsExits(); out.ExitsKnown {
		out.Starts, out.OOMKills, out.Exits = g.starts, g.oomKills, g.exitCounts()
	}
	return out
}
