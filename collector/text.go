package collector

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed57308aee/process_exporter/grouping"
)

// A TextFormat is a text format of metrics.
type TextFormat uint8

const (
	// PlainText is the text format of Prometheus, versions 0.0.4 and 1.0.0.
	PlainText TextFormat = iota

	// OpenMetrics is the text format of OpenMetrics, versions 0.0.1 and 1.0.0, without
	// the last line # EOF.
	OpenMetrics

	// OpenMetricsCreated is OpenMetrics with a line _created for each counter.
	OpenMetricsCreated
)

// totalSuffix is the suffix of counters, which is not part of their name in OpenMetrics.
const totalSuffix = "_total"

// eachText calls use with the text of every family that has samples. All texts use
// the same memory. It stops at the first error of use.
func (b *familyBuilder) eachText(u *update, format TextFormat, use func(name string, lines []byte) error) error {
	for i := range b.rows {
		r := &b.rows[i]
		if r.kind == histogram {
			continue
		}
		head := appendHead(b.lines[:0], r, format)
		b.lines = r.text(head, u, format)
		if len(b.lines) == len(head) {
			continue
		}
		if err := use(r.name, b.lines); err != nil {
			return err
		}
	}
	return nil
}

// appendGroups appends the samples of all groups.
func (f *family) appendGroups(dst []byte, u *update, format TextFormat) []byte {
	line := newLineFormat(f, u.labels)
	created := createdName(f.name, f.kind, format)
	var g *grouping.Group
	put := func(value float64, labels labelValues, since int64) {
		from := len(dst)
		dst = line.append(dst, g, labels[:len(f.labels)])
		to := len(dst)
		dst = appendValue(dst, value)
		if created != "" {
			dst = appendCreated(dst, created, from+len(f.name), to, cmp.Or(since, g.CountersStart))
		}
	}
	for i := range u.groups {
		g = &u.groups[i]
		f.samples(g, u, put)
	}
	return dst
}

// appendText appends the samples of a metric of the exporter.
func (e *exporterMetric) appendText(dst []byte, u *update, format TextFormat) []byte {
	if !e.isExported(u) {
		return dst
	}
	created := createdName(e.name, e.kind, format)
	e.collect(u, func(value float64, labels labelValues, _ int64) {
		from := len(dst)
		dst = append(dst, e.name...)
		for i, name := range e.labels {
			dst = append(dst, "{,"[min(i, 1)])
			dst = appendLabel(dst, name, labels[i])
		}
		if len(e.labels) > 0 {
			dst = append(dst, '}')
		}
		to := len(dst)
		dst = appendValue(dst, value)
		if created != "" {
			dst = appendCreated(dst, created, from+len(e.name), to, u.countersStart)
		}
	})
	return dst
}

// createdName returns the name of the lines with the start time of a counter, or "" if the
// format or the metric has none. In OpenMetrics, a counter without the suffix _total has
// the type unknown.
func createdName(name string, kind prometheus.ValueType, format TextFormat) string {
	if base, ok := strings.CutSuffix(name, totalSuffix); ok && kind == counter && format == OpenMetricsCreated {
		return base + "_created"
	}
	return ""
}

// appendCreated appends the line with the start time of a counter. Its labels are in dst
// from index from to index to. start is in milliseconds since the Unix epoch; 0 is
// unknown and appends nothing.
func appendCreated(dst []byte, name string, from, to int, start int64) []byte {
	if start <= 0 {
		return dst
	}
	dst = append(append(dst, name...), dst[from:to]...)
	dst = strconv.AppendInt(append(dst, ' '), start/1000, 10)
	millis := start % 1000
	return append(dst, '.', byte('0'+millis/100), byte('0'+millis/10%10), byte('0'+millis%10), '\n')
}

// appendHead appends the lines HELP and TYPE.
func appendHead(dst []byte, r *row, format TextFormat) []byte {
	name, kind, quote := r.name, " gauge\n", byte('\\') // quotes in the plain text need no escape
	if r.kind == counter {
		kind = " counter\n"
	}
	if format != PlainText {
		quote = '"'
		if base, ok := strings.CutSuffix(name, totalSuffix); r.kind == counter && ok {
			name = base
		} else if r.kind == counter {
			kind = " unknown\n"
		}
	}
	dst = append(append(append(dst, "# HELP "...), name...), ' ')
	dst = appendEscaped(dst, r.help, quote)
	dst = append(append(dst, "\n# TYPE "...), name...)
	return append(dst, kind...)
}

// A lineFormat is the format of the samples of a family of groups.
type lineFormat struct {
	name       string
	familySize int      // number of labels of the family
	labels     []string // groupname, labels of the family, labels of rules
	order      []int    // indexes of labels, sorted by label name
}

func newLineFormat(f *family, ruleLabels []string) *lineFormat {
	l := &lineFormat{name: f.name, familySize: len(f.labels), labels: slices.Concat([]string{"groupname"}, f.labels, ruleLabels)}
	for _, name := range slices.Sorted(slices.Values(l.labels)) {
		l.order = append(l.order, slices.Index(l.labels, name))
	}
	return l
}

// append appends the name and the labels of one sample. values are the values of the
// labels of the family.
func (l *lineFormat) append(dst []byte, g *grouping.Group, values []string) []byte {
	dst = append(append(dst, l.name...), '{')
	for i, at := range l.order {
		if i > 0 {
			dst = append(dst, ',')
		}
		switch {
		case at == 0:
			dst = appendLabel(dst, l.labels[0], g.Name)
		case at <= l.familySize:
			dst = appendLabel(dst, l.labels[at], values[at-1])
		default:
			dst = appendLabel(dst, l.labels[at], g.Labels[at-1-l.familySize])
		}
	}
	return append(dst, '}')
}

func appendLabel(dst []byte, name, value string) []byte {
	dst = append(append(dst, name...), '=', '"')
	return append(appendEscaped(dst, value, '"'), '"')
}

// appendEscaped appends text with escaped backslashes, newlines and quote.
func appendEscaped(dst []byte, text string, quote byte) []byte {
	from := 0
	for i := range len(text) {
		c := text[i]
		if c != '\\' && c != '\n' && c != quote {
			continue
		}
		if dst = append(append(dst, text[from:i]...), '\\'); c == '\n' {
			c = 'n'
		}
		dst = append(dst, c)
		from = i + 1
	}
	return append(dst, text[from:]...)
}

// appendValue appends a value and the end of the line. Integers below one million
// need no exponent; for others it uses the format of the client library.
func appendValue(dst []byte, v float64) []byte {
	dst = append(dst, ' ')
	if v >= 0 && v < 1e6 && v == math.Trunc(v) {
		dst = strconv.AppendUint(dst, uint64(v), 10)
	} else {
		dst = strconv.AppendFloat(dst, v, 'g', -1, 64)
	}
	return append(dst, '\n')
}
