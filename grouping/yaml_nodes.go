package grouping

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/seed57308aee/process_exporter/grouping/nearest"
)

// maxNodes is about the number of nodes that a file of maxConfigBytes can contain.
// Only aliases of aliases exceed it: a few lines of them expand to any number of nodes.
const maxNodes = maxConfigBytes / 2

// countNodes adds to the number of decoded nodes. It fails above maxNodes.
func (d *decoder) countNodes(at *yaml.Node, nodes int) error {
	if d.nodes += nodes; d.nodes > maxNodes {
		return d.fail(at, nil, "aliases make the file too large; write fewer rules")
	}
	return nil
}

// mapping returns the values of m by key, with aliases and merge keys resolved. It
// warns of keys that are not known.
func (d *decoder) mapping(m *yaml.Node, known []string) (map[string]*yaml.Node, error) {
	values := make(map[string]*yaml.Node)
	return values, d.collect(m, known, values, make(map[*yaml.Node]bool))
}

// collect adds the keys of m that are missing in values: first the own keys of m,
// then those of the mappings that it merges, of which the first has precedence. A
// mapping that is merged again, also into itself, is skipped.
func (d *decoder) collect(m *yaml.Node, known []string, values map[string]*yaml.Node, seen map[*yaml.Node]bool) error {
	if seen[m] {
		return nil
	}
	seen[m] = true
	if err := d.countNodes(m, len(m.Content)); err != nil {
		return err
	}
	own := make(map[string]*yaml.Node)
	var merged []*yaml.Node
	for i := 0; i+1 < len(m.Content); i += 2 {
		at, key, value := m.Content[i], resolveAlias(m.Content[i]), resolveAlias(m.Content[i+1])
		switch {
		case key.Kind != yaml.ScalarNode:
			return d.fail(at, nil, "a key is %s, not text; the keys here are %s", kindOf(key), strings.Join(known, ", "))
		case key.ShortTag() == "!!merge":
			merged = append(merged, value)
			continue
		case own[key.Value] != nil:
			d.warn(at, "key %q is given twice, the last one is used; remove one", key.Value)
		case !slices.Contains(known, key.Value):
			d.unknownKey(at, key.Value, known)
		}
		own[key.Value] = value
	}
	for key, value := range own {
		if values[key] == nil {
			values[key] = value
		}
	}
	for _, n := range merged {
		if err := d.merge(n, known, values, seen); err != nil {
			return err
		}
	}
	return nil
}

// merge collects the keys of the value of a merge key, which is a mapping or a list
// of mappings.
func (d *decoder) merge(n *yaml.Node, known []string, values map[string]*yaml.Node, seen map[*yaml.Node]bool) error {
	sources := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		sources = n.Content
	}
	if err := d.countNodes(n, len(sources)); err != nil {
		return err
	}
	for _, source := range sources {
		m := resolveAlias(source)
		if m.Kind != yaml.MappingNode {
			return d.fail(source, nil, "<< merges %s; give it the alias of a mapping", kindOf(m))
		}
		if err := d.collect(m, known, values, seen); err != nil {
			return err
		}
	}
	return nil
}

// unknownKey warns of a key that is not known, mostly a misspelled one. Keys that
// begin with x- are reserved for the user, as a place for anchors.
func (d *decoder) unknownKey(at *yaml.Node, key string, known []string) {
	if known == nil || strings.HasPrefix(key, "x-") { // without known keys any key is valid
		return
	}
	d.warn(at, "%s", unknownKeyText(key, known))
}

// unknownKeyText returns the message about an unknown key, with the key that is
// most likely meant. "command" can mean two keys.
func unknownKeyText(key string, known []string) string {
	if slices.Contains(known, "cmdline") && nearest.Distance(key[:min(len(key), 16)], "command") <= 2 {
		return fmt.Sprintf("unknown key %q, did you mean comm or cmdline?", key)
	}
	if k, ok := nearest.Nearest(key, known); ok {
		return fmt.Sprintf("unknown key %q, did you mean %q?", key, k)
	}
	return fmt.Sprintf("unknown key %q; the keys here are %s", key, strings.Join(known, ", "))
}

