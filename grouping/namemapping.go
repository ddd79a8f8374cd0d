package grouping

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/seed57308aee/process_exporter/grouping/redact"
	"github.com/seed57308aee/process_exporter/platform"
)

// ErrNameMapping matches the errors of [NewNameMapping].
var ErrNameMapping = errors.New("bad name mapping")

// nameMapping is the Matcher of the flags procnames and namemapping.
type nameMapping struct {
	rules    []*Rule // of names, in their order
	names    map[string]*Rule
	mappings map[string]mapping
}

// A mapping makes names of command lines.
type mapping struct {
	rule *Rule
	expr *regexp.Regexp
}

// NewNameMapping returns the Matcher of the flags -procnames, names separated
// by commas, and -namemapping, pairs of a name and a regular expression. As no
// comma can be quoted, no expression can have one.
//
// A mapping alone decides about the processes of its name: one whose command
// line does not match is in no group, even if procnames has its name too.
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
	for name, r := range m.names { // a mapping decides alone
		if _, mapped := m.mappings[name]; !mapped {
			r.Name, r.Static = groupName(name), true
		}
	}
	return m, nil
}

// add appends a rule.
func (m *nameMapping) add(r *Rule) *Rule {
	r.Position = len(m.rules) + 1
	m.rules = append(m.rules, r)
	return r
}

// parse reads the pairs of the flag namemapping.
func (m *nameMapping) parse(namemapping string) error {
	if namemapping == "" {
		return nil
	}
	tokens := strings.Split(namemapping, ",")
	if len(tokens)%2 != 0 {
		return fmt.Errorf("grouping: %w, of %q: %d parts between commas; write pairs: name,regexp,name,regexp",
			ErrNameMapping, namemapping, len(tokens))
	}
	for i := 0; i < len(tokens); i += 2 {
		name, expr := tokens[i], tokens[i+1]
		if name == "" || expr == "" {
			return fmt.Errorf("grouping: %w, of %q: pair %d has an empty part; remove the comma too many",
				ErrNameMapping, namemapping, i/2+1)
		}
		re, err := regexp.Compile(expr)
		if err != nil {
			return fmt.Errorf("grouping: %w, regexp %q of %s: %w%s", ErrNameMapping, expr, name, err, regexpHint(expr))
		}
		m.mappings[name] = mapping{m.add(&Rule{Template: name + ":" + expr}), re}
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
	to, mapped := m.mappings[id.Comm]
	if !mapped {
		if r := m.names[id.Comm]; r != nil {
			return Match{Rule: r, Group: r.Name, OK: true}
		}
		return Match{}
	}
	groups := to.expr.FindStringSubmatch(strings.Join(id.Args, " "))
	for i := 1; i < len(groups); i++ {
		if groups[i] != "" {
			return Match{Rule: to.rule, Group: groupName(id.Comm + ":" + redact.Secrets(groups[i])), OK: true}
		}
	}
	return Match{}
}
