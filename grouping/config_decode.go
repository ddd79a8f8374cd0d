package grouping

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/seed57308aee/process_exporter/grouping/expression"
)

// maxCommBytes is the length to which Linux truncates process names.
const maxCommBytes = 15

// maxRegexpBytes limits a regular expression. The error for an invalid expression of
// one megabyte can take seconds.
const maxRegexpBytes = 1 << 17

// instructionBytes is the approximate memory for an instruction of an expression.
const instructionBytes = 100

// The cost of a configuration is limited. In the worst case each rule is compared with each
// new process.
const (
	maxRules         = 10_000
	maxInstructions  = 200_000 // of all expressions of a file
	slowRules        = 2_000   // above this number a warning is shown
	slowInstructions = 100_000 // above this number a warning is shown
)

// ignoredTemplate is the template of a rule that ignores processes and has no name.
const ignoredTemplate = "(ignored)"

// noRules is the warning about a file without rules.
const noRules = "the file has no rules, so no process is in a group; add rules to process_names"

// A decoder converts the nodes of a YAML file to rules. It does not unmarshal into
// structs, which would lose line numbers and unknown keys.
type decoder struct {
	path         string
	nodes        int                               // number of decoded nodes
	expressions  map[string]*expression.Expression // parsed once each, because aliases can repeat them
	instructions int                               // of all expressions
	warnings     []Warning
	warned       map[Warning]bool
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
		d.warnNoRules(root)
		return nil, nil
	}
	if list.Kind != yaml.SequenceNode {
		return nil, d.fail(list, nil, "process_names is %s, not a list; begin each rule with \"- \"", kindOf(list))
	}
	if len(list.Content) == 0 {
		d.warnNoRules(list)
	}
	var rules []*Rule
	for i, item := range list.Content {
		if i == maxRules {
			return nil, d.fail(item, nil, "the file has %d rules, the maximum is %d; merge rules of one name, or use a template as the name",
				len(list.Content), maxRules)
		}
		r, err := d.rule(item)
		if err != nil {
			return nil, err
		}
		r.Position = len(rules) + 1
		rules = append(rules, r)
	}
	if err := d.checkExpectations(rules); err != nil {
		return nil, err
	}
	if n := len(rules); n > slowRules {
		d.warn(list.Content[slowRules], "the file has %d rules, and each new process is compared with all of them; "+
			"merge rules of one name, or use a template as the name, to have at most %d", n, slowRules)
	}
	if d.instructions > slowInstructions {
		d.warn(list, "the regular expressions of the file have %d instructions, which can use %d MiB of memory; "+
			"shorten repetitions such as {1000}, or replace long lists of alternatives by one pattern",
			d.instructions, d.instructions*instructionBytes>>20)
	}
	d.warnUnreachable(rules)
	return rules, nil
}

// warnNoRules warns about a file without rules, unless another warning says why it has none.
func (d *decoder) warnNoRules(at *yaml.Node) {
	if len(d.warnings) == 0 {
		d.warn(at, noRules)
	}
}

// document returns the root node of the first document, or an empty mapping if the
// document is empty.
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
		d.warn(at, "only the first document of a file is read; move its rules above the ---")
	}
	if len(doc.Content) == 0 || isNull(resolveAlias(doc.Content[0])) {
		return empty, nil
	}
	return resolveAlias(doc.Content[0]), nil
}

// rule decodes an item of process_names.
func (d *decoder) rule(n *yaml.Node) (*Rule, error) {
	if err := d.countNodes(n, 1); err != nil {
		return nil, err
	}
	at := n
	if n = resolveAlias(n); n.Kind != yaml.MappingNode {
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
		negated, err := d.not(not)
		if err != nil {
			return nil, err
		}
		r.selectors = append(r.selectors, &notSelector{negated})
	}
	if unknown := firstUnknownKey(n, keyNames(ruleKeys)); len(r.selectors) == 0 && unknown != nil {
		return nil, d.fail(unknown, nil, "%s", unknownKeyText(unknown.Value, keyNames(ruleKeys)))
	}
	if len(r.selectors) == 0 {
		return nil, d.fail(at, nil, "the rule has no selector; give it comm, exe or cmdline, such as cmdline: ['.+']")
	}
	if r.nameTemplate, r.Template, err = d.name(keys["name"], r); err != nil {
		return nil, err
	}
	r.Name, r.Static = r.nameTemplate.text, r.nameTemplate.static
	err = d.options(at, keys, r)
	if r.Ignore && r.Template == defaultTemplate {
		r.Template = ignoredTemplate
	}
	return r, err
}

