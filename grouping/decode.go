package grouping

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxCommBytes is what Linux keeps of the name of a program.
const maxCommBytes = 15

// maxExpression is how many bytes a regular expression may have. One of a megabyte
// can take seconds to be found bad.
const maxExpression = 1 << 17

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
func (d *decoder) decode(text []byte) ([]*Rule, error) {
	root, err := d.document(text)
	if err != nil {
		return nil, err
	}
	if root.Kind != yaml.MappingNode {
		return nil, d.fail(root, nil, "the file is %s, not a mapping; begin it with process_names:", kindOf(root))
	}
	keys, err := d.mapping(root, keyNames(fileKeys))
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
	var rules []*Rule
	for _, item := range list.Content {
		r, err := d.rule(item)
		if err != nil {
			return nil, err
		}
		r.Position = len(rules) + 1
		rules = append(rules, r)
	}
	d.warnUnreachable(rules)
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
		at := &next
		if err != nil {
			at = &yaml.Node{Line: syntaxLine(text, err)}
		}
		d.warn(at, "only the first document of a file counts; move its rules above the ---")
	}
	if len(doc.Content) == 0 || isNull(follow(doc.Content[0])) {
		return empty, nil
	}
	return follow(doc.Content[0]), nil
}

// rule decodes an item of process_names.
func (d *decoder) rule(n *yaml.Node) (*Rule, error) {
	if err := d.spend(n, 1); err != nil {
		return nil, err
	}
	at := n
	if n = follow(n); n.Kind != yaml.MappingNode {
		return nil, d.fail(at, nil, "a rule is %s, not a mapping; write it as \"- comm: [java]\"", kindOf(n))
	}
	keys, err := d.mapping(n, keyNames(ruleKeys))
	if err != nil {
		return nil, err
	}
	r := &Rule{Line: at.Line, Column: at.Column}
	if r.selectors, err = d.selectors(keys, false); err != nil {
		return nil, err
	}
	if not := keys["not"]; not != nil && !isNull(not) {
		of, err := d.refused(not)
		if err != nil {
			return nil, err
		}
		r.selectors = append(r.selectors, &refusal{of})
	}
	if len(r.selectors) == 0 {
		return nil, d.fail(at, nil, "the rule selects by nothing; give it comm, exe or cmdline, such as cmdline: ['.+']")
	}
	if r.name, r.Template, err = d.name(keys["name"], r); err != nil {
		return nil, err
	}
	r.Name, r.Static = r.name.text, r.name.static
	return r, d.options(at, keys, r)
}

// selectors decodes the conditions among the keys of a rule. One that is
// negated refuses by each of its entries.
func (d *decoder) selectors(keys map[string]*yaml.Node, negated bool) ([]selector, error) {
	var out []selector
	for _, key := range keyNames(selectorKeys) {
		value := keys[key]
		if value == nil || isNull(value) {
			continue
		}
		sel, err := d.selector(key, value, negated)
		if err != nil {
			return nil, err
		}
		out = append(out, sel)
	}
	return out, nil
}

// refused decodes what stands under not.
func (d *decoder) refused(n *yaml.Node) ([]selector, error) {
	if n.Kind != yaml.MappingNode {
		return nil, d.fail(n, nil, "not is %s, not a mapping; write it as not: {comm: [java]}", kindOf(n))
	}
	keys, err := d.mapping(n, keyNames(selectorKeys))
	if err != nil {
		return nil, err
	}
	of, err := d.selectors(keys, true)
	if err == nil && len(of) == 0 {
		return nil, d.fail(n, nil, "not refuses nothing; give it a selector, such as not: {user: [root]}, or remove it")
	}
	return of, err
}

// selector decodes one condition.
func (d *decoder) selector(key string, value *yaml.Node, negated bool) (selector, error) {
	items, nodes, err := d.items(key, value)
	if err != nil {
		return nil, err
	}
	for _, kind := range listKinds {
		if kind.name == key {
			return &list{kind, items}, d.checkItems(kind, items, nodes)
		}
	}
	for _, kind := range expressionKinds {
		if kind.name == key {
			sel := &expressions{expressionKind: kind, all: kind.all && !negated}
			for i, expr := range items {
				re, err := d.regexp(nodes[i], key, expr)
				if err != nil {
					return nil, err
				}
				sel.res = append(sel.res, re)
			}
			sel.anything = allAnything(sel)
			return sel, nil
		}
	}
	panic("grouping: no selector of key " + key)
}

