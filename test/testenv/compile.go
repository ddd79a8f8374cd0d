package testenv

import (
	"fmt"
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
	compiled.Lock()
	defer compiled.Unlock()
	err, done := compiled.errs[path]
	if !done {
		source := filepath.Join(testdata(name), name+".c")
		var out []byte
		if out, err = exec.Command(compiler, "-O2", "-pthread", "-o", path, source).CombinedOutput(); err != nil {
			err = fmt.Errorf("%s %s: %w\n%s", compiler, source, err, out)
		}
		compiled.errs[path] = err
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}