// firstUnknownKey returns the first key of a mapping that is not known, or nil.
func firstUnknownKey(n *yaml.Node, known []string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if key := n.Content[i]; key.Value != "<<" && !strings.HasPrefix(key.Value, "x-") && !slices.Contains(known, key.Value) {
			return key
		}
	}
	return nil
}

// warn adds a warning, once for each place even if several aliases refer to it.
func (d *decoder) warn(at *yaml.Node, format string, args ...any) {
	w := Warning{Path: d.path, Line: max(at.Line, 1), Column: at.Column, Text: shortenedLine(fmt.Sprintf(format, args...))}
	if !d.warned[w] {
		d.warned[w] = true
		d.warnings = append(d.warnings, w)
	}
}

// sortedWarnings returns the warnings in the order of lines.
func (d *decoder) sortedWarnings() []Warning {
	slices.SortStableFunc(d.warnings, func(a, b Warning) int { return cmp.Compare(a.Line, b.Line) })
	return d.warnings
}

// fail returns a [*ConfigError] of the place at.
func (d *decoder) fail(at *yaml.Node, cause error, format string, args ...any) error {
	return &ConfigError{Path: d.path, Line: max(at.Line, 1), Column: at.Column, Text: shortenedLine(fmt.Sprintf(format, args...)), Err: cause}
}

// yamlMessage matches error messages of the YAML library, which reports the line only
// in the message.
var yamlMessage = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?(.*)`)

// yamlParserMessage matches error messages of the parser of the YAML library, which
// count lines from 0. Those of its scanner count from 1.
var yamlParserMessage = regexp.MustCompile(`^did not find expected (?:<|node|'-'|key|',')`)

// syntaxError returns the [*ConfigError] of an error of the YAML library.
func (d *decoder) syntaxError(text []byte, err error) error {
	message := yamlMessage.FindStringSubmatch(shortenedLine(err.Error()))[2]
	line := syntaxLine(text, err)
	remedy := message + "; check indentation and quotes"
	switch {
	case isIndentedWithTab(text, line):
		remedy = "tab character; YAML indents with spaces"
	case strings.Contains(message, "unknown escape character"):
		remedy = message + "; use single quotes, which keep backslashes"
	}
	return &ConfigError{Path: d.path, Line: line, Text: "not valid YAML: " + remedy, Err: err}
}

// isIndentedWithTab reports whether the indentation of a line, counted from 1,
// contains a tab.
func isIndentedWithTab(text []byte, line int) bool {
	for range line - 1 {
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	indentation := text[:len(text)-len(bytes.TrimLeft(text, " \t"))]
	return bytes.IndexByte(indentation, '\t') >= 0
}

// syntaxLine returns the line of an error of the YAML library. Its message has no line
// if the error is in line 1, or if text is not UTF-8.
func syntaxLine(text []byte, err error) int {
	m := yamlMessage.FindStringSubmatch(shortenedLine(err.Error()))
	line, err := strconv.Atoi(m[1])
	if err != nil {
		return firstBadLine(text)
	}
	if yamlParserMessage.MatchString(m[2]) {
		line++
	}
	lines := 1 + bytes.Count(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
	return max(min(line, lines), 1) // the error may be reported behind the end of the file
}

// firstBadLine returns the line of the first byte that is not UTF-8 or of the first
// control character, or 1 if there is none.
func firstBadLine(text []byte) int {
	for line := 1; len(text) > 0; {
		r, size := utf8.DecodeRune(text)
		text = text[size:]
		switch {
		case r == '\n':
			line++
		case r == utf8.RuneError && size == 1, r < ' ' && r != '\t' && r != '\r', r == 0x7f:
			return line
		}
	}
	return 1
}

// resolveAlias returns the node that an alias refers to, or n itself. The parser never
// creates an alias of an alias.
func resolveAlias(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// kindOf describes a node of the wrong kind for error messages.
func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(n):
		return "empty"
	default:
		return "a single text"
	}
}

// plainScalar matches text that YAML does not change without quotes.
var plainScalar = regexp.MustCompile(`^[A-Za-z/][\w./-]*$`)

// quote returns text as a YAML scalar.
func quote(text string) string {
	if plainScalar.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}