// checkItems finds fault with what no process can have.
func (d *decoder) checkItems(kind *listKind, items []string, nodes []*yaml.Node) error {
	switch kind.name {
	case "comm", "ancestor":
		d.checkComm(kind.name, items, nodes)
	case "exe_path", "unit":
		for i, pattern := range items {
			if _, err := path.Match(pattern, ""); err != nil {
				return d.fail(nodes[i], err, "bad %s pattern %q: %v; a [ needs its ], and \\ takes the meaning from what follows", kind.name, pattern, err)
			}
		}
	case "container":
		for i, id := range items {
			if id != "*" && strings.Trim(strings.ToLower(id), "0123456789abcdef") != "" {
				d.warn(nodes[i], "container %q is no part of an id, which has hexadecimal digits only; write * for any container", id)
			}
		}
	}
	return nil
}

// items returns the texts of a list, and where they stand. Numbers and truth
// values are the text that stands there; one text is a list of one.
func (d *decoder) items(key string, list *yaml.Node) ([]string, []*yaml.Node, error) {
	nodes := list.Content
	switch list.Kind {
	case yaml.SequenceNode:
	case yaml.ScalarNode:
		nodes = []*yaml.Node{list}
	default:
		return nil, nil, d.fail(list, nil, "%s is %s, not a list; write it as a list: %s: [java]", key, kindOf(list), key)
	}
	if err := d.spend(list, len(nodes)); err != nil {
		return nil, nil, err
	}
	var texts []string
	for _, item := range nodes {
		text, err := d.text(item, "an item of "+key)
		if err != nil {
			return nil, nil, err
		}
		if isNull(follow(item)) {
			d.warn(item, "an item of %s is empty, which counts as the empty text; write '' or remove it", key)
		}
		texts = append(texts, text)
	}
	return texts, nodes, nil
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

func (d *decoder) regexp(n *yaml.Node, key, expr string) (*regexp.Regexp, error) {
	if re := d.regexps[expr]; re != nil {
		return re, nil
	}
	if len(expr) > maxExpression {
		return nil, d.fail(n, nil, "bad %s regex: it has more than %d bytes; write several rules of the same name", key, maxExpression)
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, d.fail(n, err, "bad %s regex %q: %v%s", key, expr, err, regexpHint(expr))
	}
	d.regexps[expr] = re
	return re, nil
}

// regexpHint says what to do about a regular expression that other languages
// accept.
func regexpHint(expr string) string {
	for _, look := range []string{"(?=", "(?!", "(?<=", "(?<!"} {
		if strings.Contains(expr, look) {
			return fmt.Sprintf("; the syntax is RE2, which has no lookaround %s; put the exception under not:", look)
		}
	}
	return "; the syntax is RE2, see https://golang.org/s/re2syntax"
}

// name decodes the template of a rule whose selectors are known, and returns it
// with its text.
func (d *decoder) name(n *yaml.Node, r *Rule) (*nameTemplate, string, error) {
	text := ""
	if n != nil {
		var err error
		if text, err = d.text(n, "name"); err != nil {
			return nil, "", err
		}
	}
	if text == "" {
		t, err := parseTemplate(defaultTemplate)
		return t, defaultTemplate, err
	}
	t, err := d.template(n, "name", text, r)
	if err == nil && slices.Contains(Reserved, text) {
		err = d.fail(n, nil, "the name %s is taken by what finds no room in another group; choose another", text)
	}
	return t, text, err
}

// template decodes what makes a name or a label.
func (d *decoder) template(n *yaml.Node, what, text string, r *Rule) (*nameTemplate, error) {
	t, err := parseTemplate(text)
	if err != nil {
		return nil, d.fail(n, err, "bad %s template %q: %v; the syntax is that of Go's text/template", what, text, err)
	}
	if trouble := t.rehearse(r); trouble != "" {
		d.warn(n, "%s template %q %s", what, text, trouble)
	}
	return t, nil
}

// checkComm warns of names that no program can have. Kernel threads can, so
// that a name stays unquestioned where its short form stands beside it.
func (d *decoder) checkComm(key string, names []string, nodes []*yaml.Node) {
	short := make(map[string]bool, len(names))
	for _, name := range names {
		short[name] = true
	}
	for i, name := range names {
		if len(name) <= maxCommBytes || strings.Contains(name, "/") || short[name[:maxCommBytes]] {
			continue
		}
		d.warn(nodes[i], "%s %q has more than the %d bytes that Linux keeps of a name; write %s",
			key, name, maxCommBytes, quote(name[:maxCommBytes]))
	}
}
