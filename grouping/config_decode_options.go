package grouping

import (
	"cmp"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/seed57308aee/process_exporter/platform/sockets"
)

// maxTop limits the processes of a group that are exported individually. Each has two
// series, and many of them are new at every scrape.
const maxTop = 100

// maxLabels limits the labels of one rule.
const maxLabels = 16

// options decodes the keys of a rule other than its selectors and its name.
func (d *decoder) options(at *yaml.Node, keys map[string]*yaml.Node, r *Rule) (err error) {
	if r.children, err = d.override("children", keys["children"]); err != nil {
		return err
	}
	if err := d.collectors(keys, r); err != nil {
		return err
	}
	ignore, err := d.override("ignore", keys["ignore"])
	if err != nil {
		return err
	}
	r.Ignore = ignore == overrideTrue
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
	for _, l := range r.labels {
		if r.Expect != nil && !r.Ignore && !l.value.static {
			return d.fail(keys["expect"], nil, "expect requires fixed labels; give the label %s a value without {{ }}, or remove expect", l.name)
		}
	}
	if r.Ignore {
		d.warnIgnored(at, keys)
	}
	return nil
}

// warnIgnored warns about keys that have no effect in a rule with ignore: true.
func (d *decoder) warnIgnored(at *yaml.Node, keys map[string]*yaml.Node) {
	for _, key := range []string{"name", "children", "collectors", "threads", "smaps", "expect", "labels", "max_groups", "top"} {
		if keys[key] != nil {
			d.warn(at, "%s has no effect in a rule with ignore: true; remove one of the two", key)
		}
	}
}

func isSet(n *yaml.Node) bool { return n != nil && !isNull(n) }

// override decodes a boolean; null is no override.
func (d *decoder) override(key string, n *yaml.Node) (override, error) {
	if !isSet(n) {
		return overrideNone, nil
	}
	text, err := d.text(n, key)
	if err != nil {
		return overrideNone, err
	}
	switch text {
	case "true", "True", "TRUE":
		return overrideTrue, nil
	case "false", "False", "FALSE":
		return overrideFalse, nil
	}
	return overrideNone, d.fail(n, nil, "%s is %q; write true or false", key, text)
}

// collectors decodes the collectors that a rule enables or disables: the mapping
// collectors, and the keys threads and smaps, which are older.
func (d *decoder) collectors(keys map[string]*yaml.Node, r *Rule) error {
	set := func(c CollectorSet, name string, n *yaml.Node) error {
		switch o, err := d.override(name, n); {
		case err != nil:
			return err
		case o != overrideNone && (r.enabled | r.disabled).Has(c):
			return d.fail(n, nil, "%s is also set under collectors; remove one of the two", name)
		case o == overrideTrue:
			r.enabled |= c
		case o == overrideFalse:
			r.disabled |= c
		}
		return nil
	}
	if n := keys["collectors"]; isSet(n) {
		if n.Kind != yaml.MappingNode {
			return d.fail(n, nil, "collectors is %s, not a mapping; write it as collectors: {threads: false}", kindOf(n))
		}
		switches, err := d.mapping(n, AllCollectors.Names())
		if err != nil {
			return err
		}
		if isSet(switches["rules"]) {
			d.warn(switches["rules"], "rules has no effect in a rule; use the flag --no-collector.rules")
		}
		for i, c := range CollectorTable {
			if err := set(1<<i, c.Name, switches[c.Name]); err != nil {
				return err
			}
		}
	}
	if err := set(CollectorThreads, "threads", keys["threads"]); err != nil {
		return err
	}
	return set(CollectorSmaps, "smaps", keys["smaps"])
}

