package deploy_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

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
