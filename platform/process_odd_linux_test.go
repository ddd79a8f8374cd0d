package platform

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// oddDir is where the odd program is built.
var oddDir string

func TestMain(m *testing.M) { os.Exit(testInDir(m)) }

// testInDir runs the tests with a directory for what they build, which other
// users may enter.
func testInDir(m *testing.M) int {
	var err error
	if oddDir, err = os.MkdirTemp("", "odd"); err == nil {
		err = os.Chmod(oddDir, 0o755)
	}
	defer os.RemoveAll(oddDir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// oddVariable names the odd program where it has been built already.
const oddVariable = "PLATFORM_TEST_ODD"

// oddProgram builds testdata/odd, once for all tests.
var oddProgram = sync.OnceValues(func() (string, error) {
	if path := os.Getenv(oddVariable); path != "" {
		return path, nil
	}
	path := filepath.Join(oddDir, "odd")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", path, "../testdata/odd")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // so that it needs no libraries in a chroot
	if out, err := build.CombinedOutput(); err != nil {
		return "", errors.New(string(out) + err.Error())
	}
	return path, nil
})

// An odd is a process that a test has started and can end.
type odd struct {
	*Process
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
}

// startOdd starts the odd program, waits until it is ready, and opens it.
// change may alter the command before.
func startOdd(t testing.TB, change func(*exec.Cmd), verbs ...string) *odd {
	t.Helper()
	path, err := oddProgram()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, verbs...)
	if change != nil {
		change(cmd)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	o := &odd{cmd: cmd, stdin: stdin, stdout: bufio.NewReader(stdout)}
	t.Cleanup(o.end)
	o.wantReady(t)
	o.Process = openProcess(t, cmd.Process.Pid)
	return o
}

func (o *odd) wantReady(t testing.TB) {
	t.Helper()
	if line, err := o.stdout.ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("%q said %q, error %v", o.cmd.Args, line, err)
	}
}

// step has the process go on from where it waits to the next such place.
func (o *odd) step(t testing.TB) {
	t.Helper()
	if _, err := o.stdin.Write([]byte{'\n'}); err != nil {
		t.Fatal(err)
	}
	o.wantReady(t)
}

// end kills the process and waits for it. It does nothing the second time.
func (o *odd) end() {
	_ = o.stdin.Close()
	_ = o.cmd.Process.Kill()
	_ = o.cmd.Wait()
}

func openProcess(t testing.TB, pid int) *Process {
	t.Helper()
	p, err := OpenProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// must returns v, and fails the test on an error.
func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantEqual[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func wantRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

func TestOddNames(t *testing.T) {
	for _, name := range []string{
		"a b", "a) R 1 (b", "x\ny", "tab\tbed", "\xff\xfe", "))((", "Uid:\t7\t7\t7", "Threads:\t99", " lead", "äöüäöüä",
	} {
		t.Run(name, func(t *testing.T) {
			p := startOdd(t, nil, "name="+name)
			wantEqual(t, "name", must[string](t)(p.Name()), name)
			uid := uint32(os.Getuid())
			wantEqual(t, "uids", must[Owners](t)(p.UIDs()), Owners{uid, uid, uid})
			wantEqual(t, "ppid", must[int](t)(p.PPID()), os.Getpid())
			threads := must[[]Thread](t)(p.Threads())
			wantEqual(t, "threads", must[int](t)(p.NumThreads()), len(threads))
			if threads[0].TID != p.PID() || threads[0].Name != name {
				t.Errorf("got main thread %+v", threads[0])
			}
		})
	}
}

func TestLongNameIsCompleted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a-long-name-äöü-0123456789")
	copyOdd(t, path)
	p := startOdd(t, func(c *exec.Cmd) { c.Path, c.Args[0] = path, path })
	wantEqual(t, "name", must[string](t)(p.Name()), filepath.Base(path))
	p = startOdd(t, func(c *exec.Cmd) { c.Path, c.Args[0] = path, "other" })
	wantEqual(t, "name that argv does not know", must[string](t)(p.Name()), filepath.Base(path)[:maxComm])
}

func copyOdd(t testing.TB, to string) {
	t.Helper()
	from, err := oddProgram()
	if err != nil {
		t.Fatal(err)
	}
	text := must[[]byte](t)(os.ReadFile(from))
	if err := os.WriteFile(to, text, 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestOddThread(t *testing.T) {
	const name = "t) S 1 2"
	p := startOdd(t, nil, "threadname="+name)
	eventually(t, func() bool {
		for _, thread := range must[[]Thread](t)(p.Threads()) {
			if thread.Name == name && thread.User+thread.System >= 100*time.Millisecond {
				return true
			}
		}
		return false
	})
}

func TestManyThreads(t *testing.T) {
	p := startOdd(t, nil, "threads=200")
	eventually(t, func() bool { return must[int](t)(p.NumThreads()) > 200 })
	threads := must[[]Thread](t)(p.Threads())
	if len(threads) <= 200 || !slices.IsSortedFunc(threads, func(a, b Thread) int { return a.TID - b.TID }) {
		t.Errorf("got %d threads, want more than 200 in order", len(threads))
	}
	all, main := must[ContextSwitches](t)(p.ThreadsContextSwitches()), must[ContextSwitches](t)(p.ContextSwitches())
	if all.Voluntary < main.Voluntary+200 {
		t.Errorf("got %+v of all threads, %+v of the main one", all, main)
	}
	// A thread's number opens it, and is no PID.
	thread := openProcess(t, threads[1].TID)
	wantEqual(t, "exists", must[bool](t)(PIDExists(threads[1].TID)), false)
	wantEqual(t, "ppid of a thread", must[int](t)(thread.PPID()), os.Getpid())
}

func TestOddCommandLines(t *testing.T) {
	huge := strings.Repeat("x", 100_000)
	tests := []struct {
		name string
		args []string
		want []string
	}{
		{"spaces", []string{"odd", "a b", " "}, nil},
		{"argv[0] with a space", []string{"my program"}, nil},
		{"empty at the end", []string{"odd", "a", "", ""}, nil},
		{"line breaks", []string{"odd", "a\r\nb\rc"}, nil},
		{"not UTF-8", []string{"odd", "\xff\xfe"}, nil},
		{"huge", []string{"odd", huge, huge}, nil},
		{"title", []string{"odd", "title=short", strings.Repeat("p", 20)}, append([]string{"short"}, make([]string, 30)...)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := startOdd(t, func(c *exec.Cmd) { c.Args = tt.args })
			got := must[[]string](t)(p.Cmdline())
			if tt.want != nil {
				wantEqual(t, "first word", got[0], tt.want[0])
				wantEqual(t, "the rest", strings.Join(got[1:], ""), "")
				return
			}
			if !slices.Equal(got, tt.args) {
				t.Errorf("got %.200q, want %.200q", got, tt.args)
			}
			raw := must[[]byte](t)(p.CmdlineRaw())
			wantEqual(t, "raw", string(raw), strings.Join(tt.args, "\x00")+"\x00")
		})
	}
}

func TestOddEnviron(t *testing.T) {
	p := startOdd(t, func(c *exec.Cmd) { c.Env = []string{"A=1", "B=x=y\r\n", "C=\xff"} })
	got := must[map[string]string](t)(p.Environ())
	if len(got) != 3 || got["A"] != "1" || got["B"] != "x=y\r\n" || got["C"] != "\xff" {
		t.Errorf("got %q", got)
	}
}

func TestDeletedProgram(t *testing.T) {
	for _, name := range []string{"prog", "prog (deleted)"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			copyOdd(t, path)
			p := startOdd(t, func(c *exec.Cmd) { c.Path = path })
			wantEqual(t, "exe", must[string](t)(p.Exe()), path)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			wantEqual(t, "exe after removal", must[string](t)(p.Exe()), path)
			// Another file with the words that the kernel adds is not it.
			if err := os.WriteFile(path+" (deleted)", nil, 0o600); err != nil {
				t.Fatal(err)
			}
			wantEqual(t, "exe beside a decoy", must[string](t)(p.Exe()), path)
		})
	}
}

func TestProgramInMemory(t *testing.T) {
	p := startOdd(t, nil, "reexec=x")
	wantEqual(t, "exe", must[string](t)(p.Exe()), "/memfd:odd")
}

func TestDeletedDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b\n")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p := startOdd(t, func(c *exec.Cmd) { c.Dir = dir })
	wantEqual(t, "cwd", must[string](t)(p.Cwd()), dir)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "cwd after removal", must[string](t)(p.Cwd()), dir)
}

