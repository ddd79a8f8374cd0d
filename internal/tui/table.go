package tui

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/charmbracelet/x/ansi"

	"github.com/seed57308aee/process_exporter/internal/webui"
)

// unknown is the text of an unknown value, which is not 0.
const unknown = "–"

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
	byCPU := sorting{column: columnCPU}
	l := layoutOf(width, &r.Exporter, byCPU.column)
	groups := slices.Clone(r.Groups)
	byCPU.sort(groups)
	highest := highestCPU(groups)
	lines := []string{summary(r, len(groups), math.MaxInt, ""), strings.TrimRight(header(l, byCPU, highest), " ")}
	for i := range groups {
		lines = append(lines, strings.TrimRight(row(&groups[i], l, r.Time, highest, ""), " "))
	}
	return strings.Join(lines, "\n") + "\n"
}