// number decodes a number; null is 0.
func (d *decoder) number(key string, n *yaml.Node, low, high int) (int, error) {
	if !isSet(n) {
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

// expect decodes the expected number of processes and the expected ports. A missing min is 0
// and a missing max is no maximum, but min, max or listen must be set.
func (d *decoder) expect(n *yaml.Node, r *Rule) error {
	if !isSet(n) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return d.fail(n, nil, "expect is %s, not a mapping; write it as expect: {min: 1}", kindOf(n))
	}
	if !r.Static && !r.Ignore {
		return d.fail(n, nil, "expect requires a fixed group name; give the rule a name without {{ }}")
	}
	keys, err := d.mapping(n, keyNames(expectKeys))
	if err != nil {
		return err
	}
	if !isSet(keys["min"]) && !isSet(keys["max"]) && !isSet(keys["listen"]) {
		return d.fail(n, nil, "expect is empty; set min, max or listen, as in expect: {min: 1}")
	}
	e := &Expect{Max: -1}
	if e.Min, err = d.number("min", keys["min"], 0, math.MaxInt32); err != nil {
		return err
	}
	if isSet(keys["max"]) {
		if e.Max, err = d.number("max", keys["max"], 0, math.MaxInt32); err != nil {
			return err
		}
	}
	if e.Max >= 0 && e.Min > e.Max {
		return d.fail(n, nil, "expect has a min of %d above its max of %d; exchange them", e.Min, e.Max)
	}
	if e.Listen, err = d.ports(keys["listen"]); err != nil {
		return err
	}
	r.Expect = e
	return nil
}

// maxExpectedPorts limits the ports that a rule expects. Each is a series.
const maxExpectedPorts = 100

// ports decodes a list of ports, or one port: a number, tcp/NUMBER or udp/NUMBER.
func (d *decoder) ports(n *yaml.Node) (ports []Port, err error) {
	if !isSet(n) {
		return nil, nil
	}
	items, nodes, err := d.items("listen", n)
	if err != nil {
		return nil, err
	}
	for i, text := range items {
		number, port := text, Port{Protocol: sockets.TCP}
		if udp, ok := strings.CutPrefix(text, "udp/"); ok {
			number, port.Protocol = udp, sockets.UDP
		} else if tcp, ok := strings.CutPrefix(text, "tcp/"); ok {
			number = tcp
		}
		v, err := strconv.ParseUint(number, 10, 16)
		if err != nil || v == 0 {
			return nil, d.fail(nodes[i], nil, "listen contains %q; write a port from 1 to 65535, tcp/PORT or udp/PORT", text)
		}
		port.Number = uint16(v)
		ports = append(ports, port)
	}
	if len(ports) > maxExpectedPorts {
		return nil, d.fail(n, nil, "listen has %d ports; remove some, the maximum is %d", len(ports), maxExpectedPorts)
	}
	slices.SortFunc(ports, func(a, b Port) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Number, b.Number))
	})
	return slices.Compact(ports), nil
}

// checkExpectations checks that rules of one group do not set different bounds or ports. They
// can repeat the same ones, or omit expect.
func (d *decoder) checkExpectations(rules []*Rule) error {
	first := make(map[string]*Rule) // by group, the first rule with expect
	for _, r := range rules {
		if r.Expect == nil || r.Ignore {
			continue
		}
		key := r.Name
		for _, l := range r.labels {
			if l.value.text != "" { // an empty label is the same as none
				key += "\xff" + l.name + "\xff" + l.value.text
			}
		}
		switch same := first[key]; {
		case same == nil:
			first[key] = r
		case !same.Expect.equal(r.Expect):
			return d.fail(&yaml.Node{Line: r.Line, Column: r.Column}, nil,
				"expect differs from that of the rule in line %d, which has the same group %q; set expect in one of them, or rename one",
				same.Line, r.Name)
		}
	}
	return nil
}

// labelName matches the label names that every version of Prometheus accepts.
var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// labels decodes the labels of a rule.
func (d *decoder) labels(n *yaml.Node, r *Rule) error {
	if !isSet(n) {
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
		return d.fail(n, nil, "the rule has %d labels; remove some, the maximum is %d", len(keys), maxLabels)
	}
	for name, value := range keys {
		switch {
		case !labelName.MatchString(name) || strings.HasPrefix(name, "__"):
			return d.fail(value, nil, "%q is not a valid label name; use letters, digits and underscores, and begin with neither a digit nor __",
				name)
		case slices.Contains(ReservedLabels, name):
			return d.fail(value, nil, "the label %s is reserved; choose another name", name)
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
