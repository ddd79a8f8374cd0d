package expression

import (
	"strings"
	"unicode/utf8"
)

// A sequence is a condition on a text: literals that occur in this order, with gaps between
// them. It is equivalent to an expression if exact is set. Otherwise every text that the
// expression matches fulfils it.
type sequence struct {
	sets  [][]string // alternatives of each literal
	gaps  []int      // minimum number of characters between sets[i] and sets[i+1]
	lines bool       // the whole sequence is in one line, because a gap does not contain a newline
	begin bool       // the first literal is at the beginning of the text
	end   bool       // the last literal is at the end of the text
	exact bool
}

// match reports whether a text fulfils the condition.
func (q *sequence) match(text string) bool {
	if !q.lines {
		return q.matchLine(text)
	}
	if q.begin {
		if line, _, more := strings.Cut(text, "\n"); more {
			return !q.end && q.matchLine(line)
		}
		return q.matchLine(text)
	}
	if q.end {
		return q.matchLine(text[strings.LastIndexByte(text, '\n')+1:])
	}
	for {
		line, rest, more := strings.Cut(text, "\n")
		if q.matchLine(line) {
			return true
		}
		if !more {
			return false
		}
		text = rest
	}
}

// matchLine reports whether a text fulfils the condition, if gaps may contain newlines. It
// takes the first end of each literal: that of a later one leaves less for the rest.
func (q *sequence) matchLine(text string) bool {
	last := len(q.sets) - 1
	for i, set := range q.sets {
		if i > 0 {
			for range q.gaps[i-1] {
				if text == "" {
					return false
				}
				_, size := utf8.DecodeRuneInString(text)
				text = text[size:]
			}
		}
		begin, end := q.begin && i == 0, q.end && i == last
		length, ok := firstEnd(set, text, begin, end)
		if !ok {
			return false
		}
		text = text[length:]
	}
	return true
}

// firstEnd returns the end of the literal of a set that ends first in a text. With begin it
// must be at the beginning of the text, and with end at the end.
func firstEnd(set []string, text string, begin, end bool) (length int, ok bool) {
	length = len(text) + 1
	for _, literal := range set {
		at := 0
		switch {
		case begin && end:
			if text != literal {
				continue
			}
		case begin:
			if !strings.HasPrefix(text, literal) {
				continue
			}
		case end:
			if !strings.HasSuffix(text, literal) {
				continue
			}
			at = len(text) - len(literal)
		default:
			if at = strings.Index(text[:min(len(text), length)], literal); at < 0 {
				continue
			}
		}
		length = min(length, at+len(literal))
	}
	return length, length <= len(text)
}
