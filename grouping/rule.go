package grouping

import (
	"slices"
	"strconv"

	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/platform/sockets"
)

// A Rule is one item of process_names, a name of the flag --procnames, or a pair of the flag
// --namemapping. It is immutable. A process must match all its selectors.
type Rule struct {
	Position int    // in the list of rules, counted from 1
	Line     int    // in the file, counted from 1; 0 if the rule comes from a flag
	Column   int    // in the file, counted from 1; 0 if the rule comes from a flag
	Template string // of the name, as written; "(ignored)" for ignored processes without a name

	// Name is the group of every matching process if Static is true: the template
	// has no fields. Such a group exists before any process matches.
	Name   string
	Static bool

	Ignore    bool    // matching processes belong to no group
	Expect    *Expect // nil if any number of processes is expected
	MaxGroups int     // maximum number of groups of this rule; 0 if only the global limit applies
	Top       int     // number of processes to export individually

	children override
	enabled  CollectorSet // that the rule enables, except those of [Options.Disabled]
	disabled CollectorSet // that the rule disables

	selectors    []selector // in the order of selectorKeys; none in a rule of a flag
	nameTemplate *nameTemplate
	labels       []labelTemplate
}

// An Expect is what a rule expects of its group.
type Expect struct {
	Min    int    // of the number of processes
	Max    int    // -1 if there is no maximum
	Listen []Port // on which a process of the group must listen, sorted
}

// equal reports whether two rules expect the same.
func (e *Expect) equal(other *Expect) bool {
	return e.Min == other.Min && e.Max == other.Max && slices.Equal(e.Listen, other.Listen)
}

// A Port is a port of a transport protocol.
type Port struct {
	Protocol sockets.Protocol
	Number   uint16
}

func (p Port) String() string { return p.Protocol.String() + "/" + strconv.Itoa(int(p.Number)) }

// An override is a boolean option of a rule that overrides a flag.
type override uint8

const (
	overrideNone override = iota
	overrideTrue
	overrideFalse
)

// or returns the value of the override, or flag if there is none.
func (o override) or(flag bool) bool { return o == overrideTrue || o == overrideNone && flag }

// A labelTemplate produces the value of one label.
type labelTemplate struct {
	name  string
	value *nameTemplate
	index int // of the label in the labels of all rules
}

// Collectors returns the collectors of the processes of the rule. flags are the collectors
// that the flags enable.
func (r *Rule) Collectors(flags CollectorSet) CollectorSet { return (flags | r.enabled) &^ r.disabled }

// Users returns the users that the selectors name, without those given as a number.
func (r *Rule) Users() []string { return usersOf(r.selectors) }

func usersOf(selectors []selector) (users []string) {
	for _, sel := range selectors {
		if not, ok := sel.(*notSelector); ok {
			users = append(users, usersOf(not.selectors)...)
		}
		if sel.key() != "user" {
			continue
		}
		for _, name := range sel.entries() {
			if _, err := strconv.ParseUint(name, 10, 32); err != nil {
				users = append(users, name)
			}
		}
	}
	return users
}

// match reports whether c matches the rule, and sets the captures of c.
func (r *Rule) match(c *candidate) bool {
	c.captures, c.capturedText = r.captures(), nil
	for _, sel := range r.selectors {
		c.read |= sel.reads()
		if !sel.match(c) {
			return false
		}
	}
	return true
}

// captures returns the captures that the templates of the rule read.
func (r *Rule) captures() captureMode {
	mode := r.nameTemplate.captures
	for _, l := range r.labels {
		mode = max(mode, l.value.captures)
	}
	return mode
}

// result returns the group of c, which matches the rule. labels is the number of
// labels of all rules.
func (r *Rule) result(c *candidate, labels int) Match {
	if r.Ignore {
		return Match{Rule: r, Fields: c.read}
	}
	m := r.nameTemplate.render(c)
	m.Rule, m.Fields = r, c.read|r.nameTemplate.reads
	if labels > 0 {
		m.Labels = make([]string, labels)
	}
	for _, l := range r.labels {
		value := l.value.render(c)
		m.Fields |= l.value.reads
		m.Labels[l.index] = value.Group
		m.TemplateFailed = m.TemplateFailed || value.TemplateFailed
	}
	return m
}

// permanent returns the group of a rule whose name is fixed. The group exists even
// if it has no processes. It reports false for other rules.
func (r *Rule) permanent(labels int) (m Match, ok bool) {
	if !r.Static || r.Ignore {
		return m, false
	}
	m = Match{Rule: r, Group: r.Name, OK: true}
	if labels > 0 {
		m.Labels = make([]string, labels)
	}
	for _, l := range r.labels {
		if l.value.static {
			m.Labels[l.index] = l.value.text
		}
	}
	return m, true
}

// isLiveOnly reports whether the group of the rule has another name for a zombie than for the
// live process.
func (r *Rule) isLiveOnly() bool {
	liveOnly := r.nameTemplate != nil && r.nameTemplate.liveOnly
	for _, l := range r.labels {
		liveOnly = liveOnly || l.value.liveOnly
	}
	return liveOnly
}

func (r *Rule) needs() platform.IdentityFields {
	fields := r.nameTemplate.needs
	for _, sel := range r.selectors {
		fields |= sel.needs()
	}
	for _, l := range r.labels {
		fields |= l.value.needs
	}
	return fields
}

// labelNames returns the names of the labels of all rules, sorted, and sets the index
// of every label.
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
			r.labels[i].index, _ = slices.BinarySearch(names, r.labels[i].name)
		}
	}
	return names
}
