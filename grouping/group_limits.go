package grouping

const (
	// maxThreadNames is the number of thread names that a group keeps. Other new names are
	// counted in [OtherName].
	maxThreadNames = 1000

	// maxExitStatuses is the number of exit statuses of all groups. Other failures are
	// counted with the code [OtherName].
	maxExitStatuses = 20_000

	// idleTTL is the time in seconds without a process or thread after which a group or
	// thread name may be removed at a limit. It is long, because Prometheus gets new series
	// with every name that replaces another.
	idleTTL = 24 * 60 * 60

	// The names of groups, and those of threads with their groups, may have these lengths in
	// bytes on average. Every series contains them.
	meanGroupName  = 128
	meanThreadName = 64

	// DefaultMaxGroups and DefaultMaxThreadNames are the defaults of --max-groups and --max-thread-names. Lower limits
	// do not reduce the total length of names, so that a few names can be longer.
	DefaultMaxGroups      = 2_000
	DefaultMaxThreadNames = 20_000
)

// cardinality counts groups and thread names. Local users choose the names of
// processes and threads, and each name costs memory in the exporter and series in
// Prometheus.
type cardinality struct {
	byRule       map[*Rule]int // groups by the rule that created them
	groups       int           // groups that are not permanent, without OtherName
	groupBytes   int           // of the keys of these groups
	threadNames  int           // in all groups
	threadBytes  int           // of namedThreads.size
	exitStatuses int           // in all groups

	// No group or thread name can be removed before the next update.
	full, threadsFull bool
}

// atGroupLimit reports whether a rule may not create the group with this key.
func (t *Tracker) atGroupLimit(r *Rule, key string) bool {
	if r.MaxGroups > 0 && t.limits.byRule[r] >= r.MaxGroups {
		return true
	}
	most := t.opts.MaxGroups
	for most > 0 && (t.limits.groups >= most || exceedsMean(t.limits.groupBytes+len(key), max(most, DefaultMaxGroups), meanGroupName)) {
		if !t.removeIdleGroup() {
			return true
		}
	}
	return false
}

// exceedsMean reports whether bytes > names*mean. This product can overflow.
func exceedsMean(bytes, names, mean int) bool { return (bytes+mean-1)/mean > names }

// isIdle reports whether something has been without processes or threads for idleTTL.
// since is in ticks after boot; 0 means that it has some.
func (t *Tracker) isIdle(since uint64) bool {
	return since > 0 && t.snap.Now > since+idleTTL*t.snap.TicksPerSecond
}

// removeIdleGroup removes a group that had no process for idleTTL, and reports
// whether there was one.
func (t *Tracker) removeIdleGroup() bool {
	if t.limits.full {
		return false
	}
	for _, g := range t.groups {
		if !g.permanent && !g.isOther && t.isIdle(g.emptySince) {
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
	for _, tg := range g.threads {
		t.removeThreadName(g, tg)
	}
	t.limits.exitStatuses -= len(g.exits)
	if g.rule != nil && !g.permanent {
		t.limits.byRule[g.rule]--
	}
	if !g.isOther {
		t.limits.groups--
		t.limits.groupBytes -= len(g.key)
	}
}

// threadsNamed returns the threads of one name in a group, or those of OtherName above
// a limit.
func (t *Tracker) threadsNamed(g *groupState, comm string) *namedThreads {
	label := processName(comm)
	if tg := g.threads[label]; tg != nil {
		return tg
	}
	if t.atThreadNameLimit(g, label) {
		t.health.ThreadNameLimitHits++
		label = OtherName
		if tg := g.threads[label]; tg != nil {
			return tg
		}
	}
	return t.addThreadName(g, label)
}

// addThreadName adds a thread name to a group.
func (t *Tracker) addThreadName(g *groupState, label string) *namedThreads {
	tg := &namedThreads{name: label, size: len(g.key) + len(label)}
	g.threads[label] = tg
	t.limits.threadNames++
	t.limits.threadBytes += tg.size
	return tg
}

// removeThreadName removes a thread name of a group.
func (t *Tracker) removeThreadName(g *groupState, tg *namedThreads) {
	delete(g.threads, tg.name)
	tg.removed = true
	t.limits.threadNames--
	t.limits.threadBytes -= tg.size
}

// atThreadNameLimit reports whether a group may not have another thread name.
func (t *Tracker) atThreadNameLimit(g *groupState, label string) bool {
	return t.threadNamesFull(g, label) && (!t.removeIdleThreadNames() || t.threadNamesFull(g, label))
}

// threadNamesFull reports whether another thread name of a group would exceed a limit.
func (t *Tracker) threadNamesFull(g *groupState, label string) bool {
	if len(g.threads) >= maxThreadNames {
		return true
	}
	most, l := t.opts.MaxThreadNames, &t.limits
	bytes := l.threadBytes + len(g.key) + len(label)
	return most > 0 && (l.threadNames >= most || exceedsMean(bytes, max(most, DefaultMaxThreadNames), meanThreadName))
}

// removeIdleThreadNames removes all thread names that had no thread for idleTTL, once in
// an update, and reports whether there were some.
func (t *Tracker) removeIdleThreadNames() (removed bool) {
	if t.limits.threadsFull {
		return false
	}
	t.limits.threadsFull = true // do not search again for every thread
	for _, g := range t.groups {
		for _, tg := range g.threads {
			if tg.count == 0 && t.isIdle(tg.emptySince) {
				t.removeThreadName(g, tg)
				removed = true
			}
		}
	}
	return removed
}

// threadTotals returns the thread names of a group that have threads now. The other
// names keep their totals.
func (t *Tracker) threadTotals(g *groupState) []ThreadTotals {
	if len(g.threads) == 0 {
		return nil
	}
	out := make([]ThreadTotals, 0, len(g.threads))
	for _, tg := range g.threads {
		switch {
		case tg.count > 0:
			tg.emptySince = 0
			tg.start.finish(&t.snap)
			out = append(out, ThreadTotals{
				Name: tg.name, Count: tg.count, Counters: tg.total, CounterFields: tg.counterFields, CountersStart: tg.start.unixMillis,
			})
		case tg.emptySince == 0:
			tg.emptySince = t.snap.Now
		}
		tg.count = 0
	}
	return out
}

// addExits adds the counters of n to the exits of a group with one status. Above the limit,
// a failure gets the code OtherName, which is a failure too. See [IsFailure].
func (t *Tracker) addExits(g *groupState, status exitStatus, n exitCounter) {
	sum, known := g.exits[status]
	if !known && t.limits.exitStatuses >= maxExitStatuses && IsFailure(status.reason, status.code) {
		status.code = OtherName
		sum, known = g.exits[status]
	}
	if !known {
		t.limits.exitStatuses++
	}
	g.exits[status] = exitCounter{
		sum.all + n.all, sum.matched + n.matched,
		earlierStart(sum.allStart, n.allStart), earlierStart(sum.matchedStart, n.matchedStart),
	}
}
