package grouping

// useMatcher sets the matcher and creates the permanent groups of its rules. Groups
// keep their counters.
func (t *Tracker) useMatcher(m Matcher) {
	labels := m.LabelNames()
	t.setLabelNames(labels)
	t.matcher, t.identityFields, t.labels = m, m.Needs(), labels
	t.inherits, t.budget.unlimited = t.opts.Children, true
	t.matches.setRules(m.Rules())
	t.limits.byRule = make(map[*Rule]int)
	for _, g := range t.groups {
		g.rule, g.expect, g.permanent, g.labelsUnknown = nil, nil, false, false
	}
	for _, r := range m.Rules() {
		t.inherits = t.inherits || r.children == overrideTrue
		if m, ok := r.permanent(len(labels)); ok && (r.Expect != nil || !t.opts.RemoveEmpty) {
			t.addPermanent(&m)
		}
	}
	t.limits.groups, t.limits.groupBytes = 0, 0
	for _, g := range t.groups {
		if g.permanent || g.isOther {
			continue
		}
		t.limits.groups++
		t.limits.groupBytes += len(g.key)
		if g.unused() { // permanent group of a rule that was removed
			t.removeGroup(g)
		}
	}
}

// addPermanent creates the group m of a rule with a fixed name, before a process matches it.
func (t *Tracker) addPermanent(m *Match) {
	g := t.groups[GroupKey(m.Group, m.Labels)]
	if g == nil {
		g = newGroup(m)
		t.groups[g.key] = g
	}
	g.permanent = true
	if g.rule == nil {
		g.rule, g.collectors = m.Rule, 0
	}
	t.addCollectors(g, m.Rule)
	for _, l := range m.Rule.labels {
		g.labelsUnknown = g.labelsUnknown || !l.value.static
	}
	if m.Rule.Expect != nil {
		g.expect = m.Rule.Expect
	}
}

// group returns the group of a match. It creates the group if the limits allow, and
// returns the group OtherName otherwise.
func (t *Tracker) group(m *Match) *groupState {
	key := GroupKey(m.Group, m.Labels)
	g := t.groups[key]
	if g == nil {
		if t.atGroupLimit(m.Rule, key) {
			return t.otherGroup()
		}
		g = newGroup(m)
		t.groups[g.key] = g
		t.limits.groups++
		t.limits.groupBytes += len(g.key)
	}
	if g.rule == nil {
		g.rule, g.collectors = m.Rule, 0
		t.limits.byRule[m.Rule]++
	}
	return g
}

// addCollectors adds the collectors of a rule to those of its group.
func (t *Tracker) addCollectors(g *groupState, r *Rule) {
	g.collectors |= t.collectorsOf(r)
	g.fields |= t.fields(r)
}

// otherGroup returns the group of processes above a limit.
func (t *Tracker) otherGroup() *groupState {
	m := Match{Group: OtherName}
	if len(t.labels) > 0 {
		m.Labels = make([]string, len(t.labels))
	}
	g := t.groups[GroupKey(m.Group, m.Labels)]
	if g == nil {
		g = newGroup(&m)
		g.isOther = true
		t.groups[g.key] = g
	}
	return g
}
