package inspect

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/seed57308aee/process_exporter/platform/process"
)

const (
	bold  = "\x1b[1m"
	faint = "\x1b[2m"
	plain = "\x1b[0m"
)

// mostLines is how many entries of a list people want to see; --json and
// --attrs tell all.
const mostLines = 20

// writeText writes a report for people. All processes are tried; if one could
// not be read, or did not answer in full, that is the error.
func (r *Report) writeText(w io.Writer, pids []int) error {
	var failed error
	facets := r.shown()
	for i, pid := range pids {
		answers, err := r.asker.ask(pid, attrsOf(facets))
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		failed = errors.Join(failed, unanswered(pid, facets, answers))
		var b strings.Builder
		if i > 0 {
			b.WriteByte('\n')
		}
		r.describe(&b, facets, answers)
		if _, err := io.WriteString(w, b.String()); err != nil {
			return err
		}
	}
	return failed
}

// shown returns the facets that people are shown: unless they ask for others,
// those that belong to a section.
func (r *Report) shown() []facet {
	facets := r.chosen()
	if len(r.Attrs) > 0 {
		return facets
	}
	return slices.DeleteFunc(facets, func(f facet) bool { return f.section == "" })
}

// describe writes the report on one process, section by section.
func (r *Report) describe(b *strings.Builder, facets []facet, answers map[process.Attr]reply) {
	section := ""
	for _, f := range facets {
		if f.section != section && len(r.Attrs) == 0 {
			section = f.section
			fmt.Fprintf(b, "%s\n", r.paint(bold, strings.ToUpper(section)))
		}
		if err := answers[f.attr].err; err != nil {
			r.line(b, f.name, r.paint(faint, reasonOf(err)))
			continue
		}
		r.write(b, f.name, r.humanValue(f, answers[f.attr].value))
	}
}

func (r *Report) paint(colour, text string) string {
	if !r.Colour {
		return text
	}
	return colour + text + plain
}

// reasonOf tells in a few words why there is no value.
func reasonOf(err error) string {
	switch {
	case errors.Is(err, process.ErrZombie):
		return "- (zombie)"
	case errors.Is(err, process.ErrGone):
		return "- (gone)"
	case errors.Is(err, process.ErrAccessDenied):
		return "- (access denied)"
	case errors.Is(err, process.ErrUnsupported):
		return "- (not known here)"
	case errors.Is(err, ErrUnresponsive):
		return "- (does not answer)"
	case errors.Is(err, process.ErrTooLarge):
		return "- (more than any process has)"
	}
	return "- (" + strings.Join(strings.Fields(err.Error()), " ") + ")"
}

// humanValue returns what people are shown of a facet.
func (r *Report) humanValue(f facet, value any) any {
	switch v := value.(type) {
	case time.Time:
		return fmt.Sprintf("%s (%s ago)", v.Local().Format("2006-01-02 15:04:05"), time.Since(v).Round(time.Second))
	case map[string]string:
		shown := environ(v).(object)
		for i := range shown {
			if !r.ShowEnviron {
				shown[i].value = "(hidden, --show-environ shows it)"
			}
		}
		return shown
	case float64:
		return fmt.Sprintf("%.2f %%", v)
	case []string:
		return quoteWords(v)
	}
	return f.value(value)
}

// quoteWords writes a command line so that its arguments can be told apart.
func quoteWords(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = word
		if word == "" || strings.ContainsFunc(word, func(r rune) bool { return unicode.IsSpace(r) || r == '"' || r == '\'' }) {
			quoted[i] = fmt.Sprintf("%q", word)
		}
	}
	return strings.Join(quoted, " ")
}

// line writes one aligned line.
func (r *Report) line(b *strings.Builder, name, text string) {
	const width = 25
	fmt.Fprintf(b, "  %-*s %s\n", width, name, text)
}

// write writes a value: what is small on one line, a list on many.
func (r *Report) write(b *strings.Builder, name string, value any) {
	switch v := value.(type) {
	case object:
		if len(v) > 0 && len(v) <= 7 && name != "environ" {
			r.line(b, name, flat(name, v))
			return
		}
		r.line(b, name, fmt.Sprintf("%d", len(v)))
		for _, f := range v {
			r.line(b, "  "+Printable(f.name), scalar(f.name, f.value))
		}
	case []any:
		r.line(b, name, fmt.Sprintf("%d", len(v)))
		r.list(b, v)
	default:
		r.line(b, name, scalar(name, v))
	}
}

// list writes the entries of a list, the first ones if there are many.
func (r *Report) list(b *strings.Builder, v []any) {
	for i, entry := range v {
		if i == mostLines && len(r.Attrs) == 0 {
			r.line(b, "", fmt.Sprintf("... and %d more", len(v)-i))
			return
		}
		if o, ok := entry.(object); ok {
			r.line(b, "", flat("", o))
		} else {
			r.line(b, "", scalar("", entry))
		}
	}
}

// flat writes an object on one line.
func flat(name string, o object) string {
	parts := make([]string, len(o))
	for i, f := range o {
		unit := f.name
		if strings.HasPrefix(name, "memory") || strings.HasSuffix(unit, "_bytes") {
			unit = "bytes"
		}
		parts[i] = strings.TrimSuffix(f.name, "_seconds") + " " + scalar(unit, f.value)
	}
	return strings.Join(parts, ", ")
}

// scalar writes one value with the unit that its name tells.
func scalar(name string, v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case string:
		return Printable(v)
	case float64:
		if strings.HasSuffix(name, "_seconds") {
			return fmt.Sprintf("%.2f s", v)
		}
		return fmt.Sprintf("%g", v)
	case uint64:
		if name == "bytes" {
			return BytesText(v)
		}
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = scalar("", v[i])
		}
		return strings.Join(parts, " ")
	case []int:
		return strings.Trim(fmt.Sprint(v), "[]")
	}
	return fmt.Sprint(v)
}

// BytesText writes a size in the largest unit that it has one of.
func BytesText(n uint64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	size, unit := float64(n), 0
	for size >= 1024 && unit < len(units)-1 {
		size /= 1024
		unit++
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", size, units[unit])
}

// Printable escapes what would move the cursor of a terminal or colour it.
func Printable(s string) string {
	if !slices.ContainsFunc([]rune(s), func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	quoted := fmt.Sprintf("%+q", s)
	return quoted[1 : len(quoted)-1]
}
