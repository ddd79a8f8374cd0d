package grouping

import (
	"regexp"
	"regexp/syntax"
	"slices"

	"go.yaml.in/yaml/v3"
)

// maxCompared bounds how often two rules are compared, so that to load tens of
// thousands takes no minutes. All of almost 3,000 are compared with each other.
const maxCompared = 1 << 22

// warnUnreachable warns of rules that never get a process, because one before
// them wants all that they want. It says so only where that is certain.
func (d *decoder) warnUnreachable(rules []*Rule) {
	compared := 0
	for i, r := range rules {
		for _, before := range rules[:i] {
			if compared++; compared > maxCompared {
				return
			}
			if before.covers(r) {
				d.warn(&yaml.Node{Line: r.Line, Column: r.Column}, "the rule is never reached: the one in line %d wants all that it wants; put it before that one, or remove it", before.Line)
				break
			}
		}
	}
}

// covers reports whether r surely wants every process that other wants: each of
// its conditions follows from one of the other's.
func (r *Rule) covers(other *Rule) bool {
	return !slices.ContainsFunc(r.selectors, func(sel selector) bool {
		return !slices.ContainsFunc(other.selectors, func(from selector) bool { return follows(sel, from) })
	})
}

// follows reports whether who passes from surely passes sel.
func follows(sel, from selector) bool {
	switch sel := sel.(type) {
	case *list:
		from, ok := from.(*list)
		return ok && from.listKind == sel.listKind && isSubset(from.items, sel.items)
	case *expressions:
		if sel.name == "cmdline" && sel.all && sel.anything {
			return hasArguments(from)
		}
		from, ok := from.(*expressions)
		if !ok || from.expressionKind != sel.expressionKind {
			return false
		}
		if sel.all { // all of its expressions must be among the other's
			return isSubset(sel.entries(), from.entries())
		}
		return isSubset(from.entries(), sel.entries())
	case *refusal:
		from, ok := from.(*refusal)
		return ok && isSubset(sel.entries(), from.entries())
	}
	return false
}

func isSubset(of, all []string) bool {
	return !slices.ContainsFunc(of, func(s string) bool { return !slices.Contains(all, s) })
}

// hasArguments reports whether who passes a selector surely has a command line.
func hasArguments(sel selector) bool {
	switch sel := sel.(type) {
	case *list:
		return sel.name == "exe"
	case *expressions:
		return sel.name == "cmdline" && sel.all && slices.ContainsFunc(sel.res, func(re *regexp.Regexp) bool { return !re.MatchString("") })
	}
	return false
}

// allAnything reports whether every expression matches every text that has a
// character which ends no line.
func allAnything(e *expressions) bool {
	for _, re := range e.res {
		tree, err := syntax.Parse(re.String(), syntax.Perl)
		if err != nil || !anything(tree.Simplify()) {
			return false
		}
	}
	return true
}

func anything(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpAnyChar, syntax.OpAnyCharNotNL, syntax.OpStar, syntax.OpQuest:
		return true
	case syntax.OpPlus, syntax.OpCapture:
		return anything(re.Sub[0])
	}
	return false
}
