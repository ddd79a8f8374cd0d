package tui

import (
	"cmp"
	"slices"
	"strings"

	"github.com/seed57308aee/process_exporter/internal/webui"
)

// A sorting is the column that sorts the table, and the direction: highest value
// first, unless it is reversed.
type sorting struct {
	column   int
	reversed bool
}

// sort sorts groups. Unknown values are last in both directions, and groups without processes last among equal values.
func (s sorting) sort(groups []webui.Group) {
	slices.SortStableFunc(groups, func(a, b webui.Group) int {
		if s.column == columnName {
			if s.reversed {
				a, b = b, a
			}
			return strings.Compare(label(&a), label(&b))
		}
		x, xKnown := columns[s.column].value(&a)
		y, yKnown := columns[s.column].value(&b)
		switch {
		case xKnown != yKnown && xKnown:
			return -1
		case xKnown != yKnown:
			return 1
		case s.reversed:
			x, y = y, x
		}
		return cmp.Or(cmp.Compare(y, x), cmp.Compare(min(b.Procs, 1), min(a.Procs, 1)), strings.Compare(label(&a), label(&b)))
	})
}
