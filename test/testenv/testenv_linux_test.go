package testenv

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// nestedVariable is set in the child of TestRequireNamespaces.
const nestedVariable = "TESTENV_NESTED"

// TestRequireNamespaces runs itself without CAP_SYS_ADMIN, as in a container. The
// test is then skipped by name, and fails with CI=true.
func TestRequireNamespaces(t *testing.T) {
	if os.Getenv(nestedVariable) != "" {
		RequireNamespaces(t)
		t.Log("continues")
		return
	}
	RequireRoot(t)
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Skip("setpriv is not installed")
	}
	for ci, want := range map[string]string{"false": "--- SKIP: TestRequireNamespaces", "true": "--- FAIL: TestRequireNamespaces"} {
		command := exec.Command(setpriv, "--bounding-set=-sys_admin", "--inh-caps=-sys_admin",
			mustExecutable(t), "-test.v", "-test.run=^TestRequireNamespaces$")
		command.Env = append(os.Environ(), nestedVariable+"=1", "CI="+ci)
		if text, _ := command.CombinedOutput(); !strings.Contains(string(text), want) || strings.Contains(string(text), "continues") {
			t.Errorf("CI=%s: got\n%s\nwant %q", ci, text, want)
		}
	}
}

func mustExecutable(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
