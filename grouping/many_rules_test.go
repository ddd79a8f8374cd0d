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
