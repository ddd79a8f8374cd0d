package grouping

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/template"
	"text/template/parse"
	"unicode"
	"unicode/utf8"
)

const (
	// maxPatterns limits the compiled expressions that a template caches. A template
	// can build expressions from the values of processes, without a limit.
	maxPatterns = 32

	// maxPattern limits an expression, in bytes.
	maxPattern = 4096

	// maxReplaced limits the estimated length of the result of regexReplace, in bytes.
	maxReplaced = 16 * maxNameBytes
)

// templateFuncs returns the functions that templates have in addition to those of
// text/template. Their last argument is the text, so that it can be piped into them. It
// may have any type; a missing capture is nil, which is treated as empty. Arguments and
// results are limited to maxNameBytes.
//
// Every template needs its own functions, because they cache expressions.
func templateFuncs() template.FuncMap {
	patterns := &patternCache{}
	return template.FuncMap{
		"basename":     textFunc(baseName),
		"dirname":      textFunc(path.Dir),
		"lower":        textFunc(func(s string) string { return mapRunes(s, unicode.ToLower) }),
		"upper":        textFunc(func(s string) string { return mapRunes(s, unicode.ToUpper) }),
		"trimPrefix":   func(prefix string, s any) (string, error) { return trim(strings.TrimPrefix, s, prefix) },
		"trimSuffix":   func(suffix string, s any) (string, error) { return trim(strings.TrimSuffix, s, suffix) },
		"default":      defaultTo,
		"replace":      replace,
		"regexReplace": patterns.replace,
	}
}

// textFunc converts a string function to a template function.
func textFunc(f func(string) string) func(any) (string, error) {
	return func(v any) (string, error) {
		s, err := textOf(v)
		if err != nil {
			return "", err
		}
		return limitLength(f(s))
	}
}

// textOf returns v as a template prints it, and nil as "".
func textOf(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return limitLength(v)
	}
	return limitLength(fmt.Sprint(v))
}

// limitLength returns s, or an error if s is longer than maxNameBytes.
func limitLength(s string) (string, error) {
	if len(s) > maxNameBytes {
		return "", errTooLong
	}
	return s, nil
}

// baseName is [path.Base], except that it returns "" for "".
func baseName(s string) string {
	if s == "" {
		return ""
	}
	return path.Base(s)
}

// mapRunes applies mapping to every character of s and keeps bytes that are not UTF-8.
// Package strings would replace them, so that different names could become equal.
func mapRunes(s string, mapping func(rune) rune) string {
	var out strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError {
			out.WriteString(s[:size])
		} else {
			out.WriteRune(mapping(r))
		}
		s = s[size:]
	}
	return out.String()
}

func trim(f func(s, part string) string, v any, part string) (string, error) {
	s, err := textOf(v)
	return f(s, part), err
}

// defaultTo returns v, or value if v is empty.
func defaultTo(value, v any) (string, error) {
	if s, err := textOf(v); err != nil || s != "" {
		return s, err
	}
	return textOf(value)
}

// replace replaces every occurrence of old in v. It computes the length of the result
// first, because every byte could be replaced by maxNameBytes.
func replace(old, with string, v any) (string, error) {
	s, err := textOf(v)
	if err != nil {
		return "", err
	}
	if len(s)+strings.Count(s, old)*(len(with)-len(old)) > maxNameBytes {
		return "", errTooLong
	}
	return strings.ReplaceAll(s, old, with), nil
}

// A patternCache caches the compiled expressions of a template. It is safe for concurrent
// use.
type patternCache struct {
	mu       sync.Mutex
	compiled map[string]*regexp.Regexp // guarded by mu
}

// compile returns the compiled pattern. It clears the cache when it has maxPatterns.
func (c *patternCache) compile(pattern string) (*regexp.Regexp, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if re := c.compiled[pattern]; re != nil {
		return re, nil
	}
	re, err := compilePattern(pattern)
	if err != nil {
		return nil, err
	}
	if c.compiled == nil || len(c.compiled) >= maxPatterns {
		c.compiled = make(map[string]*regexp.Regexp)
	}
	c.compiled[pattern] = re
	return re, nil
}

func compilePattern(pattern string) (*regexp.Regexp, error) {
	if len(pattern) > maxPattern {
		return nil, fmt.Errorf("regexReplace: the pattern has %d bytes; the maximum is %d", len(pattern), maxPattern)
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("regexReplace: pattern %q: %w", pattern, err)
	}
	return re, nil
}

// replace replaces every match of pattern in v. $1 and ${name} in replacement are the
// text of a group, $$ is a dollar sign.
func (c *patternCache) replace(pattern, replacement string, v any) (string, error) {
	s, err := textOf(v)
	if err != nil {
		return "", err
	}
	re, err := c.compile(pattern)
	if err != nil {
		return "", err
	}
	if replacedBytes(len(s), len(s)+1, len(s), replacement) > maxReplaced {
		matches, bytes := 0, 0
		re.ReplaceAllStringFunc(s, func(match string) string {
			matches++
			bytes += len(match)
			return ""
		})
		if replacedBytes(len(s), matches, bytes, replacement) > maxReplaced {
			return "", errTooLong
		}
	}
	return limitLength(re.ReplaceAllString(s, replacement))
}

// replacedBytes returns the maximum length of a text of size bytes after replacing the
// given number of matches, which have the given number of bytes together.
func replacedBytes(size, matches, bytes int, replacement string) int {
	return size + matches*len(replacement) + bytes*strings.Count(replacement, "$")
}

// checkFuncs returns an error if a template below root calls a function with an invalid
// constant, so that the error appears when the file is loaded, not at the first process.
func checkFuncs(root parse.Node) (err error) {
	visitNodes(root, func(n parse.Node) {
		if command, ok := n.(*parse.CommandNode); ok && err == nil {
			err = checkRegexReplace(command.Args)
		}
	})
	return err
}

func checkRegexReplace(call []parse.Node) error {
	if name, ok := call[0].(*parse.IdentifierNode); !ok || name.Ident != "regexReplace" || len(call) < 2 {
		return nil
	}
	pattern, ok := call[1].(*parse.StringNode)
	if !ok {
		return nil
	}
	re, err := compilePattern(pattern.Text)
	if err != nil || len(call) < 3 {
		return err
	}
	if replacement, ok := call[2].(*parse.StringNode); ok {
		return checkReplacement(re, replacement.Text)
	}
	return nil
}

// groupReference matches a reference to a group as package regexp parses it.
var groupReference = regexp.MustCompile(`\$(\$|[\pL\p{Nd}_]+|\{[\pL\p{Nd}_]+\})`)

// checkReplacement returns an error if replacement refers to a group that re does not
// have, which would be empty. The usual mistake is $1_x instead of ${1}_x.
func checkReplacement(re *regexp.Regexp, replacement string) error {
	for _, found := range groupReference.FindAllStringSubmatch(replacement, -1) {
		group := strings.Trim(found[1], "{}")
		number, err := strconv.Atoi(group)
		switch {
		case group == "$":
		case err == nil && number <= re.NumSubexp():
		case err != nil && slices.Contains(re.SubexpNames(), group):
		default:
			return fmt.Errorf("regexReplace: pattern %q has no group %s; write ${1}_x if text follows the number, and $$ for a dollar sign",
				re, group)
		}
	}
	return nil
}
