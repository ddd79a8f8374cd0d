package testenv

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the generated files")

// CheckGenerated compares a file of the repository with the text that the code generates.
// With the flag -update it writes the file first.
func CheckGenerated(t testing.TB, file, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := readText(t, file); got != want {
		t.Errorf("%s differs from the text that the code generates; run `make generate`", file)
	}
}

// CheckGeneratedSection is CheckGenerated for one section of a page: the lines between
// "<!-- begin: section -->" and "<!-- end: section -->".
func CheckGeneratedSection(t testing.TB, page, section, want string) {
	t.Helper()
	begin, end := "<!-- begin: "+section+" -->\n", "<!-- end: "+section+" -->\n"
	before, rest, begins := strings.Cut(readText(t, page), begin)
	got, after, ends := strings.Cut(rest, end)
	switch {
	case !begins || !ends:
		t.Fatalf("%s: got no lines %q and %q, want both", page, begin, end)
	case got == want:
	case *update:
		CheckGenerated(t, page, before+begin+want+end+after)
	default:
		t.Errorf("%s: section %q differs; run `make generate`. got\n%s\nwant\n%s", page, section, got, want)
	}
}

func readText(t testing.TB, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// MarkdownTable returns a table with a row of headings.
func MarkdownTable(headings []string, rows [][]string) string {
	text := markdownRow(headings) + strings.Repeat("|---", len(headings)) + "|\n"
	for _, cells := range rows {
		text += markdownRow(cells)
	}
	return text
}

func markdownRow(cells []string) string { return "| " + strings.Join(cells, " | ") + " |\n" }

// YesOrNo returns the text of a bool in a table.
func YesOrNo(v bool) string { return map[bool]string{true: "yes", false: "no"}[v] }