// selectors decodes the selectors among the keys of a rule, or below not if negated.
// Each entry of a negated selector excludes processes on its own.
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

// not decodes the value of the key not.
func (d *decoder) not(n *yaml.Node) ([]selector, error) {
	if n.Kind != yaml.MappingNode {
		return nil, d.fail(n, nil, "not is %s, not a mapping; write it as not: {comm: [java]}", kindOf(n))
	}
	keys, err := d.mapping(n, keyNames(selectorKeys))
	if err != nil {
		return nil, err
	}
	negated, err := d.selectors(keys, true)
	if err == nil && len(negated) == 0 {
		return nil, d.fail(n, nil, "not has no selector; give it a selector, such as not: {user: [root]}, or remove it")
	}
	return negated, err
}

// selector decodes one selector.
func (d *decoder) selector(key string, value *yaml.Node, negated bool) (selector, error) {
	items, nodes, err := d.items(key, value)
	if err != nil {
		return nil, err
	}
	for _, kind := range listKinds {
		if kind.name == key {
			return &listSelector{kind, items}, d.checkItems(kind, items, nodes)
		}
	}
	for _, kind := range regexpKinds {
		if kind.name == key {
			sel := &regexpSelector{regexpKind: kind, all: kind.all && !negated}
			for i, expr := range items {
				x, err := d.expression(nodes[i], key, expr)
				if err != nil {
					return nil, err
				}
				if hint := itemHint(key, expr); hint != "" {
					d.warn(nodes[i], "%s %q %s", key, expr, hint)
				}
				sel.expressions = append(sel.expressions, x)
			}
			return sel, nil
		}
	}
	panic("grouping: no selector for key " + key)
}

// checkItems warns about entries that no process can match. It fails for invalid patterns.
func (d *decoder) checkItems(kind *listKind, items []string, nodes []*yaml.Node) error {
	for i, item := range items {
		if hint := itemHint(kind.name, item); hint != "" {
			d.warn(nodes[i], "%s %q %s", kind.name, item, hint)
		}
	}
	switch kind.name {
	case "comm", "ancestor":
		d.checkComm(kind.name, items, nodes)
	case "exe_path", "unit":
		for i, pattern := range items {
			if _, err := path.Match(pattern, ""); err != nil {
				return d.fail(nodes[i], err, "bad %s pattern %q: %v; every [ needs its ], and every \\ a character to escape",
					kind.name, pattern, err)
			}
		}
	case "container":
		for i, item := range items {
			outer, id, _ := cutOuter(item)
			if _, err := path.Match(outer, ""); err != nil {
				return d.fail(nodes[i], err, "bad pattern %q before the slash of container %q: %v", outer, item, err)
			}
			if id != "*" && strings.Trim(strings.ToLower(id), "0123456789abcdef") != "" {
				d.warn(nodes[i], "container %q is not a container ID, which has only hexadecimal digits; write * for all outer containers", id)
			}
		}
	}
	return nil
}

// items returns the strings of a list and their nodes. Numbers and booleans are read
// as they are written. A single string is a list with one item.
func (d *decoder) items(key string, list *yaml.Node) ([]string, []*yaml.Node, error) {
	nodes := list.Content
	switch list.Kind {
	case yaml.SequenceNode:
	case yaml.ScalarNode:
		nodes = []*yaml.Node{list}
	default:
		return nil, nil, d.fail(list, nil, "%s is %s, not a list; write it as a list: %s: [java]", key, kindOf(list), key)
	}
	if err := d.countNodes(list, len(nodes)); err != nil {
		return nil, nil, err
	}
	var texts []string
	for _, item := range nodes {
		text, err := d.text(item, "an item of "+key)
		if err != nil {
			return nil, nil, err
		}
		if isNull(resolveAlias(item)) {
			d.warn(item, "an item of %s is empty, which means the empty string; write '' or remove it", key)
		}
		texts = append(texts, text)
	}
	return texts, nodes, nil
}

