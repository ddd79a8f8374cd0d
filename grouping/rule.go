package grouping

import (
	"slices"

	"github.com/seed57308aee/process_exporter/platform"
)

// A Rule is one item of process_names, or a name of the flag procnames. It does
// not change once it is made. A process must pass all its selectors.
type Rule struct {
	Position int    // from 1
	Line     int    // in the file, from 1; 0 if it comes from none
	Column   int    // the same
	Template string // of the name, as written

	// Name is the group of every process that the rule wants, if it is always
	// the same: then Static is true, and the group exists from the start.
	Name   string
	Static bool

	Ignore    bool    // what it wants is in no group
	Expect    *Expect // nil if any number of processes is fine
	MaxGroups int     // how many groups it may make; 0 is no limit of its own
	Top       int     // how many members are shown one by one

	children choice
	threads  choice
	smaps    choice

	selectors []selector // at least one, the cheap ones first
	name      *nameTemplate
	labels    []labelTemplate
}

// An Expect says how many processes a group should have.
type Expect struct {
	Min int
	Max int // -1 is no upper bound
}

// A choice is a switch that a rule may leave to the flag of its name.
type choice uint8

const (
	unset choice = iota
	yes
	no
)

// or returns the choice, or what the flag says.
func (c choice) or(flag bool) bool { return c == yes || c == unset && flag }

// A labelTemplate makes the value of one label.
type labelTemplate struct {
	name  string
	value *nameTemplate
	at    int // index in the labels of all rules
}

// fields returns what is to be read of the processes of a rule.
func (r *Rule) fields(all platform.Fields) platform.Fields {
	set := func(c choice, fields platform.Fields) {
		switch c {
		case yes:
			all |= fields
		case no:
			all &^= fields
		}
	}
	set(r.threads, platform.FieldTaskUsage)
	set(r.smaps, platform.FieldSmaps)
	return all
}

// match reports whether the rule wants s, and leaves its captures there.
func (r *Rule) match(s *subject) bool {
	s.matches = nil
	for _, sel := range r.selectors {
		if !sel.match(s) {
			return false
		}
	}
	return true
}

// place returns where the rule puts s, which it wants. labels is how many
// labels all rules have.
func (r *Rule) place(s *subject, labels int) Match {
	if r.Ignore {
		return Match{Rule: r}
	}
	m := r.name.group(s)
	m.Rule = r
	if labels > 0 {
		m.Labels = make([]string, labels)
	}
	for _, l := range r.labels {
		value := l.value.group(s)
		m.Labels[l.at] = value.Group
		m.TemplateFailed = m.TemplateFailed || value.TemplateFailed
	}
	return m
}

// standing returns the group of a rule whose processes are all in one, and that
// is there without any.
func (r *Rule) standing(labels int) (m Match, ok bool) {
	if !r.Static || r.Ignore {
		return m, false
	}
	m = Match{Rule: r, Group: r.Name, OK: true}
	if labels > 0 {
		m.Labels = make([]string, labels)
	}
	for _, l := range r.labels {
		if l.value.static {
			m.Labels[l.at] = l.value.text
		}
	}
	return m, true
}

func (r *Rule) needs() platform.IdentityFields {
	words := r.name.needs
	for _, sel := range r.selectors {
		words |= sel.needs()
	}
	for _, l := range r.labels {
		words |= l.value.needs
	}
	return words
}

// labelNames returns the names of the labels of all rules, sorted, and tells
// each rule where its own stand.
func labelNames(rules []*Rule) []string {
	var names []string
	for _, r := range rules {
		for _, l := range r.labels {
			names = append(names, l.name)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	for _, r := range rules {
		for i := range r.labels {
			r.labels[i].at, _ = slices.BinarySearch(names, r.labels[i].name)
		}
	}
	return names
}
