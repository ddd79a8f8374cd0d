package process

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// nestedVariable is the environment variable with the name of the test that a child
// runs.
const nestedVariable = "PROCESS_TEST_NESTED"

// runNested runs the test again in a child in new namespaces and returns false. In
// the child it returns true. So the test can change its own user, mounts or filters.
func runNested(t *testing.T, namespaces uintptr) bool {
	t.Helper()
	if os.Getenv(nestedVariable) == t.Name() {
		return true
	}
	dir := must[string](t)(os.MkdirTemp(testenv.BuildDir(), "nested"))
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil { // the child may change its user
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", "-test.v", "-test.run", "^"+regexp.QuoteMeta(t.Name())+"$")
	program := testenv.EdgeCaseProgram(t)
	cmd.Env = append(os.Environ(), nestedVariable+"="+t.Name(), "TMPDIR="+dir, testenv.EdgeCaseVariable+"="+program)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces}
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, syscall.EPERM):
		t.Skipf("requires new namespaces: %v", err)
	case err != nil:
		t.Fatalf("nested test: %v\n%s", err, out)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("%s", out)
	case !strings.Contains(string(out), "--- PASS: "+t.Name()):
		t.Fatalf("got output without PASS of the nested test:\n%s", out)
	}
	return false
}

// mountProc mounts a process file system with these options at a new directory.
func mountProc(t *testing.T, options string) string {
	t.Helper()
	dir := filepath.Join(os.TempDir(), strings.ReplaceAll(options, "=", "-"))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("proc", dir, "proc", 0, options); err != nil {
		t.Skipf("cannot mount with %s: %v", options, err)
	}
	return dir
}

