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

// maxFormat limits the format of printf, in bytes, and each width and precision in it.
// Names need far less, and a short format can produce gigabytes of padding.
const maxFormat = 4096

// errFormat stops a template that would fill the memory.
var errFormat = errors.New("printf: wrong argument index, or format, width or precision too large")

// boundedFuncs returns the functions of text/template that produce text, with a limit on
// the length of the result.
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

// bounded returns f with an error for results longer than maxNameBytes. A template can
// double a variable in a loop.
func bounded(f func(...any) string) func(...any) (string, error) {
	return func(args ...any) (string, error) {
		text := f(args...)
		if len(text) > maxNameBytes {
			return "", errTooLong
		}
		return text, nil
	}
}

// boundedPrintf is fmt.Sprintf for formats that pass checkFormat.
func boundedPrintf(format string, args ...any) (string, error) {
	if err := checkFormat(format, args); err != nil {
		return "", err
	}
	return bounded(func(args ...any) string { return fmt.Sprintf(format, args...) })(args...)
}

// checkFormat returns an error if a verb of format has a width or a precision above
// maxFormat, or an invalid argument index, which could hide one.
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
		if f.badIndex || max(width, precision) > maxFormat {
			return errFormat
		}
	}
}

// A formatScan parses the format of printf as package fmt does.
type formatScan struct {
	rest     string
	args     []any
	arg      int  // index of the next argument
	badIndex bool // an argument index is invalid
}

// verb skips the letter that ends a verb, and its argument.
func (f *formatScan) verb() {
	f.index()
	r, size := utf8.DecodeRuneInString(f.rest)
	f.rest = f.rest[size:]
	if r != '%' {
		f.arg++
	}
}

// index parses an explicit argument index, such as [3]. It is only valid before a star or
// the letter of a verb.
func (f *formatScan) index() {
	if !strings.HasPrefix(f.rest, "[") {
		return
	}
	inside, rest, closed := strings.Cut(f.rest[1:], "]")
	n, err := strconv.ParseUint(inside, 10, 16)
	if !closed || err != nil || n < 1 || int(n) > len(f.args) || rest == "" || strings.Contains("0123456789.[", rest[:1]) {
		f.badIndex = true
		return
	}
	f.rest, f.arg = rest, int(n)-1
}

// number parses a width or precision: digits, or a star and an argument.
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

// digits parses a decimal number and returns it, at most maxFormat+1.
func (f *formatScan) digits() (n int) {
	for f.rest != "" && '0' <= f.rest[0] && f.rest[0] <= '9' {
		n = min(n*10+int(f.rest[0]-'0'), maxFormat+1)
		f.rest = f.rest[1:]
	}
	return n
}
