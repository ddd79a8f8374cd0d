// Package testenv starts the helper programs of testdata and checks what a test
// requires of the machine.
package testenv

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// buildDir holds the programs that [Main] removes at the end.
var buildDir string

// Main runs the tests of a package with a directory for the helper programs.
// Other users can enter it. A TestMain passes the result to [os.Exit].
func Main(m *testing.M) int {
	var err error
	if buildDir, err = os.MkdirTemp("", "testenv"); err == nil {
		err = os.Chmod(buildDir, 0o755)
	}
	defer func() { _ = os.RemoveAll(buildDir) }()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// BuildDir returns the directory for helper programs.
func BuildDir() string { return buildDir }

// testdata returns the path of a directory in testdata of the module.
func testdata(name string) string {
	_, file, _, _ := runtime.Caller(0)
	if filepath.IsAbs(file) {
		return filepath.Join(filepath.Dir(file), "..", "..", "testdata", name)
	}
	dir, _ := os.Getwd() // built with -trimpath
	for {
		if path := filepath.Join(dir, "testdata", name); isDir(path) || dir == "/" {
			return path
		}
		dir = filepath.Dir(dir)
	}
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// pollTimeout is how long [WaitFor] polls. It is far more than any condition
// takes on a busy machine.
const pollTimeout = 60 * time.Second

// Eventually polls until ok returns true. It fails the test after a minute.
func Eventually(t testing.TB, ok func() bool) {
	t.Helper()
	WaitFor(t, "a condition", ok)
}

// WaitFor is like [Eventually]. Its error has the name of the condition, and the results of got.
func WaitFor(t testing.TB, what string, ok func() bool, got ...func() string) {
	t.Helper()
	for end := time.Now().Add(pollTimeout); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			for _, describe := range got {
				what += ": got " + describe()
			}
			t.Fatalf("timed out after %v waiting for %s", pollTimeout, what)
		}
	}
}

// HasLeftCPU reports whether a sleeping or stopped thread is on no CPU and on no run queue. The
// directory of the thread is /proc/PID or /proc/PID/task/TID. A thread that still has to leave its
// CPU has "running" in the file syscall. Since Linux 6.12 a thread can sleep and stay on its run
// queue, and its wchan is then 0. A read of syscall removes such a thread from the run queue.
func HasLeftCPU(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, "syscall"))
	return err == nil && !strings.HasPrefix(string(text), "running")
}

// RequireProgram returns the path of a program. It skips the test if the program is not
// installed. With CI=true it fails the test.
func RequireProgram(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed; testdata/prerequisites.sh installs it", name)
	} else if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

// RequireRoot skips the test unless the effective user is root.
func RequireRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("requires root")
	}
}

// SkipWithoutBPF skips the test because of err, the error of loading the BPF programs. With
// CI=true it fails the test if the user is root, unless the kernel lacks BTF.
func SkipWithoutBPF(t testing.TB, err error) {
	t.Helper()
	_, btfErr := os.Stat("/sys/kernel/btf/vmlinux")
	if os.Getenv("CI") == "true" && os.Geteuid() == 0 && btfErr == nil {
		t.Fatalf("%+v", err)
	}
	t.Skipf("cannot load BPF programs: %v", err)
}

// Connect returns both ends of a new connection to a listener.
func Connect(t testing.TB, l net.Listener) (client, server net.Conn) {
	t.Helper()
	client, err1 := net.Dial(l.Addr().Network(), l.Addr().String())
	server, err2 := l.Accept()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return client, server
}

// StartPiped starts a command with pipes to its standard input and from its standard output.
func StartPiped(t testing.TB, cmd *exec.Cmd) (stdin io.WriteCloser, stdout *bufio.Reader) {
	t.Helper()
	stdin, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return stdin, bufio.NewReader(out)
}

// namespacesError is the error of creating mount and PID namespaces. Containers and
// chroots do not permit it, even for root.
var namespacesError = sync.OnceValue(func() error {
	text, err := exec.Command("unshare", "--mount", "--pid", "--fork", "--mount-proc", "true").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(text))
	}
	return nil
})

// RequireNamespaces skips the test if it is not permitted to create namespaces and
// to mount. With CI=true it fails the test.
func RequireNamespaces(t testing.TB) {
	t.Helper()
	if err := namespacesError(); err != nil && os.Getenv("CI") == "true" {
		t.Fatalf("requires the right to mount: unshare: %v", err)
	} else if err != nil {
		t.Skipf("requires the right to mount: unshare: %v", err)
	}
}

// Chaos reports whether tests run with full load, as in make chaos.
func Chaos() bool { return os.Getenv("PROCESS_EXPORTER_CHAOS") != "" }

// Rounds returns many if Chaos is true, else few.
func Rounds(few, many int) int {
	if Chaos() {
		return many
	}
	return few
}

// Output runs a program of util-linux, procps or iproute2 and returns its
// standard output without surrounding space.
func Output(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		t.Fatalf("%s %q: %v", name, args, err)
	}
	return strings.TrimSpace(string(out))
}
