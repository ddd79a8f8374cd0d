package config

import (
	"maps"
	"slices"
	"strings"

	"github.com/seed57308aee/process_exporter/grouping/nearest"
)

// minPrefix is the length from which on names with a common prefix are similar.
const minPrefix = 4

// Suggest returns the known name that is most similar to name, "" if none is: a
// name that differs in at most two bytes, else one with a common prefix
// (config.file: config.path), else one that contains name (smaps: gather-smaps).
func Suggest[V any](name string, known map[string]V) string {
	best, bestDistance, bestPrefix := "", len(name)+100, 0
	for _, k := range slices.Sorted(maps.Keys(known)) {
		d, p := nearest.Distance(name, k), commonPrefix(name, k)
		if d <= 2 && 2*d <= max(len(name), len(k)) {
			d, p = d-100, len(name)+minPrefix // ranks before all that only share a prefix
		}
		if p > bestPrefix || p == bestPrefix && d < bestDistance {
			best, bestDistance, bestPrefix = k, d, p
		}
	}
	if bestPrefix >= minPrefix {
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
