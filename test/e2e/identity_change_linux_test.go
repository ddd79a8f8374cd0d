package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// buildDisguise builds testdata/identitychange, once for all tests.
var buildIdentityChange = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(binary), "identitychange")
	out, err := exec.Command("go", "build", "-o", path, "./testdata/identitychange").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// A disguised is a process that becomes another when it is told to: see
// testdata/identitychange for what it can be told.
type identityChanger struct {
	*worker
	program string // its path
}

// startDisguise starts one with these arguments, which tell as much about it as
// those of any program. It ends with the test.
func startIdentityChange(t *testing.T, args ...string) *identityChanger {
	t.Helper()
	path, err := buildIdentityChange()
	if err != nil {
		t.Fatal(err)
	}
	path = executableFor(t, path) // also once it has given up root
	return &identityChanger{startWorkerOf(t, exec.Command(path, args...)), path}
}

func (d *identityChanger) pid() int { return d.command.Process.Pid }

// become has the process execute itself under another name, with these arguments
// from the first on. It obeys on.
func (d *identityChanger) become(name string, args ...string) {
	d.t.Helper()
	path := filepath.Join(filepath.Dir(d.program), name)
	if err := os.Symlink(d.program, path); err != nil && !errors.Is(err, os.ErrExist) {
		d.t.Fatal(err)
	}
	d.tell("exec %s %s", path, strings.Join(args, " "))
	d.expect("ready")
}

// fork starts a child that waits for "release" to become the program, and returns
// its PID.
func (d *identityChanger) fork(program string, args ...string) (pid int) {
	d.t.Helper()
	d.tell("fork %s %s", program, strings.Join(args, " "))
	if !d.out.Scan() {
		d.t.Fatal("the process has ended")
	}
	if _, err := fmt.Sscanf(d.out.Text(), "child %d", &pid); err != nil {
		d.t.Fatalf("got %q: %v", d.out.Text(), err)
	}
	d.expect("done")
	return pid
}

func (d *identityChanger) tell(format string, args ...any) {
	d.t.Helper()
	if _, err := fmt.Fprintf(d.in, format+"\n", args...); err != nil {
		d.t.Fatal(err)
	}
}

// procText returns a file of a process with blanks for its NULs.
func procText(t *testing.T, pid int, file string) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.TrimSpace(bytes.ReplaceAll(text, []byte{0}, []byte(" "))))
}

// TestIdentityChangeProgram asserts that a disguise works, since the tests that count on it
// could not tell an exporter that sees no change from a process that has none.
func TestIdentityChangeProgram(t *testing.T) {
	d := startIdentityChange(t, "--room", strings.Repeat("x", 100))
	want := func(pid int, file, text string) {
		t.Helper()
		if got := procText(t, pid, file); got != text {
			t.Errorf("%s: got %q, want %q", file, got, text)
		}
	}
	want(d.pid(), "comm", "identitychange")
	d.do("name %s", "an other")
	want(d.pid(), "comm", "an other")
	d.do("title %s", "gunicorn: master [shop]")
	want(d.pid(), "cmdline", "gunicorn: master [shop]")

	d.become("later", "argv0", "-x")
	want(d.pid(), "comm", "later")
	want(d.pid(), "cmdline", "argv0 -x")

	child := d.fork("/bin/sleep", "sleep", "600")
	want(child, "comm", "later")
	want(child, "cmdline", "argv0 -x")
	d.do("release")
	want(child, "comm", "sleep")
	want(child, "cmdline", "sleep 600")
}

func TestIdentityChangeProgramAsRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root becomes somebody else")
	}
	d := startIdentityChange(t)
	if dir := makeCgroup(t); dir != "" {
		// The process is out of the group before it is removed.
		t.Cleanup(func() { d.end(); removeCgroup(t, dir) })
		d.do("cgroup %s", dir)
		if got := procText(t, d.pid(), "cgroup"); !strings.Contains(got, "/"+filepath.Base(dir)) {
			t.Errorf("cgroup: got %q, want %s in it", got, dir)
		}
	}
	d.do("user 65534")
	if got := procText(t, d.pid(), "status"); !strings.Contains(got, "Uid:\t65534\t65534\t65534\t65534\n") {
		t.Errorf("status: got %q, want user 65534", got)
	}
	d.become("nobody", "nobody")
	if got := procText(t, d.pid(), "comm"); got != "nobody" {
		t.Errorf("comm: got %q, want nobody", got)
	}
}

// makeCgroup makes a control group in the hierarchy of systemd or the only one,
// or returns "" where that cannot be.
func makeCgroup(t *testing.T) string {
	t.Helper()
	var failed error
	for _, root := range []string{"/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"} {
		if _, err := os.Stat(filepath.Join(root, "cgroup.procs")); err != nil {
			continue
		}
		dir := filepath.Join(root, fmt.Sprintf("identity-%d.service", os.Getpid()))
		if failed = os.Mkdir(dir, 0o755); failed == nil {
			return dir
		}
	}
	t.Logf("no control group is tested: %v", failed)
	return ""
}

func removeCgroup(t *testing.T, dir string) {
	t.Helper()
	if err := os.Remove(dir); err != nil {
		t.Errorf("control group: %v", err)
	}
}
