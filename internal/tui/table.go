package tui

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/charmbracelet/x/ansi"

	"github.com/seed57308aee/process_exporter/internal/webui"
)

// unknown is the text of an unknown value, which is not 0.
const unknown = "–"

// A column shows one value of every group.
type column struct {
	title string
	width int
	key   string                                  // the key that sorts by this column
	value func(g *webui.Group) (float64, bool)    // sort value, false if it is unknown
	text  func(value float64, now float64) string // now is the Unix time of the report
}

// Indexes of columns. The name is not in columns.
const (
	columnName = -1
	columnCPU  = 1
)

// minNameWidth is the minimum width of the name column.
const minNameWidth = 16

// columns are all columns except the name. Narrow terminals omit the last ones.
var columns = []column{
	{"PROCS", 6, "p", func(g *webui.Group) (float64, bool) { return float64(g.Procs), true }, integer},
	{"CPU%", 7, "c", known(func(g *webui.Group) *float64 { return g.CPU }), percent},
	{"RSS", 8, "m", known(func(g *webui.Group) *uint64 { return g.ResidentBytes }), size},
	{"THREADS", 8, "t", known(func(g *webui.Group) *int { return g.Threads }), integer},
	{"FDS", 7, "f", known(func(g *webui.Group) *uint64 { return g.OpenFDs }), integer},
	{"READ/S", 9, "r", known(func(g *webui.Group) *float64 { return g.ReadBytes }), size},
	{"WRITE/S", 9, "w", known(func(g *webui.Group) *float64 { return g.WriteBytes }), size},
	{"PSS", 8, "s", known(func(g *webui.Group) *uint64 { return g.ProportionalBytes }), size},
	{"FDLIM%", 7, "l", known(func(g *webui.Group) *float64 { return g.WorstFDRatio }), percent},
	{"CTXT/S", 8, "x", known(func(g *webui.Group) *float64 { return g.ContextSwitches }), integer},
	{"EXITS", 8, "e", known(func(g *webui.Group) *uint64 { return g.Exits }), integer},
	{"AGE", 6, "a", negativeStart, func(value, now float64) string { return age(now + value) }},
}

// known returns the value function of a field that is nil if it is unknown.
func known[T uint64 | int | float64](field func(g *webui.Group) *T) func(g *webui.Group) (float64, bool) {
	return func(g *webui.Group) (float64, bool) {
		v := field(g)
		if v == nil {
			return 0, false
		}
		return float64(*v), true
	}
}

// negativeStart returns the start time with a minus sign, so that the oldest
// group has the highest value.
func negativeStart(g *webui.Group) (float64, bool) {
	if g.OldestStart == nil {
		return 0, false
	}
	return -float64(*g.OldestStart), true
}

func integer(value, _ float64) string { return strconv.FormatFloat(value, 'f', 0, 64) }

func percent(ratio, _ float64) string { return strconv.FormatFloat(100*ratio, 'f', 1, 64) }

func size(bytes, _ float64) string {
	units := []string{"B", "K", "M", "G", "T", "P"}
	for len(units) > 1 && bytes >= 1000 {
		bytes, units = bytes/1024, units[1:]
	}
	if units[0] == "B" {
		return strconv.FormatFloat(bytes, 'f', 0, 64) + "B"
	}
	return strconv.FormatFloat(bytes, 'f', 1, 64) + units[0]
}

func age(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d >= 24*time.Hour:
		return strconv.Itoa(int(d.Hours())/24) + "d"
	case d >= time.Hour:
		return strconv.Itoa(int(d.Hours())) + "h"
	case d >= time.Minute:
		return strconv.Itoa(int(d.Minutes())) + "m"
	}
	return strconv.Itoa(max(0, int(d.Seconds()))) + "s"
}

// label returns the name of a group with its labels. The text is safe to print:
// any user can choose process names.
func label(g *webui.Group) string {
	text := g.Name
	for _, name := range slices.Sorted(maps.Keys(g.Labels)) {
		text += " " + name + "=" + g.Labels[name]
	}
	return replaceUnprintable(text)
}

