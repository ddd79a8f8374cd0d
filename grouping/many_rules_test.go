package grouping

import (
	"fmt"
	"strings"
	"testing"
)

// manyRules returns a configuration with count rules, each with a regular expression.
func manyRules(count int) []byte {
	var b strings.Builder
	b.WriteString("process_names:\n")
	for i := range count {
		fmt.Fprintf(&b, "- {name: n%d, cmdline: '^server%d( |$)'}\n", i, i)
	}
	return []byte(b.String())
}

// TestManyRules checks that the allocations per rule do not grow with the number of rules.
// The check for unreachable rules compares each rule with all earlier ones.
func TestManyRules(t *testing.T) {
	perRule := func(count int) float64 {
		text := manyRules(count)
		return testing.AllocsPerRun(2, func() {
			if _, err := Parse("c.yml", text); err != nil {
				t.Fatal(err)
			}
		}) / float64(count)
	}
	if few, many := perRule(20), perRule(200); many > 2*few {
		t.Errorf("got %.0f allocations per rule with 200 rules, want at most twice the %.0f with 20 rules", many, few)
	}
}

func BenchmarkParseManyRules(b *testing.B) {
	text := manyRules(1000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("c.yml", text); err != nil {
			b.Fatal(err)
		}
	}
}

// TestConfigCost checks that expensive files are refused or cause a warning, with the line
// and the remedy.
func TestConfigCost(t *testing.T) {
	classes := func(count int) []byte {
		return []byte("process_names:\n- {name: a, comm: a}\n- name: b\n  cmdline:\n" +
			strings.Repeat("  - '[a-z]{500}[0-9]{500}'\n", 2) +
			"  - '" + strings.Repeat("[a-z]{1000}", count) + "'\n")
	}
	expression := func(length int) []byte {
		return []byte("process_names:\n- {name: a, cmdline: " + strings.Repeat("a", length) + "}\n")
	}
	tests := []struct {
		name string
		text []byte
		want string // of the error or of the warning, "" if there is none
	}{
		{"few rules", manyRules(slowRules), ""},
		{
			"many rules", manyRules(slowRules + 1),
			"c.yml:2002:3: the file has 2001 rules, and each new process is compared",
		},
		{"too many rules", manyRules(maxRules + 1), "c.yml:10002:3: the file has 10001 rules, the maximum is 10000; merge rules"},
		{"large expression", classes(50), ""},
		{"slow expression", classes(150), "c.yml:2:1: the regular expressions of the file have 151"},
		{"longest expression", expression(maxRegexpBytes), "c.yml:2:1: the regular expressions of the file have 131072"},
		{"too long expression", expression(maxRegexpBytes + 1), "c.yml:2:22: bad cmdline regex: it is longer than 131072 bytes"},
		{"too large expression", classes(300), "c.yml:7:5: the regular expressions of the file up to this cmdline have 301"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			c, err := Parse("c.yml", tt.text)
			if err != nil {
				got = err.Error()
			} else if w := c.Warnings(); len(w) > 0 {
				got = w[0].String()
			}
			if !strings.HasPrefix(got, tt.want) || (got == "") != (tt.want == "") {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
