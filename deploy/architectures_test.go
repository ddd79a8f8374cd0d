package deploy_test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A listedPackage is a package as go list -json prints it.
type listedPackage struct {
	ImportPath, Dir string
	GoFiles         []string
	ImportMap       map[string]string
	Module          *struct{ Main bool }
}

// TestArchitecturesCompile checks the types of the program for each architecture of a
// release. A build would compile all dependencies, which takes a minute for each.
func TestArchitecturesCompile(t *testing.T) {
	built := releasedArchitectures()
	for _, arch := range architectures {
		if !slices.Contains(built, arch) { // else another test builds it
			t.Run(arch, func(t *testing.T) { checkTarget(t, "linux", arch, "..") })
		}
	}
}

// TestOtherSystemsCompile checks the types of all packages and their tests on systems other
// than Linux.
func TestOtherSystemsCompile(t *testing.T) {
	for system, arch := range map[string]string{"windows": "amd64", "darwin": "arm64", "freebsd": "amd64"} {
		t.Run(system, func(t *testing.T) { checkTarget(t, system, arch, "-test", "../...") })
	}
}

// checkTarget checks the types of the packages that go list prints for the arguments.
func checkTarget(t *testing.T, system, arch string, arguments ...string) {
	t.Helper()
	packages := listPackages(t, system, arch, arguments...)
	if len(packages) < 100 {
		t.Fatalf("got %d packages, want at least 100", len(packages))
	}
	for _, err := range checkTypes(t, arch, packages) {
		t.Error(err)
	}
}

// listPackages returns packages, each after its imports.
func listPackages(t *testing.T, system, arch string, arguments ...string) (all []listedPackage) {
	t.Helper()
	command := exec.Command("go", append([]string{"list", "-deps", "-json=ImportPath,Dir,GoFiles,ImportMap,Module"}, arguments...)...)
	command.Env = append(os.Environ(), "GOOS="+system, "GOARCH="+arch, "CGO_ENABLED=0")
	text, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	for decoder := json.NewDecoder(strings.NewReader(string(text))); ; {
		var one listedPackage
		if err := decoder.Decode(&one); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(one.ImportPath, ".test") { // the main package of a test is generated
			all = append(all, one)
		}
	}
}

// importMap imports checked packages by the names that one package uses for them.
type importMap struct {
	names   map[string]string
	checked map[string]*types.Package
}

func (m importMap) Import(path string) (*types.Package, error) {
	if path == "unsafe" {
		return types.Unsafe, nil
	}
	if other := m.names[path]; other != "" {
		path = other
	}
	if m.checked[path] == nil {
		return nil, errors.New("not listed: " + path)
	}
	return m.checked[path], nil
}

// checkTypes returns the type errors of the packages of this module. Of other packages
// it checks declarations only.
func checkTypes(t *testing.T, arch string, packages []listedPackage) (errs []error) {
	t.Helper()
	checked, set := make(map[string]*types.Package), token.NewFileSet()
	for _, p := range packages {
		main := p.Module != nil && p.Module.Main
		var files []*ast.File
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(set, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
		config := types.Config{
			Importer: importMap{p.ImportMap, checked}, Sizes: types.SizesFor("gc", arch),
			IgnoreFuncBodies: !main, FakeImportC: true,
			Error: func(err error) {
				if main {
					errs = append(errs, err)
				}
			},
		}
		checked[p.ImportPath], _ = config.Check(p.ImportPath, set, files, nil) // config.Error has the errors
	}
	return errs
}
