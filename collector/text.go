package collector

import (
	"math"
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed57308aee/process_exporter/grouping"
)

// eachText calls use with the text of every family that has samples. All texts use
// the same memory. It stops at the first error of use.
func (b *familyBuilder) eachText(w *walk, use func(name string, lines []byte) error) error {
	for i := range b.rows {
		r := &b.rows[i]
		head := appendHead(b.lines[:0], r.name, r.help, r.kind)
		b.lines = r.text(head, w)
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
func (f *family) appendGroups(dst []byte, w *walk) []byte {
	format := newLineFormat(f, w.labels)
	var g *grouping.Group
	put := func(value float64, labels labelValues) { dst = format.append(dst, g, value, labels[:len(f.labels)]) }
	for i := range w.groups {
		g = &w.groups[i]
		f.samples(g, put)
	}
	return dst
}

// appendText appends the samples of a metric of the exporter.
func (e *exporterMetric) appendText(dst []byte, w *walk) []byte {
	if !e.always && w.err != nil {
		return dst
	}
	e.collect(w, func(value float64, labels labelValues) {
		dst = append(dst, e.name...)
		for i, name := range e.labels {
			dst = append(dst, "{,"[min(i, 1)])
			dst = appendLabel(dst, name, labels[i])
		}
		if len(e.labels) > 0 {
			dst = append(dst, '}')
		}
		dst = appendValue(dst, value)
	})
	return dst
}

// appendHead appends the lines HELP and TYPE.
func appendHead(dst []byte, name, help string, kind prometheus.ValueType) []byte {
	dst = append(append(append(dst, "# HELP "...), name...), ' ')
	dst = appendHelp(dst, help)
	dst = append(append(dst, "\n# TYPE "...), name...)
	if kind == counter {
		return append(dst, " counter\n"...)
	}
	return append(dst, " gauge\n"...)
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

// append appends one sample. values are the values of the labels of the family.
func (l *lineFormat) append(dst []byte, g *grouping.Group, value float64, values []string) []byte {
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
	return appendValue(append(dst, '}'), value)
}

func appendLabel(dst []byte, name, value string) []byte {
	dst = append(append(dst, name...), '=', '"')
	return append(appendEscaped(dst, value, '"'), '"')
}

// appendHelp appends the text of a HELP line, in which quotes need no escape.
func appendHelp(dst []byte, text string) []byte { return appendEscaped(dst, text, '\\') }

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
