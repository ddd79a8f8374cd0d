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

// Format is the version of the JSON document layout.
const Format = 1

// writeJSON writes one document with all processes. It fails after it has written
// the document if a process is gone or unresponsive. Such a process is an entry with
// an error.
func (r *Reporter) writeJSON(w io.Writer, pids []int) error {
	processes := []any{}
	var failed error
	for _, pid := range pids {
		entry, err := r.entry(pid)
		if r.hasExited(pid, err) {
			continue
		}
		processes = append(processes, entry)
		failed = errors.Join(failed, err)
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
	return failed
}

func describeSystem() object {
	return object{
		{"goos", runtime.GOOS}, {"machine", runtime.GOARCH}, {"uid", os.Geteuid()}, {"pid", os.Getpid()},
		{"page_size", os.Getpagesize()}, {"cpu_count", runtime.NumCPU()},
	}
}

// entry returns the entry of one process, and an error if the process cannot be
// opened, or if attributes are missing because it is unresponsive.
func (r *Reporter) entry(pid int) (object, error) {
	selected := r.selected()
	results, err := r.reader.read(pid, namesOf(selected))
	if err != nil {
		return append(object{{"pid", pid}}, errorObject(err)...), err
	}
	var attrs object
	for _, a := range selected {
		value, err := results[a.name].value, results[a.name].err
		switch {
		case err != nil:
			attrs = append(attrs, member{string(a.name), errorObject(err)})
		case a.name == process.AttrEnviron && !r.ShowEnviron:
			attrs = append(attrs, member{string(a.name), environNames(value.(map[string]string))})
		default:
			attrs = append(attrs, member{string(a.name), a.convert(value)})
		}
	}
	return object{{"pid", pid}, {"attrs", attrs}}, unresponsiveError(pid, selected, results)
}

func namesOf(attrs []attribute) []process.Attr {
	var names []process.Attr
	for _, a := range attrs {
		names = append(names, a.name)
	}
	return names
}

// selected returns the attributes of --attrs, or all.
func (r *Reporter) selected() []attribute {
	if len(r.Attrs) == 0 {
		return attributes()
	}
	return slices.DeleteFunc(attributes(), func(a attribute) bool { return !slices.Contains(r.Attrs, string(a.name)) })
}

// environNames replaces an environment whose values are hidden. It has the form of
// an error with the value null, so that programs do not compare it.
func environNames(vars map[string]string) object {
	var names []string
	for name := range vars {
		names = append(names, name)
	}
	slices.Sort(names)
	return object{{"error", nil}, {"withheld_names", names}}
}

// errorObject returns an error by the name of the psutil exception. Unresponsive and
// TooLarge have no psutil counterpart.
func errorObject(err error) object {
	for _, known := range [...]struct {
		kind error
		name string
	}{
		{process.ErrZombie, "ZombieProcess"}, {process.ErrGone, "NoSuchProcess"},
		{process.ErrAccessDenied, "AccessDenied"}, {process.ErrTimeout, "TimeoutExpired"},
		{process.ErrUnsupported, "NotImplemented"}, {process.ErrInvalid, "ValueError"},
		{ErrUnresponsive, "Unresponsive"}, {process.ErrTooLarge, "TooLarge"},
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

// appendJSON appends v in the format of Python's json module: a space after commas
// and colons, and only ASCII characters. Unordered lists are sorted by this text.
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
		if math.IsNaN(v) || math.IsInf(v, 0) { // JSON cannot represent them
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

// appendText appends a string, or an object with base64 text if it is not UTF-8, so
// that the reader can recover the bytes.
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

// sortByPythonJSON sorts a list by the JSON text of its entries. The text of an
// object excludes its last member.
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
