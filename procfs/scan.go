package procfs

import (
	"bytes"
	"math"
)

// nextLine returns the first line of text without its newline, and what
// follows it. A line that text ends in the middle of is not whole.
func nextLine(text []byte) (line, rest []byte, whole bool) {
	i := bytes.IndexByte(text, '\n')
	if i < 0 {
		return text, nil, false
	}
	return text[:i], text[i+1:], true
}

// endsLine reports whether text ends with a line, and not in the middle of one.
func endsLine(text []byte) bool { return text[len(text)-1] == '\n' }

// cutKey splits a line at its first colon; without one, all of it is the key.
func cutKey(line []byte) (key, value []byte) {
	// Keys are a few bytes long: a loop beats the call of bytes.IndexByte.
	for i, c := range line {
		if c == ':' {
			return line[:i], line[i+1:]
		}
	}
	return line, nil
}

// isBlank reports whether c separates the words of a line.
func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// trimBlanks returns text without the blanks that it starts with.
func trimBlanks(text []byte) []byte {
	for len(text) > 0 && isBlank(text[0]) {
		text = text[1:]
	}
	return text
}

// nextField returns the first word of text, empty if there is none, and what
// follows it.
func nextField(text []byte) (field, rest []byte) {
	text = trimBlanks(text)
	for i, c := range text {
		if isBlank(c) {
			return text[:i], text[i:]
		}
	}
	return text, nil
}

// countFields returns how many words stand on a line.
func countFields(line []byte) int {
	n := 0
	for field, rest := nextField(line); len(field) > 0; field, rest = nextField(rest) {
		n++
	}
	return n
}

// maxDigits is the length of the greatest uint64. The kernel writes no leading
// zeros, so what is longer does not fit.
const maxDigits = 20

// parseUint returns the number that digits are. It refuses everything else: no
// digits, signs, blanks, and numbers beyond 64 bits.
func parseUint(digits []byte) (n uint64, ok bool) {
	if len(digits) == 0 || len(digits) > maxDigits {
		return 0, false
	}
	for i, c := range digits {
		d := uint64(c - '0')
		if d > 9 {
			return 0, false
		}
		if i == maxDigits-1 && (n > math.MaxUint64/10 || n*10 > math.MaxUint64-d) {
			return 0, false // only the last of 20 digits can overflow
		}
		n = n*10 + d
	}
	return n, true
}

// The set functions parse one value, the text behind a key, into *to. They
// report whether the value is a number that fits and nothing else; *to is
// undefined if it is not.

func setUint(to *uint64, value []byte) (ok bool) {
	*to, ok = parseUint(trimBlanks(value))
	return ok
}

// setInt accepts what the kernel keeps in an int and never prints below zero.
func setInt(to *int, value []byte) bool {
	n, ok := parseUint(trimBlanks(value))
	*to = int(n)
	return ok && n <= math.MaxInt32
}

// setKB parses a size such as "   1234 kB" and stores its bytes. What the
// kernel calls kB is 1024 bytes.
func setKB(to *uint64, value []byte) bool {
	const unit = " kB"
	end := len(value) - len(unit)
	if end < 0 || string(value[end:]) != unit {
		return false
	}
	n, ok := parseUint(trimBlanks(value[:end]))
	*to = n << 10
	return ok && n <= math.MaxUint64>>10
}

// setFields parses numbers that blanks separate. There must be as many as
// there are places for them.
func setFields(line []byte, to ...*uint64) bool {
	for _, to := range to {
		field, rest := nextField(line)
		if !setUint(to, field) {
			return false
		}
		line = rest
	}
	return len(trimBlanks(line)) == 0
}
