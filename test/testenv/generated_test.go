package testenv

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// recordedTB records the errors of a check instead of failing the test.
type recordedTB struct {
	testing.TB
	errors []string
}

func (r *recordedTB) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func TestCheckGeneratedSection(t *testing.T) {
	const page = "text\n<!-- begin: a -->\n%s<!-- end: a -->\n<!-- begin: b -->\nB\n<!-- end: b -->\n"
	path := filepath.Join(t.TempDir(), "page.md")
	table := MarkdownTable([]string{"Name", "Known"}, [][]string{{"x", YesOrNo(true)}, {"y", YesOrNo(false)}})
	if want := "| Name | Known |\n|---|---|\n| x | yes |\n| y | no |\n"; table != want {
		t.Errorf("got table\n%s\nwant\n%s", table, want)
	}
	if err := os.WriteFile(path, fmt.Appendf(nil, page, "| old |\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := recordedTB{TB: t}
	CheckGeneratedSection(&r, path, "a", table)
	if len(r.errors) != 1 || !strings.Contains(r.errors[0], `section "a" differs`) {
		t.Errorf("got errors %q, want one about section a", r.errors)
	}
	CheckGeneratedSection(t, path, "b", "B\n")
	*update = true
	defer func() { *update = false }()
	CheckGeneratedSection(t, path, "a", table)
	if got, want := readText(t, path), fmt.Sprintf(page, table); got != want {
		t.Errorf("got page\n%s\nwant\n%s", got, want)
	}
}
