// Package nearest suggests the known name that a misspelled one most likely
// means, for error messages such as `unknown key "cmdlin", did you mean "cmdline"?`.
package nearest

import (
	"slices"
	"strings"
)

// maxName is the longest name, in bytes, that Nearest compares. Longer ones are
// not misspelled keys or flags, and comparing them takes quadratic time.
const maxName = 64

// Nearest returns the element of known that differs from name only in the case of letters, or
// else the element with the smallest edit distance to name, the first of several. It reports
// false if every element differs in half of its bytes or more: that is a different name, not
// a misspelling.
func Nearest(name string, known []string) (string, bool) {
	if len(name) > maxName {
		return "", false
	}
	if i := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, name) }); i >= 0 {
		return known[i], true
	}
	best, bestDistance, found := "", 0, false
	for _, k := range known {
		d := Distance(name, k)
		if 2*d < max(len(name), len(k)) && (!found || d < bestDistance) {
			best, bestDistance, found = k, d, true
		}
	}
	return best, found
}

// Distance returns the Levenshtein distance of a and b: the number of bytes to
// insert, delete or replace to turn a into b.
func Distance(a, b string) int {
	row := make([]int, len(b)+1) // distances of a[:i] to every b[:j]
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
