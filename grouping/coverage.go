package grouping

// A Coverage says how much of a machine the rules reach.
type Coverage struct {
	UnmatchedProcs int    // live processes in no group, those that a rule ignores too
	UnmatchedNanos uint64 // CPU time that processes used while they were in no group
	Rules          []RuleMatches
	Groups         int // that are known

	rules   []*Rule
	matches map[*Rule]int
}

// RuleMatches counts the live processes that a rule wants, without the children
// that join them.
type RuleMatches struct {
	*Rule
	Procs int
}

// adopt makes it count for other rules.
func (c *Coverage) adopt(rules []*Rule) {
	c.rules, c.matches = rules, make(map[*Rule]int, len(rules))
}

// count counts a live process.
func (c *Coverage) count(r *record) {
	if r.state != tracked {
		c.UnmatchedProcs++
	}
	if r.rule != nil && !r.inherited {
		c.matches[r.rule]++
	}
}

// Coverage returns how much of the machine the rules reach, as of the last
// Update. The result belongs to the caller.
func (t *Tracker) Coverage() Coverage {
	c := Coverage{
		UnmatchedProcs: t.coverage.UnmatchedProcs, UnmatchedNanos: t.coverage.UnmatchedNanos, Groups: len(t.groups),
		Rules: make([]RuleMatches, len(t.coverage.rules)),
	}
	for i, r := range t.coverage.rules {
		c.Rules[i] = RuleMatches{r, t.coverage.matches[r]}
	}
	return c
}

// LabelNames returns the labels that groups have beside their name, as of the
// last Update.
func (t *Tracker) LabelNames() []string { return t.labels }
