package tui

import (
	"cmp"
	"fmt"
	"maps"
	"math"
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
	shown func(e *webui.ExporterStatus) bool      // nil for all exporters
}

// Indexes of columns. The name is not in columns.
const (
	columnName = -1
	columnCPU  = 1
)

// minNameWidth is the minimum width of the name column.
const minNameWidth = 20

// columns are all columns except the name. Narrow terminals omit the last ones.
var columns = []column{
	{"PROCS", 7, "p", func(g *webui.Group) (float64, bool) { return float64(g.Procs), true }, integer, nil},
	{"CPU%", 7, "c", known(func(g *webui.Group) *float64 { return g.CPU }), percent, nil},
	{"RSS", 8, "m", known(func(g *webui.Group) *uint64 { return g.ResidentBytes }), size, nil},
	{"READ/S", 9, "r", known(func(g *webui.Group) *float64 { return g.ReadBytes }), size, nil},
	{"WRITE/S", 9, "w", known(func(g *webui.Group) *float64 { return g.WriteBytes }), size, nil},
	{"SENT/S", 9, "o", known(func(g *webui.Group) *float64 { return g.SentBytes }), size, hasTraffic},
	{"RECV/S", 9, "i", known(func(g *webui.Group) *float64 { return g.ReceivedBytes }), size, hasTraffic},
	{"CONNS", 7, "b", known(func(g *webui.Group) *int { return g.Connections }), integer, hasSockets},
	{"FAILED", 8, "d", known(func(g *webui.Group) *uint64 { return g.FailedExits }), integer, nil},
	{"THREADS", 9, "t", known(func(g *webui.Group) *int { return g.Threads }), integer, nil},
	{"FDS", 6, "f", known(func(g *webui.Group) *uint64 { return g.OpenFDs }), integer, nil},
	{"PSS", 8, "s", known(func(g *webui.Group) *uint64 { return g.ProportionalBytes }), size, nil},
	{"FDUSE%", 8, "l", known(func(g *webui.Group) *float64 { return g.WorstFDRatio }), percent, nil},
	{"CTXSW/S", 9, "x", known(func(g *webui.Group) *float64 { return g.ContextSwitches }), integer, nil},
	{"EXITS", 8, "e", known(func(g *webui.Group) *uint64 { return g.Exits }), integer, nil},
	{"AGE", 7, "a", negativeStart, func(value, now float64) string { return age(now + value) }, nil},
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

// hasSockets reports whether an exporter reads sockets: with the collector network.
func hasSockets(e *webui.ExporterStatus) bool { return e.SocketSource != "" }

// hasTraffic reports whether an exporter knows the traffic of sockets. /proc does not have it.
func hasTraffic(e *webui.ExporterStatus) bool { return e.SocketSource == "bpf" }

// columnsOf returns the indexes of the columns that an exporter has.
func columnsOf(e *webui.ExporterStatus) (out []int) {
	for i := range columns {
		if shown := columns[i].shown; shown == nil || shown(e) {
			out = append(out, i)
		}
	}
	return out
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

// A layout says what fits into a line.
type layout struct {
	columns []int // indexes of columns
	name    int   // width of the name column
	spark   int   // width of the history of CPU usage, 0 without
	command int   // width of the command of the largest process, 0 without
}

const (
	// maxNameWidth is the width of the name column in wide terminals.
	maxNameWidth = 28

	// maxSparkWidth is the number of points of the history: five minutes.
	maxSparkWidth = 60

	// minSparkWidth is the width below which the history is not useful.
	minSparkWidth = 12

	// minCommandWidth is the width below which a command is not useful.
	minCommandWidth = 12
)

// layoutOf returns the layout of a line about an exporter.
func layoutOf(width int, e *webui.ExporterStatus) layout {
	l := layout{name: width}
	for _, i := range columnsOf(e) {
		if l.name-columns[i].width-1 < minNameWidth {
			break
		}
		l.name -= columns[i].width + 1
		l.columns = append(l.columns, i)
	}
	if extra := l.name - maxNameWidth; extra > minSparkWidth {
		l.spark = min(max(minSparkWidth, extra/3), extra-1, maxSparkWidth)
		l.name -= l.spark + 1
		if l.command = extra - l.spark - 2; l.command < minCommandWidth {
			l.spark, l.command = min(extra-1, maxSparkWidth), 0
			l.name = maxNameWidth + extra - l.spark - 1
		} else {
			l.name -= l.command + 1
		}
	}
	l.name = max(l.name, 1)
	return l
}

// sparkLevels are the heights of a history, as fractions of the maximum.
var sparkLevels = []rune("▁▂▃▄▅▆▇█")

// spark returns the newest values of a history as text. highest is the value of the highest
// level. The lowest level is reserved for values that are shown as 0.
func spark(values []float64, highest float64, width int) string {
	values = values[max(0, len(values)-width):]
	out := []rune(strings.Repeat(" ", width-len(values)))
	for _, v := range values {
		level := 0
		if v >= 0.0005 && highest > 0 {
			level = 1 + min(int(v/highest*float64(len(sparkLevels)-1)), len(sparkLevels)-2)
		}
		out = append(out, sparkLevels[level])
	}
	return string(out)
}

// highestCPU returns the highest value of all histories.
func highestCPU(groups []webui.Group) (highest float64) {
	for i := range groups {
		for _, v := range groups[i].CPUHistory {
			highest = max(highest, v)
		}
	}
	return highest
}

// header returns the line of titles. An arrow follows the title of the column of s. highest
// is the scale of the histories.
func header(l layout, s sorting, highest float64) string {
	mark := func(i int, title string) string {
		switch {
		case i != s.column:
			return title
		case s.reversed:
			return title + " ↑"
		}
		return title + " ↓"
	}
	line := padRight(mark(columnName, "GROUP"), l.name)
	for _, i := range l.columns {
		line += " " + padLeft(mark(i, columns[i].title), columns[i].width)
	}
	if l.spark > 0 {
		line += " " + padRight(fmt.Sprintf("CPU, ≤ %s%%", percent(highest, 0)), l.spark)
	}
	if l.command > 0 {
		line += " " + padRight("LARGEST PROCESS", l.command)
	}
	return line
}

// row returns the line of a group in a report of time now. highest is the scale of the
// histories, and command that of the largest process.
func row(g *webui.Group, l layout, now webui.Timestamp, highest float64, command string) string {
	line := padRight(label(g), l.name)
	for _, i := range l.columns {
		c, text := &columns[i], unknown
		if value, ok := c.value(g); ok {
			text = c.text(value, float64(now.Unix()))
		}
		line += " " + padLeft(text, c.width)
	}
	if l.spark > 0 {
		line += " " + spark(g.CPUHistory, highest, l.spark)
	}
	if l.command > 0 {
		line += " " + padRight(command, l.command)
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

// A summaryPart is a part of the first line. Narrow terminals omit parts, the highest rank first.
type summaryPart struct {
	text string
	rank int
}

// summary returns the first line: problem, the machine and the state of the exporter, as far as
// they fit into width. shown is the number of groups that match the filter.
func summary(r *webui.Report, shown, width int, problem string) string {
	procs := 0
	for i := range r.Groups {
		procs += r.Groups[i].Procs
	}
	groups := ", " + count(len(r.Groups), "group", "groups")
	if shown != len(r.Groups) {
		groups += fmt.Sprintf(" (%d shown)", shown)
	}
	e := &r.Exporter
	parts := append([]summaryPart{{problem, 0}}, machine(r.Machine)...)
	parts = append(parts, summaryPart{count(procs, "process", "processes"), 4}, summaryPart{groups, 8})
	if r.FailedExits != nil && *r.FailedExits > 0 && r.FailedExitsSeconds != nil {
		parts = append(parts, summaryPart{fmt.Sprintf("%d failed in %s", *r.FailedExits, period(*r.FailedExitsSeconds)), 1})
	}
	if e.Unreadable > 0 {
		parts = append(parts, summaryPart{fmt.Sprintf("%d unreadable", e.Unreadable), 5})
	}
	if e.Unresponsive > 0 {
		parts = append(parts, summaryPart{fmt.Sprintf("%d unresponsive", e.Unresponsive), 5})
	}
	if e.LostExitEvents > 0 {
		parts = append(parts, summaryPart{fmt.Sprintf("%d lost exit events", e.LostExitEvents), 6})
	}
	parts = append(parts, summaryPart{fmt.Sprintf("%s, walk %.1f ms", e.Source, 1000*e.ScrapeDuration), 9})
	parts = slices.DeleteFunc(parts, func(p summaryPart) bool { return p.text == "" })
	return joinFitting(parts, width)
}

// joinFitting joins the parts that fit into width.
func joinFitting(parts []summaryPart, width int) string {
	for {
		text, omitted := "", 0
		for i, p := range parts {
			if i > 0 && !strings.HasPrefix(p.text, ",") {
				text += "  "
			}
			text += p.text
			if p.rank > parts[omitted].rank {
				omitted = i
			}
		}
		if len(parts) == 1 || ansi.StringWidth(text) <= width {
			return text
		}
		parts = slices.Delete(parts, omitted, omitted+1)
	}
}

// period returns a time in minutes and seconds.
func period(seconds float64) string {
	n := int(seconds + 0.5)
	switch {
	case n < 60:
		return fmt.Sprintf("%d s", n)
	case n%60 == 0:
		return fmt.Sprintf("%d min", n/60)
	}
	return fmt.Sprintf("%d min %d s", n/60, n%60)
}

// machine returns the usage of the machine, as far as it is known.
func machine(m *webui.MachineStatus) (parts []summaryPart) {
	if m == nil {
		return nil
	}
	parts = append(parts, summaryPart{replaceUnprintable(m.Hostname), 7})
	if m.CPU != nil && m.CPUs != nil {
		parts = append(parts, summaryPart{fmt.Sprintf("CPU %.1f of %d", *m.CPU, *m.CPUs), 2})
	}
	if m.UsedBytes != nil && m.MemoryBytes != nil {
		parts = append(parts, summaryPart{fmt.Sprintf("memory %s of %s", size(float64(*m.UsedBytes), 0), size(float64(*m.MemoryBytes), 0)), 3})
	}
	return parts
}

// printWidth is the width of the output of Print with the columns of all exporters.
const printWidth = 140

// Print returns a report as text for output that is not a terminal.
func Print(r *webui.Report) string {
	width := printWidth
	for _, i := range columnsOf(&r.Exporter) {
		if columns[i].shown != nil {
			width += columns[i].width + 1
		}
	}
	l := layoutOf(width, &r.Exporter)
	byCPU := sorting{column: columnCPU}
	groups := slices.Clone(r.Groups)
	byCPU.sort(groups)
	highest := highestCPU(groups)
	lines := []string{summary(r, len(groups), math.MaxInt, ""), strings.TrimRight(header(l, byCPU, highest), " ")}
	for i := range groups {
		lines = append(lines, strings.TrimRight(row(&groups[i], l, r.Time, highest, ""), " "))
	}
	return strings.Join(lines, "\n") + "\n"
}

func count(n int, singular, plural string) string {
	if n == 1 {
		return "1 " + singular
	}
	return strconv.Itoa(n) + " " + plural
}