// text returns the text of a scalar, "" for null.
func (d *decoder) text(n *yaml.Node, what string) (string, error) {
	at := n
	if n = resolveAlias(n); n.Kind != yaml.ScalarNode {
		return "", d.fail(at, nil, "%s is %s, not text; put it in quotes if it begins with [ or {", what, kindOf(n))
	}
	if isNull(n) {
		return "", nil
	}
	if n.ShortTag() != "!!binary" {
		return n.Value, nil
	}
	var raw string // binary is the only tag that changes the value of the text
	if err := n.Decode(&raw); err != nil {
		return "", d.fail(at, err, "%s is not valid base64; correct it or remove !!binary", what)
	}
	return raw, nil
}

func (d *decoder) expression(n *yaml.Node, key, expr string) (*expression.Expression, error) {
	if x := d.expressions[expr]; x != nil {
		return x, nil
	}
	if len(expr) > maxRegexpBytes {
		return nil, d.fail(n, nil, "bad %s regex: it is longer than %d bytes; write several rules of the same name", key, maxRegexpBytes)
	}
	x, err := expression.Parse(expr)
	if err != nil {
		return nil, d.fail(n, err, "bad %s regex %q: %v%s", key, expr, err, regexpHint(expr))
	}
	if d.instructions += x.Instructions(); d.instructions > maxInstructions {
		return nil, d.fail(n, nil, "the regular expressions of the file up to this %s have %d instructions, the maximum is %d; "+
			"shorten repetitions such as {1000}, or replace long lists of alternatives by one pattern", key, d.instructions, maxInstructions)
	}
	d.expressions[expr] = x
	return x, nil
}

// regexpHint returns the remedy for an invalid regular expression.
func regexpHint(expr string) string {
	for _, lookaround := range []string{"(?=", "(?!", "(?<=", "(?<!"} {
		if strings.Contains(expr, lookaround) {
			return fmt.Sprintf("; the syntax is RE2, which has no lookaround %s; put the exception under not:", lookaround)
		}
	}
	if strings.HasPrefix(expr, "*") {
		return "; it looks like a shell pattern: write .* for any text"
	}
	return "; the syntax is RE2, see https://golang.org/s/re2syntax"
}

// name decodes the name template of a rule, whose selectors are already decoded. It
// returns the template and its text.
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
	if err == nil && slices.Contains(ReservedNames, text) {
		err = d.fail(n, nil, "the name %s is reserved for processes above a group limit; choose another", text)
	}
	return t, text, err
}

// template decodes the template of a name or a label.
func (d *decoder) template(n *yaml.Node, what, text string, r *Rule) (*nameTemplate, error) {
	t, err := parseTemplate(text)
	if err != nil {
		return nil, d.fail(n, err, "bad %s template %q: %v; the syntax is that of Go's text/template", what, text, err)
	}
	if problem := t.check(r); problem != "" {
		d.warn(n, "%s template %q %s", what, text, problem)
	}
	return t, nil
}

// checkComm warns about names that are too long for a process. Kernel threads can have
// longer names, so it accepts a long name if the list also has its truncated form.
func (d *decoder) checkComm(key string, names []string, nodes []*yaml.Node) {
	listed := make(map[string]bool, len(names))
	for _, name := range names {
		listed[name] = true
	}
	for i, name := range names {
		if len(name) <= maxCommBytes || strings.Contains(name, "/") || listed[name[:maxCommBytes]] {
			continue
		}
		d.warn(nodes[i], "%s %q is longer than %d bytes, to which Linux truncates process names; write %s",
			key, name, maxCommBytes, quote(name[:maxCommBytes]))
	}
}
