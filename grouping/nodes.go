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

// maxNodes is about what a file of maxConfigBytes can hold. Only aliases of aliases
// get further, which a few lines can make as many as they like.
const maxNodes = maxConfigBytes / 2

// spend counts nodes that are about to be looked at.
func (d *decoder) spend(at *yaml.Node, nodes int) error {
	if d.nodes += nodes; d.nodes > maxNodes {
		return d.fail(at, nil, "aliases make the file too large; write fewer rules")
	}
	return nil
}

// mapping returns the values of m by key, with aliases and merge keys resolved,
// and warns of keys that nothing reads.
func (d *decoder) mapping(m *yaml.Node, known []string) (map[string]*yaml.Node, error) {
	values := make(map[string]*yaml.Node)
	return values, d.collect(m, known, values, make(map[*yaml.Node]bool))
}

// collect adds to values what m has and values lack: m's own keys go before
// those it merges, of which the first one counts. A mapping merged again, if
// need be into itself, has nothing to add.
func (d *decoder) collect(m *yaml.Node, known []string, values map[string]*yaml.Node, seen map[*yaml.Node]bool) error {
	if seen[m] {
		return nil
	}
	seen[m] = true
	if err := d.spend(m, len(m.Content)); err != nil {
		return err
	}
	own := make(map[string]*yaml.Node)
	var merged []*yaml.Node
	for i := 0; i+1 < len(m.Content); i += 2 {
		at, key, value := m.Content[i], follow(m.Content[i]), follow(m.Content[i+1])
		switch {
		case key.Kind != yaml.ScalarNode:
			return d.fail(at, nil, "a key is %s, not a text; the keys here are %s", kindOf(key), strings.Join(known, ", "))
		case key.ShortTag() == "!!merge":
			merged = append(merged, value)
			continue
		case own[key.Value] != nil:
			d.warn(at, "key %q is given twice, and the last one counts; remove one", key.Value)
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

// merge collects the value of a merge key: a mapping or a list of mappings.
func (d *decoder) merge(n *yaml.Node, known []string, values map[string]*yaml.Node, seen map[*yaml.Node]bool) error {
	sources := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		sources = n.Content
	}
	if err := d.spend(n, len(sources)); err != nil {
		return err
	}
	for _, source := range sources {
		m := follow(source)
		if m.Kind != yaml.MappingNode {
			return d.fail(source, nil, "<< merges %s; give it the alias of a mapping", kindOf(m))
		}
		if err := d.collect(m, known, values, seen); err != nil {
			return err
		}
	}
	return nil
}

// unknownKey warns of a key that nothing reads, most often a misspelled one.
// Those that begin with x- belong to the user, as a place for anchors.
func (d *decoder) unknownKey(at *yaml.Node, key string, known []string) {
	if known == nil { // any key will do
		return
	}
	if strings.HasPrefix(key, "x-") {
		return
	}
	if k, ok := nearest.Nearest(key, known); ok {
		d.warn(at, "unknown key %q, did you mean %q?", key, k)
		return
	}
	d.warn(at, "unknown key %q; the keys here are %s", key, strings.Join(known, ", "))
}

// warn records a warning, once even if an alias leads to its place again.
func (d *decoder) warn(at *yaml.Node, format string, args ...any) {
	w := Warning{Path: d.path, Line: max(at.Line, 1), Column: at.Column, Text: oneLine(fmt.Sprintf(format, args...))}
	if !d.warned[w] {
		d.warned[w] = true
		d.warnings = append(d.warnings, w)
	}
}

func (d *decoder) sortedWarnings() []Warning {
	slices.SortStableFunc(d.warnings, func(a, b Warning) int { return cmp.Compare(a.Line, b.Line) })
	return d.warnings
}

func (d *decoder) fail(at *yaml.Node, cause error, format string, args ...any) error {
	return &ConfigError{Path: d.path, Line: max(at.Line, 1), Column: at.Column, Text: oneLine(fmt.Sprintf(format, args...)), Err: cause}
}

// yamlMessage is how the messages of the YAML library are made: it has no other
// way to tell the line.
var yamlMessage = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?(.*)`)

// yamlParser is how messages begin that come from the parser in the library,
// not from its scanner. Those count lines from 0.
var yamlParser = regexp.MustCompile(`^did not find expected (?:<|node|'-'|key|',')`)

func (d *decoder) syntaxError(text []byte, err error) error {
	what := yamlMessage.FindStringSubmatch(oneLine(err.Error()))[2]
	return &ConfigError{
		Path: d.path,
		Line: syntaxLine(text, err),
		Text: "not valid YAML: " + what + "; check indentation and quotes",
		Err:  err,
	}
}

// syntaxLine returns the line of a complaint of the YAML library. It tells none
// of the first line, nor of bytes that are no text.
func syntaxLine(text []byte, err error) int {
	m := yamlMessage.FindStringSubmatch(oneLine(err.Error()))
	line, err := strconv.Atoi(m[1])
	if err != nil {
		return firstBadLine(text)
	}
	if yamlParser.MatchString(m[2]) {
		line++
	}
	lines := 1 + bytes.Count(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
	return max(min(line, lines), 1) // it may stumble over the end of the file
}

// firstBadLine returns the line of the first byte that is no part of UTF-8, or
// of the first control character, else 1.
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

// follow returns what an alias stands for. The parser makes no alias of an
// alias.
func follow(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// kindOf names what stands in the wrong place.
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

// plain is text that means itself in YAML even without quotes.
var plain = regexp.MustCompile(`^[A-Za-z/][\w./-]*$`)

// quote returns text as one would write it in the file.
func quote(text string) string {
	if plain.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}
