package grouping

// maxThreadNames is the number of thread names that a group keeps. Above it, names
// without threads are removed and count from 0 when they return; other new names are
// counted in [OtherName].
const maxThreadNames = 1000

// idleGroupTTL is the time in seconds without a process after which a group may be
// removed at the limit of groups. It is long, because Prometheus gets new series with
// every group that replaces another.
const idleGroupTTL = 24 * 60 * 60

// cardinality counts groups and thread names. Local users choose the names of
// processes and threads, and each name costs memory in the exporter and series in
// Prometheus.
type cardinality struct {
	byRule      map[*Rule]int // groups by the rule that created them
	groups      int           // groups that are not permanent, without OtherName
	threadNames int           // in all groups
	full        bool          // no group can be removed before the next update
}

// atGroupLimit reports whether a rule may not create another group.
func (t *Tracker) atGroupLimit(r *Rule) bool {
	if r.MaxGroups > 0 && t.limits.byRule[r] >= r.MaxGroups {
		return true
	}
	return t.opts.MaxGroups > 0 && t.limits.groups >= t.opts.MaxGroups && !t.removeIdleGroup()
}

// removeIdleGroup removes a group that had no process for idleGroupTTL, and reports
// whether there was one.
func (t *Tracker) removeIdleGroup() bool {
	if t.limits.full {
		return false
	}
	for _, g := range t.groups {
		if !g.permanent && !g.isOther && g.emptySince > 0 && t.snap.Now > g.emptySince+idleGroupTTL*t.snap.TicksPerSecond {
			t.removeGroup(g)
			return true
		}
	}
	t.limits.full = true // do not search again for every process
	return false
}

// removeGroup removes a group without processes.
func (t *Tracker) removeGroup(g *groupState) {
	delete(t.groups, g.key)
	t.limits.threadNames -= len(g.threads)
	if g.rule != nil && !g.permanent {
		t.limits.byRule[g.rule]--
	}
	if !g.isOther {
		t.limits.groups--
	}
}

// threadsNamed returns the threads of one name in a group, or those of OtherName above
// a limit.
func (t *Tracker) threadsNamed(g *groupState, comm string) *namedThreads {
	label := processName(comm)
	if tg := g.threads[label]; tg != nil {
		return tg
	}
	if t.atThreadNameLimit(g) {
		t.health.ThreadNameLimitHits++
		label = OtherName
		if tg := g.threads[label]; tg != nil {
			return tg
		}
	}
	tg := &namedThreads{name: label}
	g.threads[label] = tg
	t.limits.threadNames++
	return tg
}

// atThreadNameLimit reports whether a group may not have another thread name.
func (t *Tracker) atThreadNameLimit(g *groupState) bool {
	return len(g.threads) >= maxThreadNames || t.opts.MaxThreadNames > 0 && t.limits.threadNames >= t.opts.MaxThreadNames
}

// threadTotals returns the thread names of a group that have threads now. The other
// names keep their totals until a limit is reached.
func (t *Tracker) threadTotals(g *groupState) []ThreadTotals {
	if len(g.threads) == 0 {
		return nil
	}
	out := make([]ThreadTotals, 0, len(g.threads))
	full := t.atThreadNameLimit(g)
	for label, tg := range g.threads {
		if tg.count > 0 {
			tg.start.finish(&t.snap)
			out = append(out, ThreadTotals{
				Name: tg.name, Count: tg.count, Counters: tg.total, CounterFields: tg.counterFields, CountersStart: tg.start.unixMillis,
			})
		} else if full {
			delete(g.threads, label)
			t.limits.threadNames--
			tg.removed = true
		}
		tg.count = 0
	}
	return out
}
