package grouping

import (
	"errors"
	"fmt"
	"strings"

	"github.com/seed57308aee/process_exporter/grouping/expression"
	"github.com/seed57308aee/process_exporter/grouping/redact"
	"github.com/seed57308aee/process_exporter/platform"
)

// ErrNameMapping matches the errors of [NewNameMapping].
var ErrNameMapping = errors.New("bad name mapping")

// A nameMapping is the Matcher of the flags --procnames and --namemapping.
type nameMapping struct {
	rules    []*Rule            // in the order of the flags
	names    map[string]*Rule   // rules of --procnames by process name
	mappings map[string]mapping // rules of --namemapping by process name
}

// A mapping derives the group name from a command line.
type mapping struct {
	rule *Rule
	expr *expression.Expression
}

// NewNameMapping returns the Matcher of the flags --procnames, a comma-separated list of
// process names, and --namemapping, a comma-separated list of pairs of a process name and
// a regular expression. Commas cannot be quoted, so expressions cannot contain any.
//
// A mapping takes precedence for the processes of its name: a process whose command line
// does not match belongs to no group, even if procnames lists its name.
func NewNameMapping(procnames, namemapping string) (Matcher, error) {
	m := &nameMapping{names: make(map[string]*Rule), mappings: make(map[string]mapping)}
	for name := range strings.SplitSeq(procnames, ",") {
		if name != "" && m.names[name] == nil {
			m.names[name] = m.add(&Rule{Template: name})
		}
	}
	if err := m.parse(namemapping); err != nil {
		return nil, err
	}
	for name, r := range m.names { // a mapping takes precedence
		if _, mapped := m.mappings[name]; !mapped {
			r.Name, r.Static = groupName(name), true
		}
	}
	return m, nil
}

// add appends a rule and returns it.
func (m *nameMapping) add(r *Rule) *Rule {
	r.Position = len(m.rules) + 1
	m.rules = append(m.rules, r)
	return r
}

// parse parses the value of the flag --namemapping.
func (m *nameMapping) parse(namemapping string) error {
	if namemapping == "" {
		return nil
	}
	tokens := strings.Split(namemapping, ",")
	if len(tokens)%2 != 0 {
		return fmt.Errorf("grouping: %w %q: %d comma-separated parts are not pairs; write name,regexp,name,regexp",
			ErrNameMapping, namemapping, len(tokens))
	}
	for i := 0; i < len(tokens); i += 2 {
		name, expr := tokens[i], tokens[i+1]
		if name == "" || expr == "" {
			return fmt.Errorf("grouping: %w %q: pair %d has an empty part; remove the extra comma",
				ErrNameMapping, namemapping, i/2+1)
		}
		x, err := expression.Parse(expr)
		if err != nil {
			return fmt.Errorf("grouping: %w: regexp %q of %s: %w%s", ErrNameMapping, expr, name, err, regexpHint(expr))
		}
		m.mappings[name] = mapping{m.add(&Rule{Template: name + ":" + expr}), x}
	}
	return nil
}

// Needs implements [Matcher].
func (m *nameMapping) Needs() platform.IdentityFields {
	if len(m.mappings) > 0 {
		return platform.IdentityArgs
	}
	return 0
}

// Rules implements [Matcher].
func (m *nameMapping) Rules() []*Rule { return m.rules }

// LabelNames implements [Matcher].
func (m *nameMapping) LabelNames() []string { return nil }

// Match implements [Matcher].
func (m *nameMapping) Match(id *platform.Identity) Match {
	mapped, ok := m.mappings[id.Comm]
	if !ok {
		if r := m.names[id.Comm]; r != nil {
			return Match{Rule: r, Group: r.Name, OK: true}
		}
		return Match{}
	}
	groups := mapped.expr.FindSubmatch(strings.Join(id.Args, " "))
	for i := 1; i < len(groups); i++ {
		if groups[i] != "" {
			name := groupName(id.Comm + ":" + redact.Secrets(groups[i]))
			return Match{Rule: mapped.rule, Group: name, OK: true, Fields: platform.IdentityArgs}
		}
	}
	return Match{Fields: platform.IdentityArgs}
}
