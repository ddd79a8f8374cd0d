package grouping

// nearest returns the one of known that word is most likely a misspelling of,
// or "" if none is near enough to be worth a question.
func nearest(word string, known []string) string {
	const long = 64 // no slip makes a key that long, and comparing it would take time
	if len(word) > long {
		return ""
	}
	best, bestDistance := "", 0
	for _, k := range known {
		d := distance(word, k)
		// Half of the letters wrong is another word, not a slip.
		if 2*d < max(len(word), len(k)) && (best == "" || d < bestDistance) {
			best, bestDistance = k, d
		}
	}
	return best
}

// distance counts the bytes to insert, delete or replace to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1) // distances of a[:i] to every b[:j]
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
