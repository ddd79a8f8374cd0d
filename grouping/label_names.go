package grouping

import "slices"

// setLabelNames gives all groups the labels names. A label that exists before and after
// keeps its values. Groups that no longer differ are merged.
func (t *Tracker) setLabelNames(names []string) {
	if len(t.groups) == 0 || slices.Equal(t.labels, names) {
		return
	}
	old := t.groups
	t.groups = make(map[string]*groupState, len(old))
	for _, g := range old {
		g.labels = relabeled(g.labels, t.labels, names)
		g.key = GroupKey(g.name, g.labels)
		if same := t.groups[g.key]; same != nil {
			t.mergeGroups(same, g)
		} else {
			t.groups[g.key] = g
		}
	}
	for i := range t.records {
		t.records[i].followMerge()
	}
	for id, p := range t.awaitedExits {
		p.followMerge()
		t.awaitedExits[id] = p
	}
}

// relabeled returns the values of the labels to, given values of the labels from.
func relabeled(values, from, to []string) []string {
	if len(to) == 0 {
		return nil
	}
	out := make([]string, len(to))
	for i, name := range to {
		if j := slices.Index(from, name); j >= 0 {
			out[i] = values[j]
		}
	}
	return out
}

// followMerge replaces the group of a process by the one it was merged into.
func (r *processRecord) followMerge() {
	if r.group == nil || r.group.mergedInto == nil {
		return
	}
	r.group = r.group.mergedInto
	for i := range r.tasks {
		r.tasks[i].group = nil
	}
}

// mergeGroups adds the counters of a group to another, which replaces it.
func (t *Tracker) mergeGroups(to, from *groupState) {
	from.mergedInto = to
	to.emptySince = 0 // from may have processes
	to.total.add(&from.total)
	to.counterFields |= from.counterFields
	to.fields |= from.fields
	to.collectors |= from.collectors
	to.starts += from.starts
	to.oomKills += from.oomKills
	to.groupChanges += from.groupChanges
	to.start.merge(from.start)
	to.sockets.merge(&from.sockets)
	to.isOther = to.isOther || from.isOther
	to.gauges.Procs += from.gauges.Procs
	t.limits.exitStatuses -= len(from.exits)
	for status, n := range from.exits {
		t.addExits(to, status, n)
	}
	for _, tg := range from.threads {
		t.removeThreadName(from, tg)
		same := to.threads[tg.name]
		if same == nil {
			same = t.addThreadName(to, tg.name)
		}
		same.emptySince = 0 // tg may have threads
		same.total.add(&tg.total)
		same.counterFields |= tg.counterFields
		same.start.merge(tg.start)
	}
}
