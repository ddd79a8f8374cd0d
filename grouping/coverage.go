package grouping

// A Coverage counts the processes that rules match and those that they do not.
type Coverage struct {
	UnmatchedProcs int    // live processes in no group, including ignored ones
	UnmatchedNanos uint64 // CPU time of processes in no group, since the start
	Rules          []RuleMatches
	Groups         int // known groups

	rules   []*Rule
	matches map[*Rule]int
}

// RuleMatches counts the live processes that match a rule, without those that
// inherited its group.
type RuleMatches struct {
	*Rule
	Procs int
}

// setRules replaces the rules whose matches are counted.
func (c *Coverage) setRules(rules []*Rule) {
	c.rules, c.matches = rules, make(map[*Rule]int, len(rules))
}

// reset sets the numbers of live processes to 0.
func (c *Coverage) reset() {
	c.UnmatchedProcs = 0
	clear(c.matches)
}

// count counts a live process.
func (c *Coverage) count(r *record) {
	if r.group == nil {
		c.UnmatchedProcs++
	}
	if r.rule != nil && !r.inherits() {
		c.matches[r.rule]++
	}
}

// Coverage returns the coverage of the rules as of the last Update. The caller owns
// the result.
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