func TestChroot(t *testing.T) {
	wantRoot(t)
	dir := t.TempDir()
	p := startOdd(t, nil, "chdir="+dir, "chroot="+dir)
	wantEqual(t, "cwd", must[string](t)(p.Cwd()), dir)
	wantEqual(t, "exe", must[string](t)(p.Exe()), must[string](t)(oddProgram()))
}

// TestKernelThread relies on number 2, which is one where we see all of the
// machine.
func TestKernelThread(t *testing.T) {
	p, err := OpenProcess(2)
	if err != nil {
		t.Skip("no process 2 here: in a PID namespace of its own")
	}
	defer p.Close()
	if name := must[string](t)(p.Name()); name != "kthreadd" {
		t.Skipf("process 2 is %s: in a PID namespace of its own", name)
	}
	wantRoot(t)
	wantEqual(t, "exe", must[string](t)(p.Exe()), "")
	wantEqual(t, "cwd", must[string](t)(p.Cwd()), "/")
	wantEqual(t, "arguments", len(must[[]string](t)(p.Cmdline())), 0)
	wantEqual(t, "variables", len(must[map[string]string](t)(p.Environ())), 0)
	wantEqual(t, "mappings", len(must[[]MemoryMap](t)(p.MemoryMaps())), 0)
	wantEqual(t, "open files", len(must[[]OpenFile](t)(p.OpenFiles())), 0)
	wantEqual(t, "fds", must[int](t)(p.NumFDs()), 0)
	wantEqual(t, "footprint", must[Footprint](t)(p.Footprint()), Footprint{})
	wantEqual(t, "memory", must[MemoryInfo](t)(p.MemoryInfo()), MemoryInfo{})
	if parent, err := p.Parent(); parent != nil || err != nil {
		t.Errorf("got parent %v, error %v, want none", parent, err)
	}
}

