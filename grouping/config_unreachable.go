package grouping

import (
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/seed57308aee/process_exporter/grouping/expression"
)

// maxComparisons limits the comparisons of two rules, because the time to load tens of
// thousands of rules would otherwise be minutes. It allows all pairs of nearly 3,000
// rules.
const maxComparisons = 1 << 22

// warnUnreachable warns of rules that never match a process, because an earlier rule
// matches every process that they would match. It warns only if that is certain.
func (d *decoder) warnUnreachable(rules []*Rule) {
	comparisons := 0
	for i, r := range rules {
		for _, before := range rules[:i] {
			if comparisons++; comparisons > maxComparisons {
				return
			}
			if before.covers(r) {
				d.warn(&yaml.Node{Line: r.Line, Column: r.Column},
					"the rule is never reached: the one in line %d matches every process that it matches; move it before that one, or remove it",
					before.Line)
				break
			}
		}
	}
}

// covers reports whether r certainly matches every process that other matches: each
// selector of r follows from a selector of other.
func (r *Rule) covers(other *Rule) bool {
	return !slices.ContainsFunc(r.selectors, func(sel selector) bool {
		return !slices.ContainsFunc(other.selectors, func(from selector) bool { return isImpliedBy(sel, from) })
	})
}

// isImpliedBy reports whether every process that passes the selector from certainly
// passes sel.
func isImpliedBy(sel, from selector) bool {
	switch sel := sel.(type) {
	case *listSelector:
		from, ok := from.(*listSelector)
		return ok && from.listKind == sel.listKind && isSubset(from.items, sel.items)
	case *regexpSelector:
		if sel.name == "cmdline" && sel.all && sel.matchesAny() {
			return hasArguments(from)
		}
		from, ok := from.(*regexpSelector)
		if !ok || from.regexpKind != sel.regexpKind {
			return false
		}
		if sel.all { // from must have all expressions of sel
			return isSubset(sel.entries(), from.entries())
		}
		return isSubset(from.entries(), sel.entries())
	case *notSelector:
		from, ok := from.(*notSelector)
		return ok && isSubset(sel.entries(), from.entries())
	}
	return false
}

// isSubset reports whether all contains every element of of.
func isSubset(of, all []string) bool {
	return !slices.ContainsFunc(of, func(s string) bool { return !slices.Contains(all, s) })
}

// hasArguments reports whether every process that passes a selector certainly has a
// command line.
func hasArguments(sel selector) bool {
	switch sel := sel.(type) {
	case *listSelector:
		return sel.name == "exe"
	case *regexpSelector:
		return sel.name == "cmdline" && sel.all &&
			slices.ContainsFunc(sel.expressions, func(x *expression.Expression) bool { return !x.Match("") })
	}
	return false
}
