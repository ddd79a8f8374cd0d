package inspect

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/seed57308aee/process_exporter/platform/process"
)

// Format is the version of the layout of the JSON document.
const Format = 1

// writeJSON writes one document of all processes. One that is gone is an entry
// with an error, not a failure, for processes come and go; one that does not
// answer is both.
func (r *Report) writeJSON(w io.Writer, pids []int) error {
	processes := []any{}
	var silent error
	for _, pid := range pids {
		entry, err := r.entry(pid)
		processes = append(processes, entry)
		silent = errors.Join(silent, err)
	}
	text := appendJSON(nil, object{
		{"format", Format},
		{"by", r.By},
		{"system", describeSystem()},
		{"processes", processes},
	})
	var indented bytes.Buffer
	if err := json.Indent(&indented, text, "", " "); err != nil {
		return fmt.Errorf("cannot write JSON: %w", err)
	}
	indented.WriteByte('\n')
	if _, err := w.Write(indented.Bytes()); err != nil {
		return err
	}
	return silent
}

func describeSystem() object {
	return object{
		{"goos", runtime.GOOS}, {"machine", runtime.GOARCH}, {"uid", os.Geteuid()}, {"pid", os.Getpid()},
		{"page_size", os.Getpagesize()}, {"cpu_count", runtime.NumCPU()},
	}
}

// entry returns what is told of one process, and an error if some of it does
// not answer.
func (r *Report) entry(pid int) (object, error) {
	chosen := r.chosen()
	answers, err := r.asker.ask(pid, attrsOf(chosen))
	if err != nil {
		entry := append(object{{"pid", pid}}, failureObject(err)...)
		if !errors.Is(err, ErrUnresponsive) {
			err = nil
		}
		return entry, err
	}
	var attrs object
	for _, f := range chosen {
		value, err := answers[f.attr].value, answers[f.attr].err
		switch {
		case err != nil:
			attrs = append(attrs, field{f.name, failureObject(err)})
		case f.name == "environ" && !r.ShowEnviron:
			attrs = append(attrs, field{f.name, withheld(value.(map[string]string))})
		default:
			attrs = append(attrs, field{f.name, f.value(value)})
		}
	}
	return object{{"pid", pid}, {"attrs", attrs}}, unanswered(pid, chosen, answers)
}

func attrsOf(facets []facet) []process.Attr {
	var attrs []process.Attr
	for _, f := range facets {
		attrs = append(attrs, f.attr)
	}
	return attrs
}

// chosen returns the facets that are asked for.
func (r *Report) chosen() []facet {
	if len(r.Attrs) == 0 {
		return facets()
	}
	return slices.DeleteFunc(facets(), func(f facet) bool { return !slices.Contains(r.Attrs, f.name) })
}

// withheld stands in the place of an environment whose values are not shown. It
// is like an error, for there is no environment to compare with another, and
// yet none happened.
func withheld(vars map[string]string) object {
	var names []string
	for name := range vars {
		names = append(names, name)
	}
	slices.Sort(names)
	return object{{"error", nil}, {"withheld_names", names}}
}

// failureObject names an error as psutil does, which has no name for a process
// that does not answer, but waits.
func failureObject(err error) object {
	for _, known := range [...]struct {
		kind error
		name string
	}{
		{process.ErrZombie, "ZombieProcess"}, {process.ErrGone, "NoSuchProcess"},
		{process.ErrAccessDenied, "AccessDenied"}, {process.ErrTimeout, "TimeoutExpired"},
		{process.ErrUnsupported, "NotImplemented"}, {process.ErrInvalid, "ValueError"},
		{ErrUnresponsive, "DoesNotAnswer"}, {process.ErrTooLarge, "TooLarge"},
	} {
		if errors.Is(err, known.kind) {
			return object{{"error", known.name}}
		}
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return object{{"error", "OSError"}, {"errno", int(errno)}}
	}
	return object{{"error", "RuntimeError"}}
}

// appendJSON appends v in the spelling of Python's json module, with a blank
// behind commas and colons and all but ASCII escaped: lists that have no order
// of their own are sorted by it.
func appendJSON(dst []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case string:
		return appendText(dst, v)
	case object:
		return appendObject(dst, v)
	case []any:
		return appendList(dst, len(v), func(dst []byte, i int) []byte { return appendJSON(dst, v[i]) })
	case []string:
		return appendList(dst, len(v), func(dst []byte, i int) []byte { return appendText(dst, v[i]) })
	case []int:
		return appendList(dst, len(v), func(dst []byte, i int) []byte { return strconv.AppendInt(dst, int64(v[i]), 10) })
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) { // JSON has no word for them
			return append(dst, "null"...)
		}
		return strconv.AppendFloat(dst, v, 'f', -1, 64)
	}
	return fmt.Append(dst, v) // integers and booleans
}

func appendList(dst []byte, n int, each func(dst []byte, i int) []byte) []byte {
	dst = append(dst, '[')
	for i := range n {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = each(dst, i)
	}
	return append(dst, ']')
}

func appendObject(dst []byte, o object) []byte {
	dst = append(dst, '{')
	for i, f := range o {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		name := f.name
		if !utf8.ValidString(name) {
			name = "b64:" + base64.StdEncoding.EncodeToString([]byte(name))
		}
		dst = append(appendText(dst, name), ": "...)
		dst = appendJSON(dst, f.value)
	}
	return append(dst, '}')
}

// appendText appends text, or an object where it is not UTF-8: the bytes that a
// process chose are to arrive as they are.
func appendText(dst []byte, s string) []byte {
	if !utf8.ValidString(s) {
		return appendObject(dst, object{{"b64", base64.StdEncoding.EncodeToString([]byte(s))}})
	}
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case r == '\b':
			dst = append(dst, `\b`...)
		case r == '\f':
			dst = append(dst, `\f`...)
		case r >= ' ' && r <= '~':
			dst = append(dst, byte(r))
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			dst = fmt.Appendf(dst, `\u%04x\u%04x`, high, low)
		default:
			dst = fmt.Appendf(dst, `\u%04x`, r)
		}
	}
	return append(dst, '"')
}

// sortByPythonJSON sorts a list by the text of its entries: that of all but
// their last field where these are objects.
func sortByPythonJSON(list []any) {
	key := func(v any) string {
		o, ok := v.(object)
		if !ok {
			return string(appendJSON(nil, v))
		}
		var values []any
		for _, f := range o[:len(o)-1] {
			values = append(values, f.value)
		}
		return string(appendJSON(nil, values))
	}
	slices.SortStableFunc(list, func(a, b any) int { return bytes.Compare([]byte(key(a)), []byte(key(b))) })
}
