package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

var compiled = struct {
	sync.Mutex
	errs map[string]error // by path of the program
}{errs: make(map[string]error)}

// CompileC compiles testdata/NAME/NAME.c once, to a program with the name as, and returns its path.
// It skips the test without a C compiler. With CI=true it fails the test.
func CompileC(t testing.TB, name, as string) string {
	t.Helper()
	compiler := RequireProgram(t, "cc")
	path := filepath.Join(buildDir, as)
	compile(t, path, exec.Command(compiler, "-O2", "-pthread", "-o", path, filepath.Join(testdata(name), name+".c")))
	return path
}

// BuildGo builds testdata/NAME once, and returns the path of the program. Each user can execute it,
// also in a root file system without libraries.
func BuildGo(t testing.TB, name string) string {
	t.Helper()
	return goBuild(t, testdata(name), name)
}

// BuildExporter builds the exporter once, without the race detector, and returns its path. It is
// like [BuildGo].
func BuildExporter(t testing.TB) string {
	t.Helper()
	return goBuild(t, filepath.Join(testdata("edgecase"), "..", ".."), "process_exporter")
}

func goBuild(t testing.TB, dir, name string) string {
	t.Helper()
	path := filepath.Join(buildDir, name)
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", path, ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	compile(t, path, build)
	return path
}

// compile runs the command that writes a program to path, once.
func compile(t testing.TB, path string, command *exec.Cmd) {
	t.Helper()
	compiled.Lock()
	defer compiled.Unlock()
	err, done := compiled.errs[path]
	if !done {
		var out []byte
		if out, err = command.CombinedOutput(); err != nil {
			err = fmt.Errorf("%q: %w\n%s", command.Args, err, out)
		}
		compiled.errs[path] = err
	}
	if err != nil {
		t.Fatal(err)
	}
}
