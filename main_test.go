package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/seed57308aee/process_exporter"

// allowedImports lists, for each directory, the packages of this and of other
// modules that its files may import besides the standard library. A path includes
// all packages below it. Imports go one way, from main to procfs, so that each
// package can be understood and tested without the packages above it.
var allowedImports = map[string][]string{
	".": {module + "/internal/cli"},

	"internal/cli": {
		module + "/internal/cli/inspect", module + "/internal/config", module + "/internal/daemon", module + "/internal/logging",
		module + "/internal/printable", module + "/internal/tui", module + "/internal/webserver", module + "/internal/webui",
		module + "/collector", module + "/grouping", module + "/platform",
		"github.com/alecthomas/kingpin/v2", "github.com/charmbracelet/x/term", "github.com/prometheus/common",
	},
	"internal/cli/inspect": {module + "/internal/printable", module + "/platform/process"},

	"internal/daemon": {
		module + "/internal/config", module + "/internal/logging", module + "/internal/webserver", module + "/internal/webui",
		module + "/collector", module + "/grouping", module + "/platform",
		"github.com/coreos/go-systemd/v22/daemon", "github.com/prometheus", "google.golang.org/protobuf/types/known/timestamppb",
	},

	"internal/config": {
		module + "/grouping", module + "/platform",
		"github.com/alecthomas/kingpin/v2", "github.com/alecthomas/units",
		"github.com/prometheus/common/promslog", "github.com/prometheus/exporter-toolkit/web",
	},
	"internal/logging": {module + "/internal/printable", "github.com/prometheus/common/promslog"},

	"internal/tui": {
		module + "/internal/tui/noquery", module + "/internal/webui",
		"github.com/charmbracelet/bubbletea", "github.com/charmbracelet/x/ansi",
	},
	"internal/webui": {
		module + "/internal/printable",
		module + "/collector/httpgzip", module + "/collector", module + "/grouping", module + "/platform",
		"github.com/prometheus/common/version",
	},
	"internal/webserver": {
		module + "/collector/httpgzip",
		"github.com/coreos/go-systemd/v22/activation", "github.com/mdlayher/vsock",
		"github.com/prometheus/client_golang", "github.com/prometheus/exporter-toolkit/web",
		"go.yaml.in/yaml/v3", "golang.org/x/crypto/bcrypt", "golang.org/x/time/rate",
	},

	"collector": {
		module + "/collector/httpgzip", module + "/grouping", module + "/platform",
		"github.com/prometheus/client_golang", "github.com/prometheus/client_model", "github.com/prometheus/common/expfmt",
		"google.golang.org/protobuf/types/known/timestamppb",
	},
	"grouping": {
		module + "/platform", module + "/grouping/appname", module + "/grouping/expression", module + "/grouping/nearest",
		module + "/grouping/redact",
		"go.yaml.in/yaml/v3",
	},

	"platform":               {module + "/procfs", module + "/platform/bpf", module + "/platform/internal/host"},
	"platform/bpf":           {"github.com/cilium/ebpf"},
	"platform/containers":    {module + "/platform"},
	"platform/internal/host": {module + "/procfs"},
	"platform/process":       {module + "/procfs", module + "/platform/internal/host"},
	"platform/sockets":       {module + "/platform", module + "/platform/bpf", module + "/procfs"},
	"platform/sandbox":       {"github.com/landlock-lsm/go-landlock/landlock", "kernel.org/pub/linux/libs/security/libcap/psx"},
	"procfs":                 {},
}

// systemCallDirs lists the directories whose files named *_linux.go or *_linux_ARCH.go
// make system calls. Those of the web server concern only its own sockets.
var systemCallDirs = []string{
	"internal/webserver", "platform", "platform/bpf", "platform/containers", "platform/internal/host",
	"platform/process", "platform/sandbox", "platform/sockets", "procfs",
}

var linuxFile = regexp.MustCompile(`_linux(_(amd64|arm64))?\.go$`)

// isAllowed reports whether a file may import a package.
func isAllowed(file, imported string) bool {
	dir, name := path.Split(file)
	dir = path.Clean(dir)
	system := slices.Contains(systemCallDirs, dir) && linuxFile.MatchString(name)
	switch {
	case imported == "os/exec": // the program starts no other program
		return false
	case imported == "unsafe":
		return system && dir != "internal/webserver"
	case !strings.Contains(strings.SplitN(imported, "/", 2)[0], "."): // standard library
		return true
	case imported == "golang.org/x/sys" || strings.HasPrefix(imported, "golang.org/x/sys/"):
		return system
	}
	return slices.ContainsFunc(allowedImports[dir], func(p string) bool {
		return imported == p || strings.HasPrefix(imported, p+"/")
	})
}

func TestIsAllowed(t *testing.T) {
	tests := []struct {
		file, imported string
		want           bool
	}{
		{"main.go", module + "/internal/cli", true},
		{"main.go", module + "/collector", false},
		{"main.go", module + "/procfs", false},
		{"main.go", "golang.org/x/sys/unix", false},
		{"main.go", "os/exec", false},
		{"internal/daemon/x.go", module + "/internal/config", true},
		{"internal/daemon/x.go", module + "/internal/cli", false},
		{"internal/config/x.go", module + "/internal/daemon", false},
		{"collector/x.go", module, false},
		{"collector/x.go", module + "/grouping", true},
		{"collector/x.go", module + "/internal/daemon", false},
		{"grouping/x.go", module + "/collector", false},
		{"grouping/x.go", "net/http", true},
		{"platform/x.go", "unsafe", false},
		{"platform/x_linux.go", "unsafe", true},
		{"procfs/x_linux.go", "golang.org/x/sys/unix", true},
		{"procfs/x.go", "golang.org/x/sys/unix", false},
		{"platform/sandbox/x_linux_arm64.go", "golang.org/x/sys/unix", true},
		{"platform/sandbox/x_arm64.go", "golang.org/x/sys/unix", false},
		{"procfs/x.go", module + "/platform", false},
		{"platform/sandbox/x_linux.go", "kernel.org/pub/linux/libs/security/libcap/psx", true},
		{"platform/sandbox/x_linux.go", module + "/procfs", false},
		{"elsewhere/x.go", module + "/platform", false},
	}
	for _, tt := range tests {
		if got := isAllowed(tt.file, tt.imported); got != tt.want {
			t.Errorf("%s imports %s: got %v, want %v", tt.file, tt.imported, got, tt.want)
		}
	}
}

// TestImports checks the import direction of all files except tests, test data
// and other modules.
func TestImports(t *testing.T) {
	files := 0
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		isSkipped := slices.Contains([]string{"testdata", "deploy", "test"}, name) || name[0] == '.'
		if entry.IsDir() && file != "." && isSkipped {
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
		t.Errorf("got %d files, want at least 10", files)
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
		if !isAllowed(filepath.ToSlash(file), imported) {
			t.Errorf("%s imports %s, which allowedImports does not list", file, imported)
		}
	}
}