func TestOwners(t *testing.T) {
	wantRoot(t)
	p := startOdd(t, nil, "owners=1001,4294967293,1003")
	wantEqual(t, "uids", must[Owners](t)(p.UIDs()), Owners{1001, 4294967293, 1003})
	wantEqual(t, "gids", must[Owners](t)(p.GIDs()), Owners{1002, 4294967294, 1004})
	wantEqual(t, "username", must[string](t)(p.Username()), "1001")
}

func TestMemoryOfMappings(t *testing.T) {
	p := startStopped(t)
	each, sums := must[[]MemoryMap](t)(p.MemoryMaps()), must[[]MemoryMap](t)(p.MemoryMapsByPath())
	paths := make(map[string]uint64)
	for _, m := range each {
		paths[m.Path] += m.Size
	}
	for _, m := range sums {
		wantEqual(t, "size of "+m.Path, m.Size, paths[m.Path])
		delete(paths, m.Path)
	}
	if exe := must[string](t)(p.Exe()); len(paths) != 0 || !slices.ContainsFunc(sums, func(m MemoryMap) bool { return m.Path == exe }) {
		t.Errorf("paths without a sum: %v; %s is among them: %v", paths, exe, sums)
	}
	full := must[MemoryFullInfo](t)(p.MemoryFullInfo())
	ex := must[MemoryInfoEx](t)(p.MemoryInfoEx())
	if full.USS == 0 || full.PSS < full.USS || full.RSS == 0 || full.VMS < full.RSS || ex.PeakRSS < ex.RSSAnon || ex.PeakRSS == 0 {
		t.Errorf("got %+v, %+v", full, ex)
	}
}
