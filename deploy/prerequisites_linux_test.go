package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// prerequisites runs testdata/prerequisites.sh as root on a system that has no
// packages, with an apt-get that only prints its arguments.
func prerequisites(t *testing.T, env ...string) (string, error) {
	t.Helper()
	bin := t.TempDir()
	for _, name := range []string{"bash", "cat", "chmod", "cmp", "dirname", "grep", "mkdir", "mktemp", "printf", "rm", "sort"} {
		if err := os.Symlink(testenv.RequireProgram(t, name), filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, script := range map[string]string{
		"id": "echo 0", "uname": "echo Linux",
		"apt-get": `echo "apt-get $*"
case "$*" in *--assume-no*) echo "0 upgraded, 292 newly installed, 0 to remove and 0 not upgraded."
echo "After this operation, 378 MB of additional disk space will be used."; exit 1 ;; esac`,
	} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!"+bin+"/bash\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.Command(filepath.Join(bin, "bash"), "../testdata/prerequisites.sh")
	command.Env = append([]string{"PATH=" + bin, "HOME=" + bin, "POLICY_RC_D=" + filepath.Join(bin, "policy-rc.d")}, env...)
	text, err := command.CombinedOutput()
	return string(text), err
}

// TestPrerequisitesAreAnnounced checks that make test as root prints the packages,
// their purpose and their size before it installs them.
func TestPrerequisitesAreAnnounced(t *testing.T) {
	text, err := prerequisites(t)
	before, _, found := strings.Cut(text, "apt-get install -y ")
	if err != nil || !found {
		t.Fatalf("got error %v and\n%s\nwant an installation", err, text)
	}
	for _, want := range []string{
		"SKIP_INSTALL=1", "chromium                     for the web page in a browser\n", "292 newly installed", "378 MB",
	} {
		if !strings.Contains(before, want) {
			t.Errorf("got\n%s\nwant %q before the installation", text, want)
		}
	}
	if strings.Contains(before, " for \n") {
		t.Errorf("got\n%s\nwant a purpose for each package", before)
	}
}

// TestSkipInstall checks that SKIP_INSTALL=1 installs nothing and names the packages
// whose tests are skipped. With CI=true that is a failure.
func TestSkipInstall(t *testing.T) {
	text, err := prerequisites(t, "SKIP_INSTALL=1")
	if err != nil || strings.Contains(text, "apt-get") || strings.Contains(text, "unpack") {
		t.Errorf("got error %v and\n%s\nwant no installation", err, text)
	}
	if !strings.Contains(text, "tests that need them are skipped:") || !strings.Contains(text, "chromium") {
		t.Errorf("got\n%s\nwant the skipped packages", text)
	}
	if text, err := prerequisites(t, "SKIP_INSTALL=1", "CI=true"); err == nil {
		t.Errorf("CI=true: got no error and\n%s\nwant an error", text)
	}
}