// replaceUnprintable replaces characters that are not printable, such as those of
// terminal control sequences.
func replaceUnprintable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// A sorting is the column that sorts the table, and the direction: highest value
// first, unless it is reversed.
type sorting struct {
	column   int
	reversed bool
}

// sort sorts groups. Unknown values are last in both directions.
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
		return cmp.Or(cmp.Compare(y, x), strings.Compare(label(&a), label(&b)))
	})
}

// layout returns the number of columns that fit, and the width of the name
// column.
func layout(width int) (n, nameWidth int) {
	nameWidth = width
	for n < len(columns) && nameWidth-columns[n].width-1 >= minNameWidth {
		nameWidth -= columns[n].width + 1
		n++
	}
	return n, max(nameWidth, 1)
}

// header returns the line of titles. It marks the column of s.
func header(width int, s sorting) string {
	n, nameWidth := layout(width)
	mark := func(i int, title string) string {
		switch {
		case i != s.column:
			return title
		case s.reversed:
			return "^" + title
		}
		return "v" + title
	}
	line := padRight(mark(columnName, "GROUP"), nameWidth)
	for i, c := range columns[:n] {
		line += " " + padLeft(mark(i, c.title), c.width)
	}
	return line
}

// row returns the line of a group in a report of time now.
func row(g *webui.Group, width int, now webui.Timestamp) string {
	n, nameWidth := layout(width)
	line := padRight(label(g), nameWidth)
	for _, c := range columns[:n] {
		text := unknown
		if value, ok := c.value(g); ok {
			text = c.text(value, float64(now.Unix()))
		}
		line += " " + padLeft(text, c.width)
	}
	return line
}

// padRight and padLeft truncate or pad text to a width in terminal cells.
func padRight(text string, width int) string {
	text = ansi.Truncate(text, width, "…")
	return text + strings.Repeat(" ", max(0, width-ansi.StringWidth(text)))
}

func padLeft(text string, width int) string {
	text = ansi.Truncate(text, width, "…")
	return strings.Repeat(" ", max(0, width-ansi.StringWidth(text))) + text
}

// summary returns the first line, the state of the exporter. shown is the number
// of groups that match the filter.
func summary(r *webui.Report, shown int) string {
	procs := 0
	for i := range r.Groups {
		procs += r.Groups[i].Procs
	}
	e := &r.Exporter
	text := fmt.Sprintf("%s  %s, %s", e.Source, count(procs, "process", "processes"), count(len(r.Groups), "group", "groups"))
	if shown != len(r.Groups) {
		text += fmt.Sprintf(" (%d shown)", shown)
	}
	text += fmt.Sprintf("  walk %.1f ms", 1000*e.ScrapeDuration)
	if e.Unreadable > 0 {
		text += fmt.Sprintf("  %d unreadable", e.Unreadable)
	}
	if e.Unresponsive > 0 {
		text += fmt.Sprintf("  %d unresponsive", e.Unresponsive)
	}
	if e.LostExitEvents > 0 {
		text += fmt.Sprintf("  %d lost exit events", e.LostExitEvents)
	}
	return text
}

// Print returns a report as text for output that is not a terminal.
func Print(r *webui.Report) string {
	const width = 140
	byCPU := sorting{column: columnCPU}
	groups := slices.Clone(r.Groups)
	byCPU.sort(groups)
	lines := []string{summary(r, len(groups)), strings.TrimRight(header(width, byCPU), " ")}
	for i := range groups {
		lines = append(lines, strings.TrimRight(row(&groups[i], width, r.Time), " "))
	}
	return strings.Join(lines, "\n") + "\n"
}

func count(n int, singular, plural string) string {
	if n == 1 {
		return "1 " + singular
	}
	return strconv.Itoa(n) + " " + plural
}
