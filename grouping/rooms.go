package grouping

import (
	"slices"
	"strings"
)

// maxThreadNames is how many thread names a group remembers. Beyond that the
// names that no thread has are forgotten, and would count anew; threads with
// names for which there still is no room count under [OtherName].
const maxThreadNames = 1000

// oblivion is for how many seconds a group must have had no process to give its
// place to another when there is no room left. It is long, for each change of
// places costs Prometheus the series of a group.
const oblivion = 24 * 60 * 60

// rooms keeps account of how many names there are. Anybody on the machine can
// call processes and threads whatever they like, and each name costs memory
// here and series in Prometheus.
type rooms struct {
	made    map[*Rule]int // groups by the rule that made them
	named   int           // groups that no rule has of itself
	threads int           // thread names in all groups
	full    bool          // nothing can be forgotten before the next update
}

// use makes m the matcher. Groups keep their counters.
func (t *Tracker) use(m Matcher) {
	labels := m.LabelNames()
	t.relabel(labels)
	t.matcher, t.needs, t.labels = m, m.Needs(), labels
	t.inherits = t.opts.Children
	t.coverage.adopt(m.Rules())
	t.rooms.made = make(map[*Rule]int)
	for _, g := range t.groups {
		g.rule, g.expect, g.standing, g.blank = nil, nil, false, false
	}
	for _, r := range m.Rules() {
		t.inherits = t.inherits || r.children == yes
		if m, ok := r.standing(len(labels)); ok && (r.Expect != nil || !t.opts.RemoveEmpty) {
			t.stand(&m)
		}
	}
	t.rooms.named = 0
	for _, g := range t.groups {
		switch {
		case g.standing || g.other:
		case !g.used() && g.gauges.Procs == 0: // a rule had it that is no more
			t.rooms.named++
			t.forget(g)
		default:
			t.rooms.named++
		}
	}
}

// stand makes the group of a rule that has it even without processes.
func (t *Tracker) stand(m *Match) {
	key := GroupKey(m.Group, m.Labels)
	g := t.groups[key]
	if g == nil {
		g = newGroup(m)
		t.groups[g.key] = g
	}
	g.standing = true
	if g.rule == nil {
		g.rule = m.Rule
	}
	g.wants |= m.Rule.fields(t.opts.Fields)
	for _, l := range m.Rule.labels {
		g.blank = g.blank || !l.value.static
	}
	if m.Rule.Expect != nil {
		g.expect = m.Rule.Expect
	}
}

// newGroup copies name and labels: they may be parts of a command line, which is
// not to live as long as a group.
func newGroup(m *Match) *group {
	m.Group = strings.Clone(m.Group)
	for i, value := range m.Labels {
		m.Labels[i] = strings.Clone(value)
	}
	return &group{
		name: m.Group, labels: m.Labels, key: GroupKey(m.Group, m.Labels),
		threads: make(map[string]*threadGroup), exits: make(map[ending]uint64),
	}
}

// group returns the group of a match, a new one if need be and there is room.
func (t *Tracker) group(m *Match) *group {
	key := GroupKey(m.Group, m.Labels)
	g := t.groups[key]
	if g == nil {
		if t.crowded(m.Rule) {
			return t.other()
		}
		g = newGroup(m)
		t.groups[g.key] = g
		t.rooms.named++
	}
	if g.rule == nil {
		g.rule = m.Rule
		t.rooms.made[m.Rule]++
	}
	return g
}

// crowded reports whether a rule may make no more groups.
func (t *Tracker) crowded(r *Rule) bool {
	if r.MaxGroups > 0 && t.rooms.made[r] >= r.MaxGroups {
		return true
	}
	return t.opts.MaxGroups > 0 && t.rooms.named >= t.opts.MaxGroups && !t.makeRoom()
}

// makeRoom forgets a group that had no process for a long time.
func (t *Tracker) makeRoom() bool {
	if t.rooms.full {
		return false
	}
	for _, g := range t.groups {
		if !g.standing && !g.other && g.idle > 0 && t.snap.Now > g.idle+oblivion*t.snap.TicksPerSecond {
			t.forget(g)
			return true
		}
	}
	t.rooms.full = true // there is no need to look again for every process
	return false
}

