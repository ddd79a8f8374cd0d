package main

import (
	"maps"
	"slices"
	"strings"

	edit "github.com/seed57308aee/process_exporter/grouping/nearest"
)

// nearest returns the known name that a user who typed name most likely meant,
// or "" if none is near: one with at most two letters wrong, else one that
// begins alike (config.file means config.path), else one that contains it
// (smaps means gather-smaps).
func nearest[V any](name string, known map[string]V) string {
	best, bestDistance, bestPrefix := "", len(name)+100, 0
	for _, k := range slices.Sorted(maps.Keys(known)) {
		d, p := edit.Distance(name, k), commonPrefix(name, k)
		if d <= 2 {
			d, p = d-100, len(name)+1 // beats every name that only begins alike
		}
		if p > bestPrefix || p == bestPrefix && d < bestDistance {
			best, bestDistance, bestPrefix = k, d, p
		}
	}
	if bestPrefix >= 4 {
		return best
	}
	for _, k := range slices.Sorted(maps.Keys(known)) {
		if len(name) >= 3 && strings.Contains(k, name) {
			return k
		}
	}
	return ""
}

func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
