// Package deploy_test runs the files of this directory with the programs that use
// them: Prometheus, a browser, systemd, podman, dpkg.
package deploy_test

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// testTimeout is the timeout of operations that take about a second.
const testTimeout = 60 * time.Second

// skipOrFail skips the test, or fails it in CI.
func skipOrFail(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// output runs a program and returns its standard output and standard error.
func output(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	text, err := exec.Command(name, args...).CombinedOutput()
	return string(text), err
}

// mustOutput runs a program that must succeed and returns its output.
func mustOutput(t *testing.T, name string, args ...string) string {
	t.Helper()
	text, err := output(t, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, text)
	}
	return text
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// write writes a file into a new directory and returns its path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// writeFile writes a file and creates its directory.
func writeFile(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// start starts a program that runs until the end of the test.
func start(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	command := exec.Command(name, args...)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	return command
}

// freeAddress returns an unused address.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// responds reports whether a request to url returns status 200.
func responds(url string) bool {
	response, err := http.Get(url)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// startExporter starts the exporter and returns its address.
func startExporter(t *testing.T, args ...string) string {
	t.Helper()
	address := freeAddress(t)
	start(t, testenv.BuildExporter(t), append(args, "--web.listen-address="+address, "--log.level=error")...)
	testenv.WaitFor(t, "the exporter", func() bool { return responds("http://" + address + "/-/ready") })
	return address
}

// requireTool returns the path of a program that testdata/prerequisites.sh unpacks
// into the user's cache directory instead of installing it.
func requireTool(t *testing.T, program string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err == nil {
		path := filepath.Join(cache, "process_exporter", "bin", program)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return testenv.RequireProgram(t, program)
}
