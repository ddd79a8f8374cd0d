package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

var (
	markdownLink = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	heading      = regexp.MustCompile(`(?m)^#+ (.+)$`)
	codeBlock    = regexp.MustCompile("(?ms)^```.*?^```$")
)

// root is the directory of the module.
const root = ".."

// pages returns the texts of all Markdown files of the module by path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && (entry.Name()[0] == '.' || entry.Name() == "node_modules"):
			return filepath.SkipDir
		case filepath.Ext(path) != ".md":
			return nil
		}
		text, err := os.ReadFile(path)
		found[path] = codeBlock.ReplaceAllString(string(text), "")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// anchors returns the link anchors of the headings of a page.
func anchors(text string) map[string]bool {
	found := make(map[string]bool)
	for _, match := range heading.FindAllStringSubmatch(text, -1) {
		var b strings.Builder
		for _, r := range strings.ToLower(match[1]) {
			switch {
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				b.WriteRune(r)
			case r == ' ':
				b.WriteByte('-')
			}
		}
		found[b.String()] = true
	}
	return found
}

// TestLinks checks that each link to a file of the module, and its anchor, exists.
func TestLinks(t *testing.T) {
	all, links := pages(t), 0
	for page, text := range all {
		for _, match := range markdownLink.FindAllStringSubmatch(text, -1) {
			target, anchor, _ := strings.Cut(match[1], "#")
			if strings.Contains(target, ":") { // URL
				continue
			}
			links++
			path := page
			if target != "" {
				path = filepath.Join(filepath.Dir(page), target)
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s links to %s: %v", page, match[1], err)
			} else if anchor != "" && filepath.Ext(path) == ".md" && !anchors(all[path])[anchor] {
				t.Errorf("%s links to %s: got no such heading, want one", page, match[1])
			}
		}
	}
	if links < 50 {
		t.Errorf("got %d links, want at least 50", links)
	}
}

var (
	testCommand  = regexp.MustCompile("go test((?: \\./?\\S*)*) -run ('[^'`]+'|[^\\s`]+)")
	testFunction = regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
)

// TestDocumentedTests checks that each test in the commands of docs/reliability.md
// exists.
func TestDocumentedTests(t *testing.T) {
	text, err := os.ReadFile("reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := testCommand.FindAllStringSubmatch(string(text), -1)
	if len(commands) < 20 {
		t.Fatalf("got %d commands, want at least 20", len(commands))
	}
	for _, match := range commands {
		pattern := strings.ReplaceAll(strings.Trim(match[2], "'"), `\|`, "|")
		for dir := range strings.FieldsSeq(match[1]) {
			for name := range strings.SplitSeq(pattern, "|") {
				if !hasTest(t, filepath.Join(root, dir), regexp.MustCompile(name)) {
					t.Errorf("got no test %s in %s, want one", name, dir)
				}
			}
		}
	}
}

var chaosTests = regexp.MustCompile(`(?m)^CHAOS +:= (?:\$\(CHAOS\)\|)?(.*)$`)

// TestChaosTests checks that each name in the variable CHAOS of the Makefile is one of a test.
func TestChaosTests(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	lines := chaosTests.FindAllStringSubmatch(string(text), -1)
	if len(lines) < 3 {
		t.Fatalf("got %d lines, want at least 3", len(lines))
	}
	for _, line := range lines {
		for name := range strings.SplitSeq(line[1], "|") {
			if !hasTest(t, filepath.Join(root, "test/e2e"), regexp.MustCompile("^"+name)) {
				t.Errorf("got no test %s in test/e2e, want one", name)
			}
		}
	}
}

func hasTest(t *testing.T, dir string, name *regexp.Regexp) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range testFunction.FindAllStringSubmatch(string(text), -1) {
			if name.MatchString(match[1]) {
				return true
			}
		}
	}
	return false
}

var testVariable = regexp.MustCompile(`\b([A-Z_]+)=\S+ (?:[A-Z_]+=\S+ )*go test`)

// TestDocumentedVariables checks that a test reads each environment variable in the
// commands of docs/reliability.md.
func TestDocumentedVariables(t *testing.T) {
	text, err := os.ReadFile("reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	err = filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") || filepath.Base(path) == "docs_test.go" {
			return err
		}
		code, err := os.ReadFile(path)
		tests.Write(code)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	found := testVariable.FindAllStringSubmatch(string(text), -1)
	if len(found) < 5 {
		t.Fatalf("got %d variables, want at least 5", len(found))
	}
	for _, match := range found {
		if !strings.Contains(tests.String(), `"`+match[1]+`"`) {
			t.Errorf("got no test that reads %s, want one", match[1])
		}
	}
}
