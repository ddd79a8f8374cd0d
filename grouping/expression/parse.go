package expression

import (
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxLiterals     = 64   // alternatives of one literal
	maxLiteralBytes = 4096 // of all alternatives of one literal
	maxClass        = 8    // characters of a class that is expanded
	maxGap          = 64   // minimum number of characters between two literals
)

// A sequenceParser converts a tree to a sequence.
type sequenceParser struct {
	sequence
	current    []string // alternatives of the literal that is being assembled
	started    bool     // something other than the anchor at the beginning was added
	inexact    bool     // a part of the tree is not in the sequence
	newline    bool     // a literal may contain a newline
	lineGap    bool     // a gap does not contain a newline
	anyGap     bool     // a gap may contain a newline
	afterEnd   bool     // the anchor at the end was added
	unanchored bool     // the anchor at the end was not the last part
}

// parseSequence returns the condition of a tree, or nil if it is of no use.
func parseSequence(tree *syntax.Regexp) *sequence {
	p := &sequenceParser{current: []string{""}}
	p.add(tree)
	p.sets = append(p.sets, p.current)
	p.end = p.afterEnd && !p.unanchored
	p.inexact = p.inexact || p.unanchored || p.lineGap && (p.anyGap || p.newline)
	q := &p.sequence
	if q.exact = !p.inexact; q.exact {
		q.lines = p.lineGap
		return q
	}
	clear(q.gaps)
	if !slices.ContainsFunc(q.sets, func(set []string) bool { return !slices.Contains(set, "") }) {
		return nil
	}
	return q
}

// add adds a part of the tree to the end of the sequence.
func (p *sequenceParser) add(re *syntax.Regexp) {
	switch re.Op {
	case syntax.OpEmptyMatch:
		return
	case syntax.OpConcat, syntax.OpCapture:
		for _, sub := range re.Sub {
			p.add(sub)
		}
		return
	case syntax.OpBeginText:
		if p.begin = true; p.started {
			p.begin, p.inexact = false, true
		}
		return
	case syntax.OpEndText:
		p.started, p.afterEnd = true, true
		return
	}
	p.started = true
	p.unanchored = p.unanchored || p.afterEnd
	switch re.Op {
	case syntax.OpBeginLine, syntax.OpEndLine, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		p.inexact = true // no characters
		return
	case syntax.OpStar, syntax.OpPlus:
		p.addRepeated(re)
		return
	}
	if literals, ok := literalsOf(re); ok {
		if product, ok := concatenate(p.current, literals); ok {
			p.current = product
			p.newline = p.newline || slices.ContainsFunc(literals, func(s string) bool { return strings.Contains(s, "\n") })
			return
		}
	}
	p.addUnknown()
}

// addRepeated adds x* or x+.
func (p *sequenceParser) addRepeated(re *syntax.Regexp) {
	least := 0
	if re.Op == syntax.OpPlus {
		least = 1
	}
	switch re.Sub[0].Op {
	case syntax.OpAnyCharNotNL:
		p.lineGap = true
		p.addGap(least)
	case syntax.OpAnyChar:
		p.anyGap = true
		p.addGap(least)
	default:
		p.addUnknown()
	}
}

// addUnknown adds a part that matches unknown text.
func (p *sequenceParser) addUnknown() {
	p.inexact = true
	p.addGap(0)
}

// addGap begins a new literal. It extends the last gap if the literal since then is empty.
func (p *sequenceParser) addGap(least int) {
	if n := len(p.gaps); n > 0 && len(p.current) == 1 && p.current[0] == "" {
		p.gaps[n-1] = min(p.gaps[n-1]+least, maxGap)
		p.inexact = p.inexact || p.gaps[n-1] == maxGap
		return
	}
	p.sets, p.gaps, p.current = append(p.sets, p.current), append(p.gaps, least), []string{""}
}

// literalsOf returns all texts that a tree matches. It reports false if there are too many,
// or if the tree has anchors.
func literalsOf(re *syntax.Regexp) (literals []string, ok bool) {
	switch re.Op {
	case syntax.OpEmptyMatch:
		return []string{""}, true
	case syntax.OpLiteral:
		return literalOf(re)
	case syntax.OpCharClass:
		return classOf(re)
	case syntax.OpCapture:
		return literalsOf(re.Sub[0])
	case syntax.OpQuest:
		literals, ok = literalsOf(re.Sub[0])
		return append(literals, ""), ok
	case syntax.OpConcat:
		literals = []string{""}
		for _, sub := range re.Sub {
			next, ok := literalsOf(sub)
			if !ok {
				return nil, false
			}
			if literals, ok = concatenate(literals, next); !ok {
				return nil, false
			}
		}
		return literals, true
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			next, ok := literalsOf(sub)
			if literals = append(literals, next...); !ok || len(literals) > maxLiterals {
				return nil, false
			}
		}
		return literals, true
	}
	return nil, false
}

// literalOf returns the text of a literal. It reports false if letters of both cases match,
// and for U+FFFD, which matches invalid bytes as well.
func literalOf(re *syntax.Regexp) ([]string, bool) {
	if slices.Contains(re.Rune, utf8.RuneError) || len(re.Rune) > maxLiteralBytes {
		return nil, false
	}
	if re.Flags&syntax.FoldCase != 0 && slices.ContainsFunc(re.Rune, func(r rune) bool { return unicode.SimpleFold(r) != r }) {
		return nil, false
	}
	return []string{string(re.Rune)}, true
}

// classOf returns the characters of a small class.
func classOf(re *syntax.Regexp) (literals []string, ok bool) {
	for i := 0; i+1 < len(re.Rune); i += 2 {
		low, high := re.Rune[i], re.Rune[i+1]
		if int(high-low) >= maxClass-len(literals) || low <= utf8.RuneError && high >= utf8.RuneError {
			return nil, false
		}
		for r := low; r <= high; r++ {
			literals = append(literals, string(r))
		}
	}
	return literals, len(literals) > 0
}

// concatenate returns every text of first followed by every text of second. It reports
// false if there are too many.
func concatenate(first, second []string) (product []string, ok bool) {
	if len(first)*len(second) > maxLiterals {
		return nil, false
	}
	size := 0
	for _, a := range first {
		for _, b := range second {
			product = append(product, a+b)
			size += len(a) + len(b)
		}
	}
	return product, size <= maxLiteralBytes
}
