package tui

import (
	"slices"
	"strconv"
	"time"

	"github.com/seed57308aee/process_exporter/internal/webui"
)

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
	{"THREADS", 9, "t", known(func(g *webui.Group) *int { return g.NumThreads }), integer, nil},
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

// fits reports whether a column fits beside the name.
func (l *layout) fits(i int) bool { return l.name-columns[i].width-1 >= minNameWidth }

func (l *layout) add(i int) {
	l.name -= columns[i].width + 1
	l.columns = append(l.columns, i)
}

func (l *layout) removeLast() {
	last := len(l.columns) - 1
	l.name += columns[l.columns[last]].width + 1
	l.columns = l.columns[:last]
}

// layoutOf returns the layout of a line about an exporter. sorted is the index of the column that
// sorts the table. In a narrow terminal it replaces other columns.
func layoutOf(width int, e *webui.ExporterStatus, sorted int) layout {
	l := layout{name: width}
	has := columnsOf(e)
	for _, i := range has {
		if !l.fits(i) {
			break
		}
		l.add(i)
	}
	if slices.Contains(has, sorted) && !slices.Contains(l.columns, sorted) {
		for len(l.columns) > 0 && !l.fits(sorted) {
			l.removeLast()
		}
		if l.fits(sorted) {
			l.add(sorted)
		}
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
