package procfs

import (
	"bytes"
	"math"
)

// nextLine returns the first line of text without its newline, and the text
// after it. complete is false if the line has no newline.
func nextLine(text []byte) (line, rest []byte, complete bool) {
	i := bytes.IndexByte(text, '\n')
	if i < 0 {
		return text, nil, false
	}
	return text[:i], text[i+1:], true
}

// endsWithNewline reports whether text, which must not be empty, ends with a
// newline.
func endsWithNewline(text []byte) bool { return text[len(text)-1] == '\n' }

// cutKey splits a line at its first colon. Without a colon, the whole line is the
// key.
func cutKey(line []byte) (key, value []byte) {
	// Keys are short: a loop is faster than a call of bytes.IndexByte.
	for i, c := range line {
		if c == ':' {
			return line[:i], line[i+1:]
		}
	}
	return line, nil
}

// isBlank reports whether c separates the fields of a line.
func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// trimBlanks returns text without leading blanks.
func trimBlanks(text []byte) []byte {
	for len(text) > 0 && isBlank(text[0]) {
		text = text[1:]
	}
	return text
}

// nextField returns the first field of text, which may be empty, and the text
// after it.
func nextField(text []byte) (field, rest []byte) {
	text = trimBlanks(text)
	for i, c := range text {
		if isBlank(c) {
			return text[:i], text[i:]
		}
	}
	return text, nil
}

// countFields returns the number of fields of a line.
func countFields(line []byte) int {
	n := 0
	for field, rest := nextField(line); len(field) > 0; field, rest = nextField(rest) {
		n++
	}
	return n
}

// maxDigits is the number of digits of math.MaxUint64. The kernel writes no
// leading zeros, so that longer numbers do not fit into 64 bits.
const maxDigits = 20

// parseUint parses a decimal number. ok is false for an empty string, signs,
// blanks and numbers above 64 bits.
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

// The set functions parse one value, the text after a key, into *to. They return
// false if the value is not a number in range; *to is then undefined.

func setUint(to *uint64, value []byte) (ok bool) {
	*to, ok = parseUint(trimBlanks(value))
	return ok
}

// setInt accepts the non-negative values of a C int.
func setInt(to *int, value []byte) bool {
	n, ok := parseUint(trimBlanks(value))
	*to = int(n)
	return ok && n <= math.MaxInt32
}

// setKB parses a size such as "   1234 kB" and stores it in bytes. The kernel
// writes kB for 1024 bytes.
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

// setFields parses blank-separated numbers. It returns false unless there is
// exactly one for each destination.
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
