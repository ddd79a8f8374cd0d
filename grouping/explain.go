package grouping

import (
	"context"
	"maps"
	"path"
	"slices"

	"github.com/seed57308aee/process_exporter/platform"
)

// An Explanation describes why a process is in its group.
type Explanation struct {
	platform.Identity
	Unit, Slice, ContainerID, ContainerRuntime, PodUID, App string // as templates see them

	Lineage       []Ancestor   // parent, grandparent and so on
	RuleResults   []RuleResult // of all rules, in order
	Rule          *Rule        // rule that determined the result, nil if no rule matches
	Group         string       // valid if Grouped
	Labels        []string
	Grouped       bool      // the process has a group
	InheritedFrom *Ancestor // ancestor whose group the process inherited, nil if a rule matches it
	OverLimit     bool      // the group is [OtherName], because a group limit is reached
}

// An Ancestor is the parent of a process or of another Ancestor.
type Ancestor struct {
	PID             int
	Comm            string
	Group           string // valid if Grouped
	Grouped         bool
	Ignored         bool // a rule ignores it
	AcceptsChildren bool // descendants that match no rule inherit its group
}

// A RuleResult is the result of one rule for one process.
type RuleResult struct {
	Rule      *Rule
	Selectors []SelectorResult
	Matched   bool              // every selector matched
	Captures  map[string]string // named captures of the regular expressions, if Matched
	Group     string            // group that the rule assigns, if Matched and the rule does not ignore
}

// A SelectorResult is the result of one selector for one process.
type SelectorResult struct {
	Key     string   // of the selector
	Entries []string // of the selector
	Values  []string // values of the process that were compared; empty if absent or unreadable
	Matched bool
	Hint    string // likely mistake in the selector, "" if there is none
}

// explainedFields are the identity fields of an Explanation.
const explainedFields = platform.IdentityArgs | platform.IdentityUser | platform.IdentityCgroups | platform.IdentityExe

// Explain returns why a process is in the group that the last Update assigned. The error
// matches [platform.ErrGone] if there is no such process.
func (t *Tracker) Explain(ctx context.Context, pid int) (*Explanation, error) {
	i := t.snap.Index(pid)
	if i < 0 {
		return nil, platform.ErrGone
	}
	id, err := t.src.Identify(ctx, &t.snap.Samples[i], explainedFields)
	if err != nil {
		return nil, err
	}
	e := &Explanation{Identity: id, Lineage: t.lineage(i)}
	for _, a := range e.Lineage {
		e.Ancestors = append(e.Ancestors, a.Comm)
	}
	t.findContainer(&e.Identity)
	c := candidate{id: &e.Identity}
	data := c.templateData()
	e.Unit, e.Slice, e.App = data.Unit(), data.Slice(), data.App()
	e.ContainerID, e.ContainerRuntime, e.PodUID = data.ContainerID(), data.ContainerRuntime(), data.PodUID()
	for _, r := range t.matcher.Rules() {
		e.RuleResults = append(e.RuleResults, r.try(&e.Identity, t.matcher))
	}
	t.explainGroup(e, i)
	return e, nil
}

// explainGroup sets the group of the process at index i.
func (t *Tracker) explainGroup(e *Explanation, i int) {
	r := &t.records[i]
	e.Rule = r.rule
	if r.group == nil {
		return
	}
	e.Grouped, e.Group, e.Labels, e.OverLimit = true, r.group.name, r.group.labels, r.group.isOther
	if !r.inherits() {
		return
	}
	for j := range e.Lineage {
		if e.Lineage[j].Grouped {
			e.InheritedFrom = &e.Lineage[j]
			return
		}
	}
}

// lineage returns the ancestors of the process at index i, from its parent upwards.
func (t *Tracker) lineage(i int) (lineage []Ancestor) {
	s := &t.snap.Samples[i]
	for range maxAncestors {
		var r *processRecord
		if r, s = t.parent(s); r == nil {
			break
		}
		a := Ancestor{PID: s.PID, Comm: s.Comm, Grouped: r.group != nil, Ignored: r.state == stateExcluded && r.rule != nil}
		if a.Grouped {
			a.Group, a.AcceptsChildren = r.group.name, r.rule.children.or(t.opts.Children)
		}
		lineage = append(lineage, a)
	}
	return lineage
}

// try returns the result of every selector of the rule. Rules of a name mapping have no
// selectors; their result is that of the whole Matcher.
func (r *Rule) try(id *platform.Identity, m Matcher) RuleResult {
	c := candidate{id: id, captures: capturesNamed}
	if r.nameTemplate != nil {
		c.captures = max(c.captures, r.captures())
	}
	result := RuleResult{Rule: r, Matched: true}
	for _, sel := range r.selectors {
		selected := SelectorResult{Key: sel.key(), Entries: sel.entries(), Values: sel.values(&c), Matched: sel.match(&c)}
		if x, ok := sel.(*regexpSelector); ok && !selected.Matched {
			selected.Hint = expressionHint(x.expressions, selected.Values)
		}
		result.Matched = result.Matched && selected.Matched
		result.Selectors = append(result.Selectors, selected)
	}
	if len(r.selectors) == 0 {
		match := m.Match(id)
		result.Matched, result.Group = match.Rule == r, match.Group
		result.Selectors = []SelectorResult{{Key: "name", Entries: []string{r.Template}, Values: []string{id.Comm}, Matched: result.Matched}}
		return result
	}
	if result.Matched {
		result.Captures = maps.Clone(c.capturedText)
		delete(result.Captures, "")
		result.Group = r.result(&c, len(m.LabelNames())).Group
	}
	return result
}

// Find returns the PIDs of the processes whose name is name, or whose first argument is
// name, with or without a directory.
func (t *Tracker) Find(ctx context.Context, name string) (pids []int) {
	for i := range t.snap.Samples {
		s := &t.snap.Samples[i]
		if s.Comm == name {
			pids = append(pids, s.PID)
			continue
		}
		if s.KernelThread || ctx.Err() != nil {
			continue
		}
		id, err := t.src.Identify(ctx, s, platform.IdentityArgs)
		if err == nil && len(id.Args) > 0 && slices.Contains([]string{id.Args[0], path.Base(id.Args[0])}, name) {
			pids = append(pids, s.PID)
		}
	}
	return pids
}