// forget removes a group, which has no process.
func (t *Tracker) forget(g *group) {
	delete(t.groups, g.key)
	t.rooms.threads -= len(g.threads)
	if g.rule != nil && !g.standing {
		t.rooms.made[g.rule]--
	}
	if !g.other {
		t.rooms.named--
	}
}

// other returns the group of what has no room elsewhere.
func (t *Tracker) other() *group {
	m := Match{Group: OtherName}
	if len(t.labels) > 0 {
		m.Labels = make([]string, len(t.labels))
	}
	g := t.groups[GroupKey(m.Group, m.Labels)]
	if g == nil {
		g = newGroup(&m)
		g.other = true
		t.groups[g.key] = g
	}
	return g
}

// thread returns the threads of a name in a group.
func (t *Tracker) thread(g *group, comm string) *threadGroup {
	label := processName(comm)
	if tg := g.threads[label]; tg != nil {
		return tg
	}
	if len(g.threads) >= maxThreadNames || t.opts.MaxThreadNames > 0 && t.rooms.threads >= t.opts.MaxThreadNames {
		t.health.LimitedThreads++
		label = OtherName
		if tg := g.threads[label]; tg != nil {
			return tg
		}
	}
	tg := &threadGroup{name: label}
	g.threads[label] = tg
	t.rooms.threads++
	return tg
}

// threadTotals returns the thread names that threads of a group have now. The
// others keep their totals for when they come back, as long as there is room.
func (t *Tracker) threadTotals(g *group) []Thread {
	if len(g.threads) == 0 {
		return nil
	}
	out := make([]Thread, 0, len(g.threads))
	full := len(g.threads) >= maxThreadNames || t.opts.MaxThreadNames > 0 && t.rooms.threads >= t.opts.MaxThreadNames
	for label, tg := range g.threads {
		if tg.count > 0 {
			out = append(out, Thread{Name: tg.name, Count: tg.count, Counters: tg.total, Counted: tg.counted})
		} else if full {
			delete(g.threads, label)
			t.rooms.threads--
			tg.forgotten = true
		}
		tg.count = 0
	}
	return out
}

// relabel gives all groups other labels, in which those that both sets have keep
// their values. Groups that differ by none of the new ones become one.
func (t *Tracker) relabel(names []string) {
	if len(t.groups) == 0 || slices.Equal(t.labels, names) {
		return
	}
	old := t.groups
	t.groups = make(map[string]*group, len(old))
	for _, g := range old {
		m := Match{Group: g.name}
		if len(names) > 0 {
			m.Labels = make([]string, len(names))
		}
		for i, name := range names {
			for j, was := range t.labels {
				if was == name {
					m.Labels[i] = g.labels[j]
				}
			}
		}
		g.labels, g.key = m.Labels, GroupKey(m.Group, m.Labels)
		if same := t.groups[g.key]; same != nil {
			t.merge(same, g)
		} else {
			t.groups[g.key] = g
		}
	}
	for i := range t.records {
		if r := &t.records[i]; r.group != nil && r.group.into != nil {
			r.group = r.group.into
			for j := range r.tasks {
				r.tasks[j].group = nil
			}
		}
	}
	for id, d := range t.departed {
		if d.group != nil && d.group.into != nil {
			d.group = d.group.into
			t.departed[id] = d
		}
	}
}

// merge adds what a group has counted to another, which takes its place.
func (t *Tracker) merge(to, from *group) {
	from.into = to
	to.total.add(&from.total)
	to.counted |= from.counted
	to.wants |= from.wants
	to.starts += from.starts
	to.oomKills += from.oomKills
	to.regroups += from.regroups
	to.other = to.other || from.other
	to.gauges.Procs += from.gauges.Procs
	for how, n := range from.exits {
		to.exits[how] += n
	}
	t.rooms.threads -= len(from.threads)
	for _, tg := range from.threads {
		same := to.threads[tg.name]
		if same == nil {
			same = &threadGroup{name: tg.name}
			to.threads[tg.name] = same
			t.rooms.threads++
		}
		same.total.add(&tg.total)
		same.counted |= tg.counted
	}
}
