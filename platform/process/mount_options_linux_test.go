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

	"github.com/seed57308aee/process_exporter/testdata/testenv"
)

// insideVariable names the test that runs again in a child.
const insideVariable = "PLATFORM_TEST_INSIDE"

// inside runs the test again in a child in new namespaces, where it returns
// true. What the child does to itself ends with it.
func inside(t *testing.T, namespaces uintptr) bool {
	t.Helper()
	if os.Getenv(insideVariable) == t.Name() {
		return true
	}
	dir := must[string](t)(os.MkdirTemp(testenv.BuildDir(), "inside"))
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil { // the child may become somebody else
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", "-test.v", "-test.run", "^"+regexp.QuoteMeta(t.Name())+"$")
	cmd.Env = append(os.Environ(), insideVariable+"="+t.Name(), "TMPDIR="+dir, testenv.ChildVariable+"="+must[string](t)(testenv.ChildProgram()))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces}
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, syscall.EPERM):
		t.Skipf("no such namespaces here: %v", err)
	case err != nil:
		t.Fatalf("inside: %v\n%s", err, out)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("%s", out)
	case !strings.Contains(string(out), "--- PASS: "+t.Name()):
		t.Fatalf("the test did not run inside:\n%s", out)
	}
	return false
}

// mountProc mounts a process file system at a new directory.
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

// aloneAsNobody takes the mounts from all others, and then the rights from this
// process, as far as a change of user does. That also makes its files root's,
// until it says that others may look at it.
func aloneAsNobody(t *testing.T, mounts ...string) []string {
	t.Helper()
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for _, options := range mounts {
		dirs = append(dirs, mountProc(t, options))
	}
	const nobody = 65534
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(nobody), syscall.Setuid(nobody), unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)); err != nil {
		t.Fatal(err)
	}
	return dirs
}

// TestHidepid1 has a file system that shows the processes of others, but
// nothing of them. The parent of this test is root's.
func TestHidepid1(t *testing.T) {
	testenv.RequireRoot(t)
	if !inside(t, syscall.CLONE_NEWNS) {
		return
	}
	table := openTable(t, aloneAsNobody(t, "hidepid=1")[0])
	pids := must[[]int](t)(table.PIDs())
	if !slices.Contains(pids, os.Getpid()) || !slices.Contains(pids, os.Getppid()) {
		t.Errorf("got PIDs %v without this process and its parent", pids)
	}
	other := openIn(t, table, os.Getppid())
	wantEqual(t, "running", other.Running(), true)
	wantEqual(t, "exists", must[bool](t)(table.Exists(os.Getppid())), true)
	wantEqual(t, "name in errors", other.String(), (&Process{shared: &shared{id: ID{PID: os.Getppid()}}}).String())
	// By system calls, which this does not concern. Whoever is of the same session
	// may send SIGCONT.
	told := []string{"nice", "ionice", "cpu_affinity", "resume"}
	for name, call := range everyMethod(other) {
		err := call()
		switch {
		case slices.Contains(told, name):
			if err != nil {
				t.Errorf("%s: got error %v, want none", name, err)
			}
		case name == "map" && err == nil: // tells what it can
		case !errors.Is(err, ErrAccessDenied) || errors.Is(err, ErrGone):
			t.Errorf("%s: got error %v, want ErrAccessDenied", name, err)
		}
	}
	some := must[map[Attr]any](t)(other.AsMap("hidden", "name", "nice", "pid"))
	if want := (map[Attr]any{"name": "hidden", "nice": 0, "pid": os.Getppid()}); !maps.Equal(some, want) {
		t.Errorf("got %v, want %v", some, want)
	}
	wantAllTold(t, openIn(t, table, os.Getpid()))
}

// wantAllTold wants everything but relatives, some of whom are hidden.
func wantAllTold(t *testing.T, self *Process) {
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

// TestHidepid2 has a file system that does not show the processes of
// others at all.
func TestHidepid2(t *testing.T) {
	testenv.RequireRoot(t)
	if !inside(t, syscall.CLONE_NEWNS) {
		return
	}
	table := openTable(t, aloneAsNobody(t, "hidepid=2")[0])
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
	if parent, err := self.Parent(); parent != nil || err != nil {
		t.Errorf("got parent %v, error %v, want none", parent, err)
	}
	wantEqual(t, "children", len(must[[]*Process](t)(self.Children())), 0)
	wantAllTold(t, self)
}

// TestSubsetPID has a file system without files of the machine. What those
// would tell, the kernel tells in other ways.
func TestSubsetPID(t *testing.T) {
	testenv.RequireRoot(t)
	if !inside(t, syscall.CLONE_NEWNS) {
		return
	}
	root := aloneAsNobody(t, "subset=pid")[0]
	if _, err := os.Stat(filepath.Join(root, "stat")); err == nil {
		t.Fatal("there are files of the machine")
	}
	table := openTable(t, root)
	child := startChild(t, nil)
	self, usual := openIn(t, table, os.Getpid()), openProcess(t, os.Getpid())
	wantEqual(t, "total memory", must[uint64](t)(table.MemoryBytes()), must[uint64](t)(usual.shared.table.MemoryBytes()))
	apart := must[time.Time](t)(self.CreateTime()).Sub(must[time.Time](t)(usual.CreateTime()))
	if apart.Abs() > 2*time.Second {
		t.Errorf("got create times %v apart", apart)
	}
	for name, method := range map[string]func(*Process) ([]*Process, error){
		"children": (*Process).Children, "descendants": (*Process).Descendants, "parents": (*Process).Parents,
	} {
		got, want := must[[]int](t)(pidsOf(method(self))), must[[]int](t)(pidsOf(method(usual)))
		if !slices.Equal(got, want) || len(got) == 0 {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	if percent := must[float64](t)(self.MemoryPercent(MemoryRSS)); percent <= 0 {
		t.Errorf("got %v percent of the memory", percent)
	}
	wantAllTold(t, self)
	if err := openIn(t, table, child.PID()).Kill(); err != nil {
		t.Error(err)
	}
}

// TestHostTableInPIDNamespace sees the file system of a PID namespace above its own,
// where numbers mean other processes than to system calls.
func TestHostTableInPIDNamespace(t *testing.T) {
	testenv.RequireRoot(t)
	if !inside(t, syscall.CLONE_NEWPID) {
		return
	}
	wantEqual(t, "PID in its own namespace", os.Getpid(), 1)
	table := openTable(t, "/proc")
	pids := must[[]int](t)(table.PIDs())
	last := openIn(t, table, pids[0]) // whoever that is, for us it is another
	for name, err := range map[string]error{
		"set nice": last.SetNice(0), "set affinity": last.SetCPUAffinity(), "set ionice": last.SetIONice(IOPriority{}),
		"set rlimit": last.SetRlimit(ResourceCore, Limit{}), "signal": last.SendSignal(syscall.Signal(0)),
	} {
		if !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: got error %v, want ErrUnsupported", name, err)
		}
	}
	if _, err := last.CPUAffinity(); !errors.Is(err, ErrUnsupported) {
		t.Errorf("affinity: got error %v, want ErrUnsupported", err)
	}
	wantEqual(t, "limits", len(must[map[Resource]Limit](t)(last.Rlimits())), resourceCount) // from the file
	if _, err := last.Name(); err != nil {
		t.Error(err)
	}
}
