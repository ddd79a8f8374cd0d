package grouping

// MatchCounts counts processes with and without a matching rule.
type MatchCounts struct {
	UngroupedProcs int    // live processes in no group, including ignored ones
	UngroupedNanos uint64 // CPU time of processes in no group, since the start
	Rules          []RuleMatches
	Groups         int // groups, including those without processes
}

// RuleMatches counts the live processes that match a rule. Processes that inherited
// its group are not counted.
type RuleMatches struct {
	*Rule
	Procs int
}

// matchCounter is the state of the Tracker for [MatchCounts].
type matchCounter struct {
	ungroupedProcs int
	ungroupedNanos uint64
	rules          []*Rule
	procs          map[*Rule]int // live processes by the rule that they match
}

// setRules replaces the rules whose matches are counted.
func (c *matchCounter) setRules(rules []*Rule) {
	c.rules, c.procs = rules, make(map[*Rule]int, len(rules))
}

// reset sets the numbers of live processes to 0.
func (c *matchCounter) reset() {
	c.ungroupedProcs = 0
	clear(c.procs)
}

// count counts a live process.
func (c *matchCounter) count(r *processRecord) {
	if r.group == nil {
		c.ungroupedProcs++
	}
	if r.rule != nil && !r.inherits() {
		c.procs[r.rule]++
	}
}

// MatchCounts returns the counts as of the last Update. The caller owns the result.
func (t *Tracker) MatchCounts() MatchCounts {
	c := MatchCounts{
		UngroupedProcs: t.matches.ungroupedProcs, UngroupedNanos: t.matches.ungroupedNanos, Groups: len(t.groups),
		Rules: make([]RuleMatches, len(t.matches.rules)),
	}
	for i, r := range t.matches.rules {
		c.Rules[i] = RuleMatches{r, t.matches.procs[r]}
	}
	return c
}
