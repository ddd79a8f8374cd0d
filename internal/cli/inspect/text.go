package inspect

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/seed57308aee/process_exporter/internal/printable"
	"github.com/seed57308aee/process_exporter/platform/process"
)

const (
	bold  = "\x1b[1m"
	faint = "\x1b[2m"
	plain = "\x1b[0m"
)

// maxListLines is how many entries of a list a report prints. --json and --attrs
// print all.
const maxListLines = 20

// writeText writes the text report of all processes. It continues after an error and
// returns all errors of processes that it could not read completely.
func (r *Reporter) writeText(w io.Writer, pids []int) error {
	var failed error
	attrs := r.shown()
	for i, pid := range pids {
		results, err := r.reader.read(pid, namesOf(attrs))
		if r.hasExited(pid, err) {
			continue
		}
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		failed = errors.Join(failed, unresponsiveError(pid, attrs, results))
		var b strings.Builder
		if i > 0 {
			b.WriteByte('\n')
		}
		r.writeProcess(&b, attrs, results)
		if _, err := io.WriteString(w, b.String()); err != nil {
			return err
		}
	}
	return failed
}

// shown returns the attributes of a text report: the names of --attrs, or all that
// belong to a section.
func (r *Reporter) shown() []attribute {
	attrs := r.selected()
	if len(r.Attrs) > 0 {
		return attrs
	}
	return slices.DeleteFunc(attrs, func(a attribute) bool { return a.section == "" })
}

// writeProcess writes the report of one process by section.
func (r *Reporter) writeProcess(b *strings.Builder, attrs []attribute, results map[process.Attr]result) {
	section := ""
	for _, a := range attrs {
		if a.section != section && len(r.Attrs) == 0 {
			section = a.section
			fmt.Fprintf(b, "%s\n", r.styled(bold, strings.ToUpper(section)))
		}
		if err := results[a.name].err; err != nil {
			r.writeLine(b, string(a.name), r.styled(faint, errorText(err)))
			continue
		}
		r.writeValue(b, string(a.name), r.textValue(a, results[a.name].value))
	}
}

func (r *Reporter) styled(colour, text string) string {
	if !r.Colour {
		return text
	}
	return colour + text + plain
}

// errorText returns the text in place of a value that could not be read.
func errorText(err error) string {
	switch {
	case errors.Is(err, process.ErrZombie):
		return "- (zombie)"
	case errors.Is(err, process.ErrGone):
		return "- (gone)"
	case errors.Is(err, process.ErrAccessDenied):
		return "- (access denied)"
	case errors.Is(err, process.ErrUnsupported):
		return "- (not supported)"
	case errors.Is(err, ErrUnresponsive):
		return "- (unresponsive)"
	case errors.Is(err, process.ErrTooLarge):
		return "- (too large)"
	}
	return "- (" + printable.Text(strings.Join(strings.Fields(err.Error()), " ")) + ")"
}

// textValue returns the value of an attribute for the text report.
func (r *Reporter) textValue(a attribute, value any) any {
	switch v := value.(type) {
	case time.Time:
		return fmt.Sprintf("%s (%s ago)", v.Local().Format("2006-01-02 15:04:05"), time.Since(v).Round(time.Second))
	case map[string]string:
		shown := environ(v).(object)
		for i := range shown {
			if !r.ShowEnviron {
				shown[i].value = "(hidden; use --show-environ)"
			}
		}
		return shown
	case process.MemoryInfoEx:
		return memoryExFields(v) // memory_info has the others
	case float64:
		return fmt.Sprintf("%.2f %%", v)
	case []string:
		return quoteArgs(v)
	}
	return a.convert(value)
}

// quoteArgs joins command line arguments. It quotes empty arguments and those with
// spaces or quotes.
func quoteArgs(args []string) string {
	quoted := make([]string, len(args))
	for i, arg := range args {
		quoted[i] = arg
		if arg == "" || strings.ContainsFunc(arg, func(r rune) bool { return unicode.IsSpace(r) || r == '"' || r == '\'' }) {
			quoted[i] = fmt.Sprintf("%q", arg)
		}
	}
	return strings.Join(quoted, " ")
}

// writeLine writes one aligned line.
func (r *Reporter) writeLine(b *strings.Builder, name, text string) {
	const width = 25
	fmt.Fprintf(b, "  %-*s %s\n", width, name, text)
}

// writeValue writes a small value on one line, and a list on several lines.
func (r *Reporter) writeValue(b *strings.Builder, name string, value any) {
	switch v := value.(type) {
	case object:
		if len(v) > 0 && len(v) <= 7 && name != "environ" {
			r.writeLine(b, name, flat(name, v))
			return
		}
		r.writeLine(b, name, fmt.Sprintf("%d", len(v)))
		for _, f := range v {
			r.writeLine(b, "  "+printable.Text(f.name), scalar(unitOf(name, f.name), f.value))
		}
	case []any:
		r.writeLine(b, name, fmt.Sprintf("%d", len(v)))
		r.writeList(b, v)
	default:
		r.writeLine(b, name, scalar("", v))
	}
}

// writeList writes the entries of a list, up to maxListLines.
func (r *Reporter) writeList(b *strings.Builder, v []any) {
	for i, entry := range v {
		if i == maxListLines && len(r.Attrs) == 0 {
			r.writeLine(b, "", fmt.Sprintf("... and %d more", len(v)-i))
			return
		}
		if o, ok := entry.(object); ok {
			r.writeLine(b, "", flat("", o))
		} else {
			r.writeLine(b, "", scalar("", entry))
		}
	}
}

// flat returns an object on one line.
func flat(name string, o object) string {
	parts := make([]string, len(o))
	for i, f := range o {
		parts[i] = f.name + " " + scalar(unitOf(name, f.name), f.value)
	}
	return strings.Join(parts, ", ")
}

// unitOf returns the unit of a member of an attribute, or "" if it has none or
// another one.
func unitOf(attr, member string) string {
	switch {
	case strings.HasPrefix(attr, "memory"), strings.HasSuffix(member, "_bytes"):
		return "bytes"
	case attr == string(process.AttrCPUTimes), strings.HasSuffix(member, "_time"):
		return "seconds"
	}
	return ""
}

// scalar returns one value with its unit, if that is bytes or seconds.
func scalar(unit string, v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case string:
		return printable.Text(v)
	case float64:
		if unit == "seconds" {
			return fmt.Sprintf("%.2f s", v)
		}
		return fmt.Sprintf("%g", v)
	case uint64:
		if unit == "bytes" {
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

// BytesText returns a size in bytes, with one decimal in the largest unit that fits.
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
