package grouping

import (
	"context"
	"maps"
	"path"
	"slices"

	"github.com/seed57308aee/process_exporter/platform"
)

// An Explanation says why a process is in the group that it is in.
type Explanation struct {
	platform.Identity
	Unit, Slice, ContainerID, ContainerRuntime, PodUID, App string // as templates see them

	Line     []Ancestor // its parent, the parent of that, and so on
	Trials   []Trial    // of all rules, in order
	Rule     *Rule      // that decided, nil if none did
	Group    string     // "" without one; see Grouped
	Labels   []string
	Grouped  bool      // it is in a group
	Heir     *Ancestor // whose group it has joined, nil if a rule wants it itself
	Overflow bool      // the group is [OtherName], for there was no room for another
}

// An Ancestor is a process above another.
type Ancestor struct {
	PID     int
	Comm    string
	Group   string // "" without one; see Grouped
	Grouped bool
	Ignored bool // by a rule
	Shares  bool // children that no rule wants join its group
}

// A Trial is what a rule makes of one process.
type Trial struct {
	Rule     *Rule
	Steps    []Step
	Passed   bool              // every step did
	Captures map[string]string // by the regular expressions, if it passed
	Group    string            // that it gives, if it passed and does not ignore
}

// A Step is one selector of a rule, tried on one process.
type Step struct {
	Key    string   // of the selector
	Wants  []string // its entries
	Sees   []string // what of the process it looks at; nothing if that could not be read or is not there
	Passed bool
}

// explainedFields are the identity fields of an Explanation.
const explainedFields = platform.IdentityArgs | platform.IdentityUser | platform.IdentityCgroups | platform.IdentityExe

// Explain says why a process is where the last Update has put it. The error
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
	e := &Explanation{Identity: id, Line: t.lineage(i)}
	for _, a := range e.Line {
		e.Ancestors = append(e.Ancestors, a.Comm)
	}
	c := candidate{id: &e.Identity}
	data := c.templateData()
	e.Unit, e.Slice, e.App = data.Unit(), data.Slice(), data.App()
	e.ContainerID, e.ContainerRuntime, e.PodUID = data.ContainerID(), data.ContainerRuntime(), data.PodUID()
	for _, r := range t.matcher.Rules() {
		e.Trials = append(e.Trials, r.try(&e.Identity, t.matcher))
	}
	t.outcome(e, i)
	return e, nil
}

// outcome tells what became of the process at an index.
func (t *Tracker) outcome(e *Explanation, i int) {
	r := &t.records[i]
	e.Rule = r.rule
	if r.group == nil {
		return
	}
	e.Grouped, e.Group, e.Labels, e.Overflow = true, r.group.name, r.group.labels, r.group.isOther
	if !r.inherits() {
		return
	}
	for at := range e.Line {
		if e.Line[at].Grouped {
			e.Heir = &e.Line[at]
			return
		}
	}
}

// lineage returns the ancestors of the process at an index.
func (t *Tracker) lineage(i int) (line []Ancestor) {
	s := &t.snap.Samples[i]
	for range maxAncestors {
		var r *record
		if r, s = t.parent(s); r == nil {
			break
		}
		a := Ancestor{PID: s.PID, Comm: s.Comm, Grouped: r.group != nil, Ignored: r.state == stateIgnored && r.rule != nil}
		if a.Grouped {
			a.Group, a.Shares = r.group.name, r.rule.children.or(t.opts.Children)
		}
		line = append(line, a)
	}
	return line
}

// try tells what the rule makes of a process, selector by selector. The rules of
// names and mappings have no selectors, and are asked as a whole.
func (r *Rule) try(id *platform.Identity, m Matcher) Trial {
	c := candidate{id: id}
	tr := Trial{Rule: r, Passed: true}
	for _, sel := range r.selectors {
		st := Step{Key: sel.key(), Wants: sel.entries(), Sees: sel.values(&c), Passed: sel.match(&c)}
		tr.Passed = tr.Passed && st.Passed
		tr.Steps = append(tr.Steps, st)
	}
	if len(r.selectors) == 0 {
		match := m.Match(id)
		tr.Passed, tr.Group = match.Rule == r, match.Group
		tr.Steps = []Step{{Key: "name", Wants: []string{r.Template}, Sees: []string{id.Comm}, Passed: tr.Passed}}
		return tr
	}
	if tr.Passed {
		tr.Captures = maps.Clone(c.matches)
		delete(tr.Captures, "")
		tr.Group = r.assign(&c, len(m.LabelNames())).Group
	}
	return tr
}

// Find returns the processes of a name, by PID: those called so, and those whose
// command line begins with it, with or without directory.
func (t *Tracker) Find(ctx context.Context, name string) (pids []int) {
	for i := range t.snap.Samples {
		s := &t.snap.Samples[i]
		if s.Comm == name {
			pids = append(pids, s.PID)
			continue
		}
		if s.Kernel || ctx.Err() != nil {
			continue
		}
		id, err := t.src.Identify(ctx, s, platform.IdentityArgs)
		if err == nil && len(id.Args) > 0 && slices.Contains([]string{id.Args[0], path.Base(id.Args[0])}, name) {
			pids = append(pids, s.PID)
		}
	}
	return pids
}
