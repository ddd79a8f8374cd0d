// Package expression matches regular expressions of package regexp, and avoids
// that package where it can.
//
// Most expressions in rules consist of literals, anchors and .*, such as
// ^/usr/bin/(nginx|haproxy)$ or -jar.*kafka. Searching a text for the literals takes a
// hundredth of the time of package regexp. For any other expression, the literals that
// every match contains are searched first. Package regexp runs only if they are found,
// and compiles the expression then.
package expression

import (
	"regexp"
	"regexp/syntax"
	"sync"
)

// An Expression is a regular expression in the syntax of package regexp. It is immutable
// and safe for concurrent use.
type Expression struct {
	text         string
	names        []string // of the groups, by index
	instructions int
	matchesAny   bool
	literals     *sequence // that every match contains; nil if there are none
	compiled     func() *regexp.Regexp
}

// Parse parses an expression. The error is that of [regexp.Compile].
func Parse(text string) (*Expression, error) {
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, err
	}
	e := &Expression{text: text, names: tree.CapNames(), instructions: instructions(tree), matchesAny: matchesAny(tree)}
	e.literals = parseSequence(tree)
	e.compiled = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
	return e, nil
}

// String returns the text of the expression.
func (e *Expression) String() string { return e.text }

// GroupNames returns the names of the groups by their index, as [regexp.Regexp.SubexpNames]
// does. The caller must not change the result.
func (e *Expression) GroupNames() []string { return e.names }

// HasNamedGroup reports whether any group has a name.
func (e *Expression) HasNamedGroup() bool {
	for _, name := range e.names {
		if name != "" {
			return true
		}
	}
	return false
}

// Instructions returns the approximate size of the compiled expression. An instruction
// needs about 100 bytes of memory.
func (e *Expression) Instructions() int { return e.instructions }

// MatchesAny reports whether the expression matches every text that contains a character
// other than a newline. It may also return false for such an expression.
func (e *Expression) MatchesAny() bool { return e.matchesAny }

// Match reports whether text contains a match.
func (e *Expression) Match(text string) bool {
	if e.literals != nil {
		if found := e.literals.match(text); !found || e.literals.exact {
			return found
		}
	}
	return e.compiled().MatchString(text)
}

// FindSubmatch returns the leftmost match and its groups, as
// [regexp.Regexp.FindStringSubmatch] does, or nil if there is none.
func (e *Expression) FindSubmatch(text string) []string {
	if e.literals != nil && !e.literals.match(text) {
		return nil
	}
	return e.compiled().FindStringSubmatch(text)
}

// instructions returns the approximate number of instructions of a tree, whose repetitions
// are not expanded yet. Package regexp limits the number to about 3 million.
func instructions(re *syntax.Regexp) int {
	n := 0
	for _, sub := range re.Sub {
		n += instructions(sub)
	}
	switch re.Op {
	case syntax.OpLiteral:
		n += len(re.Rune)
	case syntax.OpConcat:
	case syntax.OpAlternate:
		n += len(re.Sub) - 1
	case syntax.OpRepeat:
		n = 1 + n*max(re.Min, re.Max, 1)
	case syntax.OpCapture:
		n += 2
	default:
		n++
	}
	return n
}

// matchesAny reports whether a tree certainly matches every text that contains a character
// other than a newline.
func matchesAny(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpAnyChar, syntax.OpAnyCharNotNL, syntax.OpStar, syntax.OpQuest:
		return true
	case syntax.OpPlus, syntax.OpCapture:
		return matchesAny(re.Sub[0])
	}
	return false
}
