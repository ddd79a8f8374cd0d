package grouping

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"text/template"
	"unicode/utf8"
)

// maxFormat bounds the format of printf in bytes, and each width and precision
// in it. No name is near that, while a few bytes of format can ask for
// gigabytes of blanks.
const maxFormat = 4096

// errFormat breaks off a template that would fill the memory.
var errFormat = errors.New("printf: wrong argument index, or format, width or precision too large")

// boundedFuncs are the functions of text/template that make text, with an end
// to how much.
func boundedFuncs() template.FuncMap {
	return template.FuncMap{
		"printf":   boundedPrintf,
		"print":    bounded(fmt.Sprint),
		"println":  bounded(fmt.Sprintln),
		"html":     bounded(template.HTMLEscaper),
		"js":       bounded(template.JSEscaper),
		"urlquery": bounded(template.URLQueryEscaper),
	}
}

// bounded refuses results that are no name any more. A variable can be printed
// twice into itself, again and again.
func bounded(f func(...any) string) func(...any) (string, error) {
	return func(args ...any) (string, error) {
		text := f(args...)
		if len(text) > maxNameBytes {
			return "", errTooLong
		}
		return text, nil
	}
}

// boundedPrintf is fmt.Sprintf for formats of which checkFormat approves.
func boundedPrintf(format string, args ...any) (string, error) {
	if err := checkFormat(format, args); err != nil {
		return "", err
	}
	return bounded(func(args ...any) string { return fmt.Sprintf(format, args...) })(args...)
}

// checkFormat returns an error if a verb of format has a width or a precision
// over maxFormat, or an argument index that leaves in doubt what they are.
func checkFormat(format string, args []any) error {
	if len(format) > maxFormat {
		return errFormat
	}
	f := formatScan{rest: format, args: args}
	for {
		_, rest, found := strings.Cut(f.rest, "%")
		if !found {
			return nil
		}
		f.rest = strings.TrimLeft(rest, "#0+- ")
		width, precision := f.number(), 0
		if strings.HasPrefix(f.rest, ".") {
			f.rest = f.rest[1:]
			precision = f.number()
		}
		f.verb()
		if f.odd || max(width, precision) > maxFormat {
			return errFormat
		}
	}
}

// A formatScan reads the format of printf as fmt does.
type formatScan struct {
	rest string
	args []any
	arg  int  // index of the argument that is next
	odd  bool // an argument index was wrong
}

// verb passes over the letter that ends a verb, and over its argument.
func (f *formatScan) verb() {
	f.index()
	r, size := utf8.DecodeRuneInString(f.rest)
	f.rest = f.rest[size:]
	if r != '%' {
		f.arg++
	}
}

// index follows an explicit argument index, such as [3]. It stands before a
// star or the letter of the verb, and nowhere else.
func (f *formatScan) index() {
	if !strings.HasPrefix(f.rest, "[") {
		return
	}
	inside, rest, closed := strings.Cut(f.rest[1:], "]")
	n, err := strconv.ParseUint(inside, 10, 16)
	if !closed || err != nil || n < 1 || int(n) > len(f.args) || rest == "" || strings.Contains("0123456789.[", rest[:1]) {
		f.odd = true
		return
	}
	f.rest, f.arg = rest, int(n)-1
}

// number returns a width or precision, be it in digits or an argument.
func (f *formatScan) number() int {
	f.index()
	if !strings.HasPrefix(f.rest, "*") {
		return f.digits()
	}
	f.rest = f.rest[1:]
	i := f.arg
	if i >= len(f.args) {
		return 0
	}
	f.arg++
	switch v := reflect.ValueOf(f.args[i]); {
	case v.CanInt():
		n := v.Int()
		return int(min(max(n, -n), maxFormat+1))
	case v.CanUint():
		return int(min(v.Uint(), maxFormat+1))
	}
	return 0
}

// digits returns the number in front, or maxFormat+1 if it is larger.
func (f *formatScan) digits() (n int) {
	for f.rest != "" && '0' <= f.rest[0] && f.rest[0] <= '9' {
		n = min(n*10+int(f.rest[0]-'0'), maxFormat+1)
		f.rest = f.rest[1:]
	}
	return n
}
