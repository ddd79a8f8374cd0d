package grouping

import (
	"fmt"
	"strings"
	"testing"
)

// manyRules is a configuration of so many rules by expressions.
func manyRules(count int) []byte {
	var b strings.Builder
	b.WriteString("process_names:\n")
	for i := range count {
		fmt.Fprintf(&b, "- {name: n%d, cmdline: '^server%d( |$)'}\n", i, i)
	}
	return []byte(b.String())
}

// TestManyRules holds that a rule costs the same among many: each is compared
// with all before it, which must parse nothing again.
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
		t.Errorf("got %.0f allocations for each of 200 rules, and %.0f for each of 20", many, few)
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
