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

// unknown stands for what is not known, which is not 0.
const unknown = "–"

// A column is one value of every group.
type column struct {
	title string
	width int
	key   string                                     // that sorts by it
	value func(g *webui.Group) (float64, bool)       // to sort by
	text  func(g *webui.Group, now time.Time) string // to show, where value is known
}

// nameWidth is the least room for names.
const nameWidth = 16

// columns are those beside the name, the ones that narrow terminals lack last.
var columns = []column{
	{"PROCS", 6, "p", func(g *webui.Group) (float64, bool) { return float64(g.Procs), true }, func(g *webui.Group, _ time.Time) string { return strconv.Itoa(g.Procs) }},
	{"CPU%", 7, "c", of(func(g *webui.Group) *float64 { return g.CPU }), func(g *webui.Group, _ time.Time) string { return percent(*g.CPU) }},
	{"RSS", 8, "m", of(func(g *webui.Group) *uint64 { return g.ResidentBytes }), func(g *webui.Group, _ time.Time) string { return bytes(float64(*g.ResidentBytes)) }},
	{"THREADS", 8, "t", of(func(g *webui.Group) *int { return g.Threads }), func(g *webui.Group, _ time.Time) string { return strconv.Itoa(*g.Threads) }},
	{"FDS", 7, "f", of(func(g *webui.Group) *uint64 { return g.FDs }), func(g *webui.Group, _ time.Time) string { return strconv.FormatUint(*g.FDs, 10) }},
	{"READ/S", 9, "r", of(func(g *webui.Group) *float64 { return g.ReadBytes }), func(g *webui.Group, _ time.Time) string { return bytes(*g.ReadBytes) }},
	{"WRITE/S", 9, "w", of(func(g *webui.Group) *float64 { return g.WriteBytes }), func(g *webui.Group, _ time.Time) string { return bytes(*g.WriteBytes) }},
	{"PSS", 8, "s", of(func(g *webui.Group) *uint64 { return g.PSSBytes }), func(g *webui.Group, _ time.Time) string { return bytes(float64(*g.PSSBytes)) }},
	{"FDLIM%", 7, "l", of(func(g *webui.Group) *float64 { return g.FDRatio }), func(g *webui.Group, _ time.Time) string { return percent(*g.FDRatio) }},
	{"CTXT/S", 8, "x", of(func(g *webui.Group) *float64 { return g.ContextSwitches }), func(g *webui.Group, _ time.Time) string { return strconv.FormatFloat(*g.ContextSwitches, 'f', 0, 64) }},
	{"EXITS", 8, "e", of(func(g *webui.Group) *uint64 { return g.Exits }), func(g *webui.Group, _ time.Time) string { return strconv.FormatUint(*g.Exits, 10) }},
	{"AGE", 6, "a", oldest, func(g *webui.Group, now time.Time) string { return age(now.Sub(*g.OldestStart)) }},
}

// byName stands for the column of names where a column is meant.
const byName = -1

func of[T uint64 | int | float64](value func(g *webui.Group) *T) func(g *webui.Group) (float64, bool) {
	return func(g *webui.Group) (float64, bool) {
		v := value(g)
		if v == nil {
			return 0, false
		}
		return float64(*v), true
	}
}

func oldest(g *webui.Group) (float64, bool) {
	if g.OldestStart == nil {
		return 0, false
	}
	return -float64(g.OldestStart.Unix()), true
}

func percent(ratio float64) string { return strconv.FormatFloat(100*ratio, 'f', 1, 64) }

func bytes(v float64) string {
	units := []string{"B", "K", "M", "G", "T", "P"}
	for len(units) > 1 && v >= 1000 {
		v, units = v/1024, units[1:]
	}
	if units[0] == "B" {
		return strconv.FormatFloat(v, 'f', 0, 64) + "B"
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + units[0]
}

func age(d time.Duration) string {
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

// label returns the name of a group with its labels, as it is safe to show:
// whoever starts a process makes up its name.
func label(g *webui.Group) string {
	text := g.Name
	for _, name := range slices.Sorted(maps.Keys(g.Labels)) {
		text += " " + name + "=" + g.Labels[name]
	}
	return visible(text)
}

// visible replaces what a terminal would obey instead of showing it.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// order sorts groups by a column, the most first unless it is reversed; what is
// not known comes last either way.
func order(groups []webui.Group, by int, reversed bool) {
	slices.SortStableFunc(groups, func(a, b webui.Group) int {
		if by == byName {
			if reversed {
				a, b = b, a
			}
			return strings.Compare(label(&a), label(&b))
		}
		x, xKnown := columns[by].value(&a)
		y, yKnown := columns[by].value(&b)
		switch {
		case xKnown != yKnown && xKnown:
			return -1
		case xKnown != yKnown:
			return 1
		case reversed:
			x, y = y, x
		}
		return cmp.Or(cmp.Compare(y, x), strings.Compare(label(&a), label(&b)))
	})
}

// shown returns how many columns there is room for, and how wide names are then.
func shown(width int) (n, names int) {
	names = width
	for n < len(columns) && names-columns[n].width-1 >= nameWidth {
		names -= columns[n].width + 1
		n++
	}
	return n, max(names, 1)
}

// header returns the titles.
func header(width, by int, reversed bool) string {
	n, names := shown(width)
	mark := func(i int, title string) string {
		switch {
		case i != by:
			return title
		case reversed:
			return "^" + title
		}
		return "v" + title
	}
	line := left(mark(byName, "GROUP"), names)
	for i, c := range columns[:n] {
		line += " " + right(mark(i, c.title), c.width)
	}
	return line
}

// row returns the line of a group.
func row(g *webui.Group, width int, now time.Time) string {
	n, names := shown(width)
	line := left(label(g), names)
	for _, c := range columns[:n] {
		text := unknown
		if _, known := c.value(g); known {
			text = c.text(g, now)
		}
		line += " " + right(text, c.width)
	}
	return line
}

// left and right bring a text to a width, in cells of the terminal.
func left(text string, width int) string {
	text = ansi.Truncate(text, width, "…")
	return text + strings.Repeat(" ", max(0, width-ansi.StringWidth(text)))
}

func right(text string, width int) string {
	text = ansi.Truncate(text, width, "…")
	return strings.Repeat(" ", max(0, width-ansi.StringWidth(text))) + text
}

// summary returns the first line: how the exporter is.
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
	text += fmt.Sprintf("  walk %.1f ms", 1000*e.ScrapeSeconds)
	if e.Unreadable > 0 {
		text += fmt.Sprintf("  %d not readable", e.Unreadable)
	}
	if e.Blocked > 0 {
		text += fmt.Sprintf("  %d do not answer", e.Blocked)
	}
	if e.LostEvents > 0 {
		text += fmt.Sprintf("  %d events lost", e.LostEvents)
	}
	return text
}

// Print returns a report as plain text, in lines of any length.
func Print(r *webui.Report) string {
	const width = 140
	groups := slices.Clone(r.Groups)
	order(groups, 1, false)
	lines := []string{summary(r, len(groups)), strings.TrimRight(header(width, 1, false), " ")}
	for i := range groups {
		lines = append(lines, strings.TrimRight(row(&groups[i], width, r.Time), " "))
	}
	return strings.Join(lines, "\n") + "\n"
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
