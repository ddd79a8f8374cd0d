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
	// maxPatterns bounds how many expressions a template keeps compiled.
	// Those that it makes of the words of processes never come to an end.
	maxPatterns = 32

	// maxPattern bounds an expression in bytes.
	maxPattern = 4096

	// maxReplaced bounds what regexReplace may come to make, in bytes, before
	// the length of it is known.
	maxReplaced = 16 * maxNameBytes
)

// templateFuncs are the functions that templates have beside those of
// text/template. The text that they work on comes last, so that it can be piped
// into them. It may be of any type, since a capture that is missing has none, and
// counts as empty. None takes or makes a text longer than a name may be.
//
// Every template has its own, because they keep expressions.
func templateFuncs() template.FuncMap {
	patterns := &patternCache{}
	return template.FuncMap{
		"basename":     onText(baseOf),
		"dirname":      onText(path.Dir),
		"lower":        onText(func(s string) string { return mapRunes(s, unicode.ToLower) }),
		"upper":        onText(func(s string) string { return mapRunes(s, unicode.ToUpper) }),
		"trimPrefix":   func(prefix string, s any) (string, error) { return trim(strings.TrimPrefix, s, prefix) },
		"trimSuffix":   func(suffix string, s any) (string, error) { return trim(strings.TrimSuffix, s, suffix) },
		"default":      defaultTo,
		"replace":      replace,
		"regexReplace": patterns.replace,
	}
}

// onText makes a template function of one that cannot fail.
func onText(f func(string) string) func(any) (string, error) {
	return func(v any) (string, error) {
		s, err := textOf(v)
		if err != nil {
			return "", err
		}
		return withinName(f(s))
	}
}

// textOf returns v as a template prints it, nothing as nothing.
func textOf(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return withinName(v)
	}
	return withinName(fmt.Sprint(v))
}

// withinName refuses texts that are no name any more, as bounded does.
func withinName(s string) (string, error) {
	if len(s) > maxNameBytes {
		return "", errTooLong
	}
	return s, nil
}

// baseOf leaves nothing as nothing, of which [path.Base] makes a dot.
func baseOf(s string) string {
	if s == "" {
		return ""
	}
	return path.Base(s)
}

// mapRunes leaves bytes that are not UTF-8 as they are. The functions of package
// strings replace them, and names that differ in nothing else would become one.
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

// replace computes the length of the result first, for there may be as many
// matches as bytes, each replaced by as much as a name may hold.
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

// A patternCache holds the expressions that a template has used. It may be used
// by several goroutines.
type patternCache struct {
	mu       sync.Mutex
	compiled map[string]*regexp.Regexp // guarded by mu
}

// compile returns an expression, compiled once as long as there are few.
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
		return nil, fmt.Errorf("regexReplace: a pattern of %d bytes; %d are allowed", len(pattern), maxPattern)
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("regexReplace: pattern %q: %w", pattern, err)
	}
	return re, nil
}

// replace replaces every match of pattern in v. $1 and ${name} stand for what a
// group has matched, $$ for a dollar.
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
	return withinName(re.ReplaceAllString(s, replacement))
}

// replacedBytes returns how long a text of size bytes can become at most, if that
// many matches with so many bytes among them are replaced.
func replacedBytes(size, matches, bytes int, replacement string) int {
	return size + matches*len(replacement) + bytes*strings.Count(replacement, "$")
}

// checkFuncs returns an error if a template below root calls a function with a
// constant that can never do, so that it is found before there are processes.
func checkFuncs(root parse.Node) (err error) {
	walk(root, func(n parse.Node) {
		if command, ok := n.(*parse.CommandNode); ok && err == nil {
			err = checkRegexReplace(command.Args)
		}
	})
	return err
}

func checkRegexReplace(words []parse.Node) error {
	if name, ok := words[0].(*parse.IdentifierNode); !ok || name.Ident != "regexReplace" || len(words) < 2 {
		return nil
	}
	pattern, ok := words[1].(*parse.StringNode)
	if !ok {
		return nil
	}
	re, err := compilePattern(pattern.Text)
	if err != nil || len(words) < 3 {
		return err
	}
	if replacement, ok := words[2].(*parse.StringNode); ok {
		return checkReplacement(re, replacement.Text)
	}
	return nil
}

// references finds what regexp takes for the name or number of a group.
var references = regexp.MustCompile(`\$(\$|[\pL\p{Nd}_]+|\{[\pL\p{Nd}_]+\})`)

// checkReplacement returns an error if replacement names a group that re does not
// have. It would stand for nothing, and does so most often in $1_x, which is not
// ${1}_x.
func checkReplacement(re *regexp.Regexp, replacement string) error {
	for _, found := range references.FindAllStringSubmatch(replacement, -1) {
		group := strings.Trim(found[1], "{}")
		number, err := strconv.Atoi(group)
		switch {
		case group == "$":
		case err == nil && number <= re.NumSubexp():
		case err != nil && slices.Contains(re.SubexpNames(), group):
		default:
			return fmt.Errorf("regexReplace: pattern %q has no group %s; write ${1}_x if that ends in text, and $$ for a dollar", re, group)
		}
	}
	return nil
}
