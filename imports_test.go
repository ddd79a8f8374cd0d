package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/seed57308aee/process_exporter"

// mayImport says which packages of other modules, and of this one, the files of
// a directory may import beside the standard library. A longer path stands for
// all below it. Imports go one way, so that each package can be understood, and
// tested, without those above it.
var mayImport = map[string][]string{
	".": {
		module + "/internal",
		module + "/collector", module + "/grouping", module + "/platform",
		"github.com/alecthomas/kingpin/v2", "github.com/alecthomas/units", "github.com/charmbracelet/x/term", "github.com/coreos/go-systemd/v22",
		"github.com/prometheus",
	},
	"collector": {module + "/internal/httpgzip", module + "/grouping", module + "/platform", "github.com/prometheus/client_golang", "github.com/prometheus/client_model"},
	"grouping": {
		module + "/platform", module + "/grouping/appname", module + "/grouping/nearest", module + "/grouping/redact",
		"go.yaml.in/yaml/v3",
	},
	"platform": {module + "/procfs", module + "/platform/bpf", module + "/platform/internal/host"},

	"internal/webui": {module + "/internal/httpgzip", module + "/collector", module + "/grouping", module + "/platform", "github.com/prometheus/common/version"},

	"internal/webserver": {
		module + "/internal/httpgzip",
		"github.com/coreos/go-systemd/v22/activation", "github.com/mdlayher/vsock", "github.com/prometheus",
		"go.yaml.in/yaml/v3", "golang.org/x/crypto/bcrypt", "golang.org/x/time/rate",
	},

	"internal/tui": {module + "/internal/webui", "github.com/charmbracelet/bubbletea", "github.com/charmbracelet/x/ansi"},

	"platform/bpf":           {"github.com/cilium/ebpf"},
	"platform/internal/host": {module + "/procfs"},
	"platform/process":       {module + "/procfs", module + "/platform/internal/host"},
	"procfs":                 {},

	"internal/cli/inspect": {module + "/platform/process"},

	"platform/sandbox": {"github.com/landlock-lsm/go-landlock/landlock", "kernel.org/pub/linux/libs/security/libcap/psx"},
}

// callsSystem are the directories whose files for Linux make system calls. Those
// of main and of serving ask only about our own sockets and limits.
var callsSystem = []string{".", "internal/webserver", "platform", "platform/bpf", "platform/internal/host", "platform/process", "platform/sandbox", "procfs"}

func allowed(file, imported string) bool {
	dir, name := path.Split(file)
	dir = path.Clean(dir)
	system := slices.Contains(callsSystem, dir) && strings.HasSuffix(name, "_linux.go")
	switch {
	case imported == "os/exec":
		return false
	case imported == "unsafe":
		return system && dir != "." && dir != "internal/webserver"
	case !strings.Contains(strings.SplitN(imported, "/", 2)[0], "."): // the standard library
		return true
	case imported == "golang.org/x/sys" || strings.HasPrefix(imported, "golang.org/x/sys/"):
		return system
	}
	return slices.ContainsFunc(mayImport[dir], func(p string) bool {
		return imported == p || strings.HasPrefix(imported, p+"/")
	})
}

func TestAllowed(t *testing.T) {
	tests := []struct {
		file, imported string
		want           bool
	}{
		{"main.go", module + "/collector", true},
		{"main.go", module + "/procfs", false},
		{"main.go", "golang.org/x/sys/unix", false},
		{"main.go", "os/exec", false},
		{"collector/x.go", module, false},
		{"collector/x.go", module + "/grouping", true},
		{"grouping/x.go", module + "/collector", false},
		{"grouping/x.go", "net/http", true},
		{"platform/x.go", "unsafe", false},
		{"platform/x_linux.go", "unsafe", true},
		{"procfs/x_linux.go", "golang.org/x/sys/unix", true},
		{"procfs/x.go", "golang.org/x/sys/unix", false},
		{"procfs/x.go", module + "/platform", false},
		{"platform/sandbox/x_linux.go", "kernel.org/pub/linux/libs/security/libcap/psx", true},
		{"platform/sandbox/x_linux.go", module + "/procfs", false},
		{"elsewhere/x.go", module + "/platform", false},
	}
	for _, tt := range tests {
		if got := allowed(tt.file, tt.imported); got != tt.want {
			t.Errorf("%s imports %s: got %v, want %v", tt.file, tt.imported, got, tt.want)
		}
	}
}

func TestImports(t *testing.T) {
	files := 0
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		// Other modules, test data and the tests themselves are free.
		if name := entry.Name(); entry.IsDir() && file != "." && (name == "testdata" || name == "deploy" || name[0] == '.') {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		files++
		checkImports(t, file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 10 {
		t.Errorf("found only %d files to check", files)
	}
}

func checkImports(t *testing.T, file string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		if !allowed(filepath.ToSlash(file), imported) {
			t.Errorf("%s imports %s", file, imported)
		}
	}
}
