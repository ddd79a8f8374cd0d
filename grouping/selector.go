package grouping

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/seed57308aee/process_exporter/grouping/expression"
	"github.com/seed57308aee/process_exporter/platform"
)

// A selector is one condition of a rule. A new selector needs:
//   - an entry in selectorKeys (config_keys.go), whose position sets the order in
//     which a rule compares its selectors
//   - an entry in listKinds or regexpKinds
//   - a case in decoder.checkItems, if some of its entries cannot match any process
//
// A value that [platform.Identity] lacks also needs a field there, which both
// sources must read.
type selector interface {
	match(c *candidate) bool
	needs() platform.IdentityFields
	reads() platform.IdentityFields // fields of needs on whose text the result depends, not only on its presence
	key() string                    // its key in the configuration file
	entries() []string              // its entries in the configuration file
	values(c *candidate) []string   // the values of a process that it compares
}

// A listSelector matches processes with a value that matches one of its items.
type listSelector struct {
	*listKind
	items []string
}

// A listKind defines a key whose value is a list of strings.
type listKind struct {
	name    string
	fields  platform.IdentityFields
	get     func(c *candidate) []string
	matches func(entry, value string) bool
}

// listKinds are the selectors that compare strings. Their order has no meaning.
var listKinds = []*listKind{
	{"comm", 0, func(c *candidate) []string { return []string{c.id.Comm} }, isEqual},
	{"exe", platform.IdentityArgs, firstArgument, matchesFirstArgument},
	{"user", platform.IdentityUser, userNameAndID, isEqual},
	{"exe_path", platform.IdentityExe, func(c *candidate) []string { return nonEmpty(c.id.Exe) }, matchesPattern},
	{"ancestor", platform.IdentityAncestors, func(c *candidate) []string { return c.id.Ancestors }, isEqual},
	{"unit", platform.IdentityCgroups, func(c *candidate) []string {
		return c.withInner(c.cgroup().Unit, c.innerCgroup().Unit)
	}, matchesPattern},
	{"container", platform.IdentityCgroups, func(c *candidate) []string {
		return c.withInner(c.cgroup().ContainerID, c.innerCgroup().ContainerID)
	}, matchesContainer},
}

func (l *listSelector) key() string { return l.name }

func (l *listSelector) needs() platform.IdentityFields { return l.fields }

func (l *listSelector) reads() platform.IdentityFields { return l.fields }

func (l *listSelector) entries() []string { return l.items }

func (l *listSelector) values(c *candidate) []string { return l.get(c) }

func (l *listSelector) match(c *candidate) bool {
	values := l.get(c)
	return slices.ContainsFunc(l.items, func(entry string) bool {
		return slices.ContainsFunc(values, func(value string) bool { return l.matches(entry, value) })
	})
}

func isEqual(entry, value string) bool { return entry == value }

func nonEmpty(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}

func firstArgument(c *candidate) []string {
	if len(c.id.Args) == 0 {
		return nil
	}
	return c.id.Args[:1]
}

// matchesFirstArgument compares an entry with a slash to the whole first argument,
// and an entry without one to its last path element.
func matchesFirstArgument(entry, value string) bool {
	if strings.Contains(entry, "/") {
		return entry == value
	}
	return entry == path.Base(value)
}

// userNameAndID returns the name and the number of the effective user, or nothing if
// they are unreadable. A user without a name has only a number.
func userNameAndID(c *candidate) []string {
	if c.id.Username == "" {
		return nil
	}
	number := strconv.FormatUint(uint64(c.id.EUID), 10)
	if c.id.Username == number {
		return []string{number}
	}
	return []string{c.id.Username, number}
}

// matchesPattern matches a shell pattern, as systemctl does with units. The decoder
// rejects malformed patterns.
func matchesPattern(entry, value string) bool {
	ok, err := path.Match(entry, value)
	return ok && err == nil
}

