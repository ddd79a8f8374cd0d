package deploy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var mdLink = regexp.MustCompile(`\]\(([^)#\s]+)(#[^)]*)?\)`)

// TestLinks asks that what the documents link to in this repository exists.
func TestLinks(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	links := 0
	for _, page := range append(pages, "../README.md", "../CONTRIBUTING.md") {
		for _, link := range mdLink.FindAllStringSubmatch(read(t, page), -1) {
			if strings.Contains(link[1], "://") {
				continue
			}
			links++
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), link[1])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
	if links < 30 {
		t.Errorf("found only %d links", links)
	}
}

// TestImagesOfDocuments keeps pictures small enough for a page to load.
func TestImagesOfDocuments(t *testing.T) {
	info, err := os.Stat("../docs/dashboard.png")
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > 400<<10 {
		t.Errorf("docs/dashboard.png has %d bytes", info.Size())
	}
}

// TestBuildContext asks that .dockerignore lets through every file that the
// program is made of, those that it embeds too.
func TestBuildContext(t *testing.T) {
	lines := strings.Split(read(t, "../.dockerignore"), "\n")
	const template = `{{if .Module}}{{if .Module.Main}}{{$d := .Dir}}{{range .GoFiles}}{{$d}}/{{.}} {{end}}{{range .EmbedFiles}}{{$d}}/{{.}} {{end}}{{end}}{{end}}`
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	files := strings.Fields(mustOutput(t, "go", "list", "-deps", "-f", template, ".."))
	if len(files) < 50 {
		t.Fatalf("the program is made of %d files only", len(files))
	}
	for _, file := range files {
		name := strings.TrimPrefix(file, root+"/")
		want := "!*" + filepath.Ext(name)
		if top, _, below := strings.Cut(name, "/"); below {
			want = "!" + top + "/**/*" + filepath.Ext(name)
		}
		if !slices.Contains(lines, want) {
			t.Errorf(".dockerignore keeps %s out; it lacks %s", name, want)
		}
	}
}
