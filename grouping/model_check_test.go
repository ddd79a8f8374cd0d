package grouping

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/seed57308aee/process_exporter/platform"
)

// observeRemoved updates the ledger for groups and thread names that were removed at a limit,
// before the usage of this update was added. The update may have created the same names again.
func (m *model) observeRemoved() {
	l := m.ledger
	for g := range l.known {
		if l.Tracker.groups[g.key] != g && g.mergedInto == nil && !l.opts.RemoveEmpty {
			delete(l.groups, g.name)
			delete(m.last, g.name)
			delete(m.traffic, g.name)
		}
	}
	for tg, g := range l.threadNames {
		if !tg.removed {
			continue
		}
		delete(l.threadNames, tg)
		if l.Tracker.groups[g.key] == g { // else removed or merged with its names
			l.totals(g).missedThreadCPU += tg.total.UserNanos + tg.total.SystemNanos
		}
	}
}

// checkGroups compares the counters of groups with the ledger.
func (m *model) checkGroups(groups []Group) error {
	l := m.ledger
	got := make(map[string]*ledgerTotals)
	for _, g := range l.Tracker.groups {
		to := got[g.name]
		if to == nil {
			to = new(ledgerTotals)
			got[g.name] = to
		}
		to.cpu += g.total.UserNanos + g.total.SystemNanos
		to.faults += g.total.MinorFaults
		to.io += g.total.WriteBytes
		to.switches += g.total.VoluntarySwitches
		to.starts += g.starts
		to.changes += g.groupChanges
		for _, n := range g.exits {
			to.exits += n.all
			to.matchedExits += n.matched
		}
		for _, tg := range g.threads {
			to.threadCPU += tg.total.UserNanos + tg.total.SystemNanos
		}
	}
	for _, name := range sortedNames(got) {
		want := l.groups[name]
		if want == nil {
			want = new(ledgerTotals)
		}
		if err := want.compare(name, got[name]); err != nil {
			return err
		}
	}
	if got := l.MatchCounts().UngroupedNanos; got != l.ungrouped {
		return fmt.Errorf("got %d ns of ungrouped processes, want %d", got, l.ungrouped)
	}
	return m.checkIncrease(groups)
}

// compare compares the counters of a group with the expected ones.
func (want *ledgerTotals) compare(name string, got *ledgerTotals) error {
	for _, c := range []struct {
		counter           string
		got, want, missed uint64
	}{
		{"ns of CPU", got.cpu, want.cpu, 0},
		{"page faults", got.faults, want.faults, 0},
		{"bytes", got.io, want.io, 0},
		{"context switches", got.switches, want.switches, want.missedSwitches},
		{"ns of CPU of threads", got.threadCPU, want.threadCPU, want.missedThreadCPU},
		{"starts", got.starts, want.starts, 0},
		{"exits", got.exits, want.exits, 0},
		{"exits of matched processes", got.matchedExits, want.matchedExits, 0},
		{"group changes", got.changes, want.changes, 0},
	} {
		if c.got > c.want || c.got+c.missed < c.want {
			return fmt.Errorf("group %s: got %d %s, want %d, or up to %d fewer", name, c.got, c.counter, c.want, c.missed)
		}
	}
	return nil
}

// checkIncrease checks that no counter of a group falls.
func (m *model) checkIncrease(groups []Group) error {
	now := make(map[string]Counters)
	for i := range groups {
		c := now[groups[i].Name]
		c.add(&groups[i].Counters)
		now[groups[i].Name] = c
	}
	for name, c := range now {
		before := m.last[name]
		if c.UserNanos < before.UserNanos || c.SystemNanos < before.SystemNanos || c.MinorFaults < before.MinorFaults ||
			c.WriteBytes < before.WriteBytes || c.VoluntarySwitches < before.VoluntarySwitches {
			return fmt.Errorf("group %s: got %+v after %+v", name, c, before)
		}
	}
	m.last = now
	return nil
}

// checkGauges compares the gauges of groups with the samples.
func (m *model) checkGauges(groups []Group) error {
	l := m.ledger
	type gauges struct {
		procs, threads int
		states         [NumStates]int
	}
	want := make(map[*groupState]*gauges)
	for _, g := range l.Tracker.groups {
		want[g] = new(gauges)
	}
	ungrouped := 0
	for i := range l.records {
		r, s := &l.records[i], &l.snap.Samples[i]
		if r.group == nil {
			ungrouped++
			continue
		}
		to := want[r.group]
		if to == nil {
			return fmt.Errorf("process %d is in the removed group %s", s.PID, r.group.name)
		}
		to.procs++
		if s.Have&platform.FieldStat == 0 {
			continue
		}
		to.threads += s.NumThreads
		if len(s.Tasks) > 0 {
			to.states[Running] += len(s.Tasks)
		} else {
			to.states[stateIndex(s.State)]++
		}
	}
	if got := l.MatchCounts().UngroupedProcs; got != ungrouped {
		return fmt.Errorf("got %d ungrouped processes, want %d", got, ungrouped)
	}
	expected := false
	for i := range groups {
		g := &groups[i]
		state := l.Tracker.groups[g.Key()]
		if w := want[state]; w == nil || g.Procs != w.procs || g.NumThreads != w.threads || g.States != w.states {
			return fmt.Errorf("group %s: got %d processes, %d threads in states %v, want %+v", g.Name, g.Procs, g.NumThreads, g.States, w)
		}
		if err := m.checkTop(g, l.topCPU[state]); err != nil {
			return err
		}
		expected = expected || g.Name == "exp" && g.Expect != nil && g.Expect.Min == 1
	}
	if !expected {
		return fmt.Errorf("got no group exp with an expected number of processes")
	}
	return nil
}

