package grouping

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The keys that exist, in the order in which messages list them.
var (
	fileKeys = []string{"process_names"}
	ruleKeys = []string{"name", "comm", "exe", "cmdline"}
)

// maxCommBytes is what Linux keeps of the name of a program.
const maxCommBytes = 15

// A decoder turns the nodes of a YAML file into rules. It does not let the
// library fill structs, for that forgets lines and what was not asked for.
type decoder struct {
	path     string
	nodes    int                       // looked at so far
	regexps  map[string]*regexp.Regexp // by text: aliases repeat what is costly to compile
	warnings []Warning
	warned   map[Warning]bool
}

// decode returns the rules of the first document in text.
func (d *decoder) decode(text []byte) ([]rule, error) {
	root, err := d.document(text)
	if err != nil {
		return nil, err
	}
	if root.Kind != yaml.MappingNode {
		return nil, d.fail(root, nil, "the file is %s, not a mapping; begin it with process_names:", kindOf(root))
	}
	keys, err := d.mapping(root, fileKeys)
	if err != nil {
		return nil, err
	}
	list := keys["process_names"]
	if list == nil || isNull(list) {
		return nil, nil
	}
	if list.Kind != yaml.SequenceNode {
		return nil, d.fail(list, nil, "process_names is %s, not a list; begin each rule with \"- \"", kindOf(list))
	}
	var rules []rule
	for _, item := range list.Content {
		r, err := d.rule(item)
		if err != nil {
			return nil, err
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// document returns the top node of the first document: an empty mapping if
// there is nothing in it.
func (d *decoder) document(text []byte) (*yaml.Node, error) {
	empty := &yaml.Node{Kind: yaml.MappingNode}
	var doc, next yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(text))
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return empty, nil
	case err != nil:
		return nil, d.syntaxError(text, err)
	}
	if err := dec.Decode(&next); !errors.Is(err, io.EOF) {
		line := next.Line
		if err != nil {
			line = syntaxLine(text, err)
		}
		d.warn(line, "only the first document of a file counts; move its rules above the ---")
	}
	if len(doc.Content) == 0 || isNull(follow(doc.Content[0])) {
		return empty, nil
	}
	return follow(doc.Content[0]), nil
}

// rule decodes an item of process_names.
func (d *decoder) rule(n *yaml.Node) (rule, error) {
	if err := d.spend(n, 1); err != nil {
		return rule{}, err
	}
	at := n
	if n = follow(n); n.Kind != yaml.MappingNode {
		return rule{}, d.fail(at, nil, "a rule is %s, not a mapping; write it as \"- comm: [java]\"", kindOf(n))
	}
	keys, err := d.mapping(n, ruleKeys)
	if err != nil {
		return rule{}, err
	}
	var r rule
	for _, key := range ruleKeys[1:] {
		value := keys[key]
		if value == nil || isNull(value) {
			continue
		}
		sel, err := d.selector(key, value)
		if err != nil {
			return rule{}, err
		}
		r.selectors = append(r.selectors, sel)
	}
	if len(r.selectors) == 0 {
		return rule{}, d.fail(at, nil, "the rule selects by nothing; give it comm, exe or cmdline, such as cmdline: ['.+']")
	}
	r.name, err = d.name(keys["name"], &r)
	return r, err
}

// selector decodes the list of one condition.
func (d *decoder) selector(key string, list *yaml.Node) (selector, error) {
	items, err := d.items(key, list)
	if err != nil {
		return nil, err
	}
	switch key {
	case "comm":
		d.checkComm(list, items)
		return commSelector(items), nil
	case "exe":
		return exeSelector(items), nil
	}
	var sel cmdlineSelector
	for i, expr := range items {
		re, err := d.regexp(list.Content[i], expr)
		if err != nil {
			return nil, err
		}
		sel = append(sel, re)
	}
	return sel, nil
}

// items returns the texts of a list. Numbers and truth values are the text that
// stands there.
func (d *decoder) items(key string, list *yaml.Node) ([]string, error) {
	switch list.Kind {
	case yaml.SequenceNode:
	case yaml.ScalarNode:
		return nil, d.fail(list, nil, "%s is a single text, not a list; write it as a list: %s: [%s]", key, key, quote(list.Value))
	default:
		return nil, d.fail(list, nil, "%s is %s, not a list; write it as a list: %s: [java]", key, kindOf(list), key)
	}
	if err := d.spend(list, len(list.Content)); err != nil {
		return nil, err
	}
	var texts []string
	for _, item := range list.Content {
		text, err := d.text(item, "an item of "+key)
		if err != nil {
			return nil, err
		}
		if isNull(follow(item)) {
			d.warn(item.Line, "an item of %s is empty, which counts as the empty text; write '' or remove it", key)
		}
		texts = append(texts, text)
	}
	return texts, nil
}

// text returns the text of a scalar; that of null is empty.
func (d *decoder) text(n *yaml.Node, what string) (string, error) {
	at := n
	if n = follow(n); n.Kind != yaml.ScalarNode {
		return "", d.fail(at, nil, "%s is %s, not a text; put text in quotes if it begins with [ or {", what, kindOf(n))
	}
	if isNull(n) {
		return "", nil
	}
	if n.ShortTag() != "!!binary" {
		return n.Value, nil
	}
	var raw string // the one tag that changes what is written there
	if err := n.Decode(&raw); err != nil {
		return "", d.fail(at, err, "%s is no base64; correct it or remove !!binary", what)
	}
	return raw, nil
}

func (d *decoder) regexp(n *yaml.Node, expr string) (*regexp.Regexp, error) {
	if re := d.regexps[expr]; re != nil {
		return re, nil
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, d.fail(n, err, "bad cmdline regex %q: %v%s", expr, err, regexpHint(expr))
	}
	d.regexps[expr] = re
	return re, nil
}

// regexpHint says what to do about a regular expression that other languages
// accept.
func regexpHint(expr string) string {
	for _, look := range []string{"(?=", "(?!", "(?<=", "(?<!"} {
		if strings.Contains(expr, look) {
			return fmt.Sprintf("; the syntax is RE2, which has no lookaround %s; put a rule for the exception first", look)
		}
	}
	return "; the syntax is RE2, see https://golang.org/s/re2syntax"
}

// name decodes the template of a rule whose selectors are known.
func (d *decoder) name(n *yaml.Node, r *rule) (*nameTemplate, error) {
	text := ""
	if n != nil {
		var err error
		if text, err = d.text(n, "name"); err != nil {
			return nil, err
		}
	}
	if text == "" {
		return parseTemplate(defaultTemplate)
	}
	t, err := parseTemplate(text)
	if err != nil {
		return nil, d.fail(n, err, "bad name template %q: %v; the syntax is that of Go's text/template", text, err)
	}
	if trouble := t.rehearse(r); trouble != "" {
		d.warn(n.Line, "name template %q %s", text, trouble)
	}
	return t, nil
}

// checkComm warns of names that no program can have. Kernel threads can, so
// that a name stays unquestioned where its short form stands beside it.
func (d *decoder) checkComm(list *yaml.Node, names []string) {
	short := make(map[string]bool, len(names))
	for _, name := range names {
		short[name] = true
	}
	for i, name := range names {
		if len(name) <= maxCommBytes || strings.Contains(name, "/") || short[name[:maxCommBytes]] {
			continue
		}
		d.warn(list.Content[i].Line, "comm %q has more than the %d bytes that Linux keeps of a name; write %s",
			name, maxCommBytes, quote(name[:maxCommBytes]))
	}
}