// matchesContainer compares an entry with the beginning of a container ID, which has lower-case
// letters, or of an LXC name. The entry * matches every container that is neither inside another one
// nor below the manager of a user's units. The ID of an inner container is OUTER/ID, where OUTER is the
// outer container ID or the unit of the user manager. The entry then has a shell pattern for OUTER.
func matchesContainer(entry, id string) bool {
	pattern, entryID, isEntryInner := cutOuter(entry)
	outer, id, isInner := cutOuter(id)
	return isEntryInner == isInner && matchesPattern(pattern, outer) &&
		(entryID == "*" || entryID != "" && (strings.HasPrefix(id, entryID) || strings.HasPrefix(id, strings.ToLower(entryID))))
}

// cutOuter splits the text before a slash from the text after it.
func cutOuter(text string) (outer, inner string, found bool) {
	if outer, inner, found = strings.Cut(text, "/"); found {
		return outer, inner, true
	}
	return "", text, false
}

// A regexpSelector matches processes whose values match regular expressions.
type regexpSelector struct {
	*regexpKind
	all         bool // every expression must match; false: one of them
	expressions []*expression.Expression
}

// A regexpKind defines a key whose value is a list of regular expressions.
type regexpKind struct {
	name   string
	fields platform.IdentityFields
	all    bool
	get    func(c *candidate) []string
}

// regexpKinds are the selectors that compare regular expressions. [Default] uses
// the first one.
var regexpKinds = []*regexpKind{
	{"cmdline", platform.IdentityArgs, true, func(c *candidate) []string { return []string{c.commandLine()} }},
	{"cgroup", platform.IdentityCgroups, false, func(c *candidate) []string { return c.id.Cgroups }},
}

func (e *regexpSelector) key() string { return e.name }

func (e *regexpSelector) needs() platform.IdentityFields { return e.fields }

func (e *regexpSelector) reads() platform.IdentityFields {
	if e.matchesAny() {
		return 0
	}
	return e.fields
}

func (e *regexpSelector) values(c *candidate) []string { return e.get(c) }

func (e *regexpSelector) entries() []string {
	texts := make([]string, len(e.expressions))
	for i, x := range e.expressions {
		texts[i] = x.String()
	}
	return texts
}

// matchesAny reports whether every expression certainly matches every text that contains
// a character other than a newline.
func (e *regexpSelector) matchesAny() bool {
	return !slices.ContainsFunc(e.expressions, func(x *expression.Expression) bool { return !x.MatchesAny() })
}

func (e *regexpSelector) match(c *candidate) bool {
	values := e.get(c)
	for _, x := range e.expressions {
		found := slices.ContainsFunc(values, func(value string) bool { return c.find(x, value) })
		if found != e.all {
			return found
		}
	}
	return e.all
}

// A notSelector matches processes that none of its selectors matches.
type notSelector struct{ selectors []selector }

func (n *notSelector) key() string { return "not" }

func (n *notSelector) match(c *candidate) bool {
	wanted := c.captures
	c.captures = capturesNone
	defer func() { c.captures = wanted }()
	return !slices.ContainsFunc(n.selectors, func(sel selector) bool { return sel.match(c) })
}

func (n *notSelector) needs() (fields platform.IdentityFields) {
	for _, sel := range n.selectors {
		fields |= sel.needs()
	}
	return fields
}

func (n *notSelector) reads() (fields platform.IdentityFields) {
	for _, sel := range n.selectors {
		fields |= sel.reads()
	}
	return fields
}

func (n *notSelector) entries() (texts []string) {
	for _, sel := range n.selectors {
		for _, entry := range sel.entries() {
			texts = append(texts, sel.key()+" "+entry)
		}
	}
	return texts
}

func (n *notSelector) values(c *candidate) (values []string) {
	for _, sel := range n.selectors {
		values = append(values, sel.values(c)...)
	}
	return values
}