// mountAsNobody mounts process file systems in a private mount namespace and then
// changes the user to UID 65534. It restores PR_SET_DUMPABLE, because without it the
// /proc files of this process belong to root.
func mountAsNobody(t *testing.T, mounts ...string) []string {
	t.Helper()
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for _, options := range mounts {
		dirs = append(dirs, mountProc(t, options))
	}
	const nobody = 65534
	err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(nobody), syscall.Setuid(nobody), unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

// TestHidepid1 uses a mount that lists the processes of other users but denies access
// to their files. The parent of this test belongs to root.
func TestHidepid1(t *testing.T) {
	testenv.RequireRoot(t)
	if !runNested(t, syscall.CLONE_NEWNS) {
		return
	}
	table := openTestTable(t, mountAsNobody(t, "hidepid=1")[0])
	pids := must[[]int](t)(table.PIDs())
	if !slices.Contains(pids, os.Getpid()) || !slices.Contains(pids, os.Getppid()) {
		t.Errorf("got PIDs %v, want this process and its parent among them", pids)
	}
	other := openIn(t, table, os.Getppid())
	wantEqual(t, "running", other.Running(), true)
	wantEqual(t, "exists", must[bool](t)(table.Exists(os.Getppid())), true)
	wantEqual(t, "name in errors", other.String(), (&Process{shared: &shared{id: ID{PID: os.Getppid()}}}).String())
	// These use system calls. SIGCONT is permitted within a session.
	permitted := []string{"nice", "ionice", "cpu_affinity", "resume"}
	for name, call := range everyMethod(other) {
		err := call()
		switch {
		case slices.Contains(permitted, name):
			if err != nil {
				t.Errorf("%s: got error %v, want none", name, err)
			}
		case name == "map" && err == nil: // omits or denies attributes
		case !errors.Is(err, ErrAccessDenied) || errors.Is(err, ErrGone):
			t.Errorf("%s: got error %v, want ErrAccessDenied", name, err)
		}
	}
	some := must[map[Attr]any](t)(other.AsMap("hidden", "name", "nice", "pid"))
	if want := (map[Attr]any{"name": "hidden", "nice": 0, "pid": os.Getppid()}); !maps.Equal(some, want) {
		t.Errorf("got %v, want %v", some, want)
	}
	wantAllReadable(t, openIn(t, table, os.Getpid()))
}

// wantAllReadable checks all attributes but relatives, some of which are hidden.
func wantAllReadable(t *testing.T, self *Process) {
	t.Helper()
	for _, name := range Attrs() {
		switch name {
		case "num_handles", "parent", "parents", "children", "children_recursive":
			continue
		}
		if _, err := self.Attr(name); err != nil {
			t.Errorf("%s of this process: got error %v, want none", name, err)
		}
	}
}

// TestHidepid2 uses a mount that does not list the processes of other users.
func TestHidepid2(t *testing.T) {
	testenv.RequireRoot(t)
	if !runNested(t, syscall.CLONE_NEWNS) {
		return
	}
	table := openTestTable(t, mountAsNobody(t, "hidepid=2")[0])
	pids := must[[]int](t)(table.PIDs())
	if !slices.Contains(pids, os.Getpid()) || slices.Contains(pids, os.Getppid()) {
		t.Errorf("got PIDs %v, want this process among them and not its parent", pids)
	}
	if p, err := table.Open(os.Getppid()); !errors.Is(err, ErrGone) {
		t.Errorf("got %v, error %v, want ErrGone", p, err)
	}
	wantEqual(t, "exists", must[bool](t)(table.Exists(os.Getppid())), false)
	self := openIn(t, table, os.Getpid())
	wantEqual(t, "parent PID", must[int](t)(self.PPID()), os.Getppid())
	if parent, err := self.Parent(); parent != nil || !errors.Is(err, ErrNoParent) {
		t.Errorf("got parent %v, error %v, want ErrNoParent", parent, err)
	}
	wantEqual(t, "children", len(must[[]*Process](t)(self.Children())), 0)
	wantAllReadable(t, self)
}

// TestSubsetPID uses a mount without the files of the machine. The package gets their
// values from system calls.
func TestSubsetPID(t *testing.T) {
	testenv.RequireRoot(t)
	if !runNested(t, syscall.CLONE_NEWNS) {
		return
	}
	root := mountAsNobody(t, "subset=pid")[0]
	if _, err := os.Stat(filepath.Join(root, "stat")); err == nil {
		t.Fatal("got /stat in a mount with subset=pid, want none")
	}
	table := openTestTable(t, root)
	child := startChild(t, nil)
	self, normal := openIn(t, table, os.Getpid()), openProcess(t, os.Getpid())
	wantEqual(t, "total memory", must[uint64](t)(table.MemoryBytes()), must[uint64](t)(normal.shared.table.MemoryBytes()))
	difference := must[time.Time](t)(self.CreateTime()).Sub(must[time.Time](t)(normal.CreateTime()))
	if difference.Abs() > 2*time.Second {
		t.Errorf("got create times %v apart, want at most 2s", difference)
	}
	for name, method := range map[string]func(*Process) ([]*Process, error){
		"children": (*Process).Children, "descendants": (*Process).Descendants, "parents": (*Process).Parents,
	} {
		got, want := must[[]int](t)(pidsOf(method(self))), must[[]int](t)(pidsOf(method(normal)))
		if !slices.Equal(got, want) || len(got) == 0 {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	if percent := must[float64](t)(self.MemoryPercent(MemoryRSS)); percent <= 0 {
		t.Errorf("got %v percent of the memory, want more than 0", percent)
	}
	wantAllReadable(t, self)
	if err := openIn(t, table, child.PID()).Kill(); err != nil {
		t.Error(err)
	}
}

// TestHostTableInPIDNamespace opens the process file system of the parent PID
// namespace, whose PIDs differ from those of system calls.
func TestHostTableInPIDNamespace(t *testing.T) {
	testenv.RequireRoot(t)
	if !runNested(t, syscall.CLONE_NEWPID) {
		return
	}
	wantEqual(t, "PID in its own namespace", os.Getpid(), 1)
	table := openTestTable(t, "/proc")
	pids := must[[]int](t)(table.PIDs())
	first := openIn(t, table, pids[0])
	for name, err := range map[string]error{
		"set nice": first.SetNice(0), "set affinity": first.SetCPUAffinity(), "set ionice": first.SetIONice(IOPriority{}),
		"set rlimit": first.SetRlimit(ResourceCore, Limit{}), "signal": first.SendSignal(syscall.Signal(0)),
	} {
		if !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: got error %v, want ErrUnsupported", name, err)
		}
	}
	if _, err := first.CPUAffinity(); !errors.Is(err, ErrUnsupported) {
		t.Errorf("affinity: got error %v, want ErrUnsupported", err)
	}
	wantEqual(t, "limits", len(must[map[Resource]Limit](t)(first.Rlimits())), resourceCount) // from the file
	if _, err := first.Name(); err != nil {
		t.Error(err)
	}
}