// checkTop compares the processes with the most CPU time in a group with the ledger.
func (m *model) checkTop(g *Group, want []uint64) error {
	slices.Sort(want)
	slices.Reverse(want)
	if m.ledger.thisWalk.elapsed == 0 {
		want = nil
	}
	want = want[:min(2, len(want))]
	if len(g.TopCPU) != len(want) {
		return fmt.Errorf("group %s: got the processes %+v with the most CPU time, want %d", g.Name, g.TopCPU, len(want))
	}
	for i, nanos := range want {
		value := float64(nanos) / 1e9 / (float64(m.ledger.thisWalk.elapsed) / modelHertz)
		if g.TopCPU[i].Value != value {
			return fmt.Errorf("group %s: got %+v, want the value %v", g.Name, g.TopCPU[i], value)
		}
	}
	return nil
}

// checkState checks that the Tracker keeps no more than it needs, and that its limits
// count what exists.
func (m *model) checkState() error {
	t := m.ledger.Tracker
	if len(t.records) != len(t.snap.Samples) || len(t.exitIndex) != 0 {
		return fmt.Errorf("got %d records of %d samples, %d exits left", len(t.records), len(t.snap.Samples), len(t.exitIndex))
	}
	for id, p := range t.awaitedExits {
		if t.snap.Now-p.at > awaitedExitTimeout*modelHertz {
			return fmt.Errorf("process %v is still waiting for its exit event after %d ticks", id, t.snap.Now-p.at)
		}
	}
	byRule := make(map[*Rule]int)
	var want cardinality
	for _, g := range t.groups {
		want.threadNames += len(g.threads)
		want.exitStatuses += len(g.exits)
		for _, tg := range g.threads {
			want.threadBytes += tg.size
		}
		if g.rule != nil && !g.permanent {
			byRule[g.rule]++
		}
		if !g.permanent && !g.isOther {
			want.groups++
			want.groupBytes += len(g.key)
		}
	}
	got := t.limits
	got.byRule, got.full, got.threadsFull = nil, false, false
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("got the limits %+v, want %+v", got, want)
	}
	for rule, n := range byRule {
		if got := t.limits.byRule[rule]; got != n {
			return fmt.Errorf("got %d groups of the rule %q, want %d", got, rule.Name, n)
		}
	}
	if got, limit := t.health.CounterDecreases, uint64(m.world.lowered); got.CPU > limit || got.Faults > 0 || got.IO > 0 {
		return fmt.Errorf("got counter decreases %+v, want at most %d of the CPU time", got, limit)
	}
	return nil
}

// checkStarts checks that the start of the counters of a group does not change, and is not
// later than the update.
func (m *model) checkStarts() error {
	t := m.ledger.Tracker
	for _, g := range t.groups {
		start := g.start.unixMillis
		if before, known := m.starts[g]; known && before != start || start <= 0 || start > t.snap.Time.UnixMilli() {
			return fmt.Errorf("group %s: got the start of counters %d after %d, update at %v", g.name, start, before, t.snap.Time)
		}
		m.starts[g] = start
	}
	return nil
}

// checkAllRead checks a model whose processes were all read and identified.
func (m *model) checkAllRead() error {
	t := m.ledger.Tracker
	for i, p := range m.ledger.src.found {
		r := &t.records[i]
		if now := p.user + p.system; !p.ledger.cpu.known || p.ledger.cpu.taken+2*modelTick < now {
			return fmt.Errorf("process %d: got %d ns, want %d", p.PID, p.ledger.cpu.taken, now)
		}
		id := p.identity()
		match := t.matcher.Match(&id)
		switch {
		case p.zombie || t.recheckExpired(r, &t.snap.Samples[i]) || t.identityFields != 0:
		case match.OK && (r.group == nil || r.group.name != match.Group && !r.group.isOther):
			return fmt.Errorf("process %d is in %+v, want the group %s", p.PID, r.group, match.Group)
		case match.Rule != nil && !match.OK && r.group != nil:
			return fmt.Errorf("process %d is in the group %s, want none", p.PID, r.group.name)
		case !match.OK && !t.opts.Children && r.group != nil && r.state != stateInherited:
			return fmt.Errorf("process %d is in the group %s, want none", p.PID, r.group.name)
		}
	}
	return nil
}
