package deploy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A shellBlock is shell code of a document, and the test that runs it.
type shellBlock struct{ page, directive, code string }

var (
	shellCode    = regexp.MustCompile("(?ms)^(<!-- ([^\n]*) -->\n)?```(?:sh|bash|shell)\n(.*?)^```")
	runDirective = regexp.MustCompile(`^run: (readme|configuration|image|boot|repository)$`)
)

// shellBlocks returns the shell code of all documents.
func shellBlocks(t *testing.T) []shellBlock {
	t.Helper()
	var all []shellBlock
	for page := range strings.FieldsSeq(mustOutput(t, "git", "-C", "..", "ls-files", "*.md")) {
		for _, match := range shellCode.FindAllStringSubmatch(read(t, filepath.Join("..", page)), -1) {
			all = append(all, shellBlock{page, match[2], match[3]})
		}
	}
	return all
}

// blocksFor returns the n blocks of a runner.
func blocksFor(t *testing.T, runner string, n int) []string {
	t.Helper()
	var code []string
	for _, b := range shellBlocks(t) {
		if b.directive == "run: "+runner {
			code = append(code, b.code)
		}
	}
	if len(code) != n {
		t.Fatalf("got %d blocks of %q, want %d", len(code), "run: "+runner, n)
	}
	return code
}

// TestShellBlocksAreRun checks that each block of shell code in the documents has
// a test that runs it, or a reason why none does.
func TestShellBlocksAreRun(t *testing.T) {
	all := shellBlocks(t)
	if len(all) < 14 {
		t.Errorf("got %d blocks, want at least 14", len(all))
	}
	for _, b := range all {
		if !runDirective.MatchString(b.directive) && !strings.HasPrefix(b.directive, "not run: ") {
			t.Errorf("%s: no test runs\n%s", b.page, b.code)
		}
	}
}

// copyRepository copies all files that git tracks or would add.
func copyRepository(t *testing.T) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "elsewhere")
	for file := range strings.FieldsSeq(mustOutput(t, "git", "-C", "..", "ls-files", "--cached", "--others", "--exclude-standard")) {
		text, err := os.ReadFile(filepath.Join("..", file))
		if os.IsNotExist(err) {
			continue // deleted, but not committed
		}
		info, errStat := os.Stat(filepath.Join("..", file))
		to := filepath.Join(root, file)
		if err != nil || errStat != nil || os.MkdirAll(filepath.Dir(to), 0o755) != nil || os.WriteFile(to, text, info.Mode()) != nil {
			t.Fatalf("cannot copy %s: %v", file, err)
		}
	}
	return root
}

// TestImageSize limits the size of pictures.
func TestImageSize(t *testing.T) {
	pictures, err := filepath.Glob("../docs/*.png")
	if err != nil || len(pictures) < 3 {
		t.Fatalf("got pictures %q, error %v", pictures, err)
	}
	for _, picture := range pictures {
		info, err := os.Stat(picture)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > 300<<10 {
			t.Errorf("%s: got %d bytes, want at most %d", picture, info.Size(), 300<<10)
		}
	}
}

// TestBuildContext checks that .dockerignore includes every source file and
// embedded file of the program.
func TestBuildContext(t *testing.T) {
	lines := strings.Split(read(t, "../.dockerignore"), "\n")
	const template = `{{if .Module}}{{if .Module.Main}}{{$d := .Dir}}` +
		`{{range .GoFiles}}{{$d}}/{{.}} {{end}}{{range .EmbedFiles}}{{$d}}/{{.}} {{end}}{{end}}{{end}}`
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	files := strings.Fields(mustOutput(t, "go", "list", "-deps", "-f", template, ".."))
	if len(files) < 50 {
		t.Fatalf("got %d source files, want at least 50", len(files))
	}
	for _, file := range files {
		name := strings.TrimPrefix(file, root+"/")
		want := "!*" + filepath.Ext(name)
		if top, _, below := strings.Cut(name, "/"); below {
			want = "!" + top + "/**/*" + filepath.Ext(name)
		}
		if !slices.Contains(lines, want) {
			t.Errorf(".dockerignore excludes %s, want a line %s", name, want)
		}
	}
}
