package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// An identityChanger is an instance of testdata/identitychange: a process that changes its name,
// arguments, user, cgroup or executable on command.
type identityChanger struct {
	*worker
	program string // path of the executable
}

// startIdentityChange starts testdata/identitychange with these arguments. The test cleanup ends it.
func startIdentityChange(t *testing.T, args ...string) *identityChanger {
	t.Helper()
	path := executableFor(t, testenv.BuildGo(t, "identitychange")) // a directory for the names of execAs
	return &identityChanger{startWorkerOf(t, exec.Command(path, args...)), path}
}

func (d *identityChanger) pid() int { return d.command.Process.Pid }

// execAs makes the process execute itself under another name. args start with argv[0].
func (d *identityChanger) execAs(name string, args ...string) {
	d.t.Helper()
	path := filepath.Join(filepath.Dir(d.program), name)
	if err := os.Symlink(d.program, path); err != nil && !errors.Is(err, os.ErrExist) {
		d.t.Fatal(err)
	}
	d.send("exec %s %s", path, strings.Join(args, " "))
	d.expect("ready")
}

// fork starts a child that executes the program when "release" is sent, and returns its PID.
func (d *identityChanger) fork(program string, args ...string) (pid int) {
	d.t.Helper()
	d.send("fork %s %s", program, strings.Join(args, " "))
	if !d.out.Scan() {
		d.t.Fatal("the process has exited")
	}
	if _, err := fmt.Sscanf(d.out.Text(), "child %d", &pid); err != nil {
		d.t.Fatalf("got %q: %v", d.out.Text(), err)
	}
	d.expect("done")
	return pid
}

func (d *identityChanger) send(format string, args ...any) {
	d.t.Helper()
	if _, err := fmt.Fprintf(d.in, format+"\n", args...); err != nil {
		d.t.Fatal(err)
	}
}

// TestIdentityChangeProgram checks the helper program itself: other tests could not distinguish an
// exporter that misses a change from a process that did not change.
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

	d.execAs("later", "argv0", "-x")
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
		t.Skip("requires root: changes the user")
	}
	d := startIdentityChange(t)
	if dir := makeCgroup(t); dir != "" {
		// The process must exit before its cgroup can be removed.
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
	d.execAs("nobody", "nobody")
	if got := procText(t, d.pid(), "comm"); got != "nobody" {
		t.Errorf("comm: got %q, want nobody", got)
	}
}

// makeCgroup creates a cgroup in the systemd or unified hierarchy, or returns "" if that fails.
func makeCgroup(t *testing.T) string {
	t.Helper()
	return makeCgroupNamed(t, fmt.Sprintf("identity-%d.service", os.Getpid()))
}

func makeCgroupNamed(t *testing.T, name string) string {
	t.Helper()
	failed := errors.New("no hierarchy is mounted")
	for _, root := range cgroupRoots() {
		dir := filepath.Join(root, name)
		if failed = os.Mkdir(dir, 0o755); failed == nil {
			return dir
		}
	}
	t.Logf("cgroups are not tested: %v", failed)
	return ""
}

// cgroupRoots returns the roots of the hierarchies of systemd and of cgroup v2 that are mounted.
func cgroupRoots() (roots []string) {
	for _, root := range []string{"/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"} {
		if _, err := os.Stat(filepath.Join(root, "cgroup.procs")); err == nil {
			roots = append(roots, root)
		}
	}
	return roots
}

func removeCgroup(t *testing.T, dir string) {
	t.Helper()
	if err := os.Remove(dir); err != nil {
		t.Errorf("cgroup: %v", err)
	}
}
