package grouping

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxTop bounds how many processes of a group are told one by one. Each costs
// two series, of which many are new at every scrape.
const maxTop = 100

// maxLabels bounds the labels of one rule.
const maxLabels = 16

// options decodes what a rule says beside its selectors and its name.
func (d *decoder) options(at *yaml.Node, keys map[string]*yaml.Node, r *Rule) (err error) {
	for key, dst := range map[string]*choice{"children": &r.children, "threads": &r.threads, "smaps": &r.smaps} {
		if *dst, err = d.choice(key, keys[key]); err != nil {
			return err
		}
	}
	ignore, err := d.choice("ignore", keys["ignore"])
	if err != nil {
		return err
	}
	r.Ignore = ignore == yes
	if r.MaxGroups, err = d.number("max_groups", keys["max_groups"], 1, math.MaxInt32); err != nil {
		return err
	}
	if r.Top, err = d.number("top", keys["top"], 0, maxTop); err != nil {
		return err
	}
	if err := d.expect(keys["expect"], r); err != nil {
		return err
	}
	if err := d.labels(keys["labels"], r); err != nil {
		return err
	}
	if r.Ignore {
		d.idle(at, keys)
	}
	return nil
}

// idle warns of keys that do nothing in a rule that makes no group.
func (d *decoder) idle(at *yaml.Node, keys map[string]*yaml.Node) {
	for _, key := range []string{"name", "children", "threads", "smaps", "expect", "labels", "max_groups", "top"} {
		if keys[key] != nil {
			d.warn(at, "the rule ignores its processes, so that its %s does nothing; remove one of the two", key)
		}
	}
}

func given(n *yaml.Node) bool { return n != nil && !isNull(n) }

// choice decodes a switch.
func (d *decoder) choice(key string, n *yaml.Node) (choice, error) {
	if !given(n) {
		return unset, nil
	}
	text, err := d.text(n, key)
	if err != nil {
		return unset, err
	}
	switch text {
	case "true", "True", "TRUE":
		return yes, nil
	case "false", "False", "FALSE":
		return no, nil
	}
	return unset, d.fail(n, nil, "%s is %q; write true or false", key, text)
}

// number decodes a number; that of null is 0.
func (d *decoder) number(key string, n *yaml.Node, low, high int) (int, error) {
	if !given(n) {
		return 0, nil
	}
	text, err := d.text(n, key)
	if err != nil {
		return 0, err
	}
	v, err := strconv.Atoi(text)
	if err != nil || v < low || v > high {
		return 0, d.fail(n, nil, "%s is %q; write a number from %d to %d", key, text, low, high)
	}
	return v, nil
}

// expect decodes how many processes there should be.
func (d *decoder) expect(n *yaml.Node, r *Rule) error {
	if !given(n) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return d.fail(n, nil, "expect is %s, not a mapping; write it as expect: {min: 1}", kindOf(n))
	}
	if !r.Static && !r.Ignore {
		return d.fail(n, nil, "expect needs a group that is known before its processes are: give the rule a name without {{ }}")
	}
	keys, err := d.mapping(n, keyNames(expectKeys))
	if err != nil {
		return err
	}
	e := &Expect{Min: 1, Max: -1}
	if given(keys["max"]) {
		if e.Max, err = d.number("max", keys["max"], 0, math.MaxInt32); err != nil {
			return err
		}
		e.Min = min(e.Min, e.Max)
	}
	if given(keys["min"]) {
		if e.Min, err = d.number("min", keys["min"], 0, math.MaxInt32); err != nil {
			return err
		}
	}
	if e.Max >= 0 && e.Min > e.Max {
		return d.fail(n, nil, "expect has a min of %d above its max of %d; exchange them", e.Min, e.Max)
	}
	r.Expect = e
	return nil
}

// labelName is what Prometheus accepts everywhere.
var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// labels decodes the labels that groups of a rule have beside their name.
func (d *decoder) labels(n *yaml.Node, r *Rule) error {
	if !given(n) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return d.fail(n, nil, "labels is %s, not a mapping; write it as labels: {user: \"{{.Username}}\"}", kindOf(n))
	}
	keys, err := d.mapping(n, nil)
	if err != nil {
		return err
	}
	if len(keys) > maxLabels {
		return d.fail(n, nil, "a rule has %d labels, of which %d are too many; remove some", len(keys), len(keys)-maxLabels)
	}
	for name, value := range keys {
		switch {
		case !labelName.MatchString(name) || strings.HasPrefix(name, "__"):
			return d.fail(value, nil, "%q is no name of a label; write letters, digits and single underscores, the first no digit", name)
		case slices.Contains(ReservedLabels, name):
			return d.fail(value, nil, "the label %s has a meaning already; choose another name", name)
		}
		text, err := d.text(value, "label "+name)
		if err != nil {
			return err
		}
		t, err := d.template(value, "label", text, r)
		if err != nil {
			return err
		}
		r.labels = append(r.labels, labelTemplate{name: name, value: t})
	}
	slices.SortFunc(r.labels, func(a, b labelTemplate) int { return strings.Compare(a.name, b.name) })
	return nil
}
