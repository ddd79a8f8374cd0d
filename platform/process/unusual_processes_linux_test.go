package process

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

func TestUnusualNames(t *testing.T) {
	for _, name := range []string{
		"a b", "a) R 1 (b", "x\ny", "tab\tbed", "\xff\xfe", "))((", "Uid:\t7\t7\t7", "Threads:\t99", " lead", "äöüäöüä",
	} {
		t.Run(name, func(t *testing.T) {
			p := startStopped(t, "name="+name) // its runtime starts no thread between two reads
			wantEqual(t, "name", must[string](t)(p.Name()), name)
			uid := uint32(os.Getuid())
			wantEqual(t, "uids", must[CredentialIDs](t)(p.UIDs()), CredentialIDs{uid, uid, uid})
			wantEqual(t, "ppid", must[int](t)(p.PPID()), os.Getpid())
			threads := must[[]Thread](t)(p.Threads())
			wantEqual(t, "threads", must[int](t)(p.NumThreads()), len(threads))
			if threads[0].TID != p.PID() || threads[0].Name != name {
				t.Errorf("got main thread %+v, want TID %d and name %q", threads[0], p.PID(), name)
			}
		})
	}
}

func TestTruncatedNameIsCompleted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a-long-name-äöü-0123456789")
	testenv.CopyEdgeCase(t, path)
	p := startChild(t, func(c *exec.Cmd) { c.Path, c.Args[0] = path, path })
	wantEqual(t, "name", must[string](t)(p.Name()), filepath.Base(path))
	p = startChild(t, func(c *exec.Cmd) { c.Path, c.Args[0] = path, "other" })
	wantEqual(t, "name that argv does not complete", must[string](t)(p.Name()), filepath.Base(path)[:maxComm])
}

func TestThreadName(t *testing.T) {
	const name = "t) S 1 2"
	p := startChild(t, nil, "threadname="+name)
	testenv.Eventually(t, func() bool {
		for _, thread := range must[[]Thread](t)(p.Threads()) {
			if thread.Name == name && thread.User+thread.System >= 100*time.Millisecond {
				return true
			}
		}
		return false
	})
}

func TestManyThreads(t *testing.T) {
	p := startChild(t, nil, "threads=200")
	testenv.Eventually(t, func() bool { return must[int](t)(p.NumThreads()) > 200 })
	threads := must[[]Thread](t)(p.Threads())
	if len(threads) <= 200 || !slices.IsSortedFunc(threads, func(a, b Thread) int { return a.TID - b.TID }) {
		t.Errorf("got %d threads, want more than 200 in order", len(threads))
	}
	all, main := must[ContextSwitches](t)(p.ThreadsContextSwitches()), must[ContextSwitches](t)(p.ContextSwitches())
	if all.Voluntary < main.Voluntary+200 {
		t.Errorf("got %+v of all threads, want 200 more than %+v of the main thread", all, main)
	}
	// Open accepts a thread ID, but Exists does not.
	thread := openProcess(t, threads[1].TID)
	wantEqual(t, "exists", must[bool](t)(Exists(threads[1].TID)), false)
	wantEqual(t, "ppid of a thread", must[int](t)(thread.PPID()), os.Getpid())
}

func TestCmdline(t *testing.T) {
	huge := strings.Repeat("x", 100_000)
	tests := []struct {
		name string
		args []string
		want []string
	}{
		{"spaces", []string{"edgecase", "a b", " "}, nil},
		{"argv[0] with a space", []string{"my program"}, nil},
		{"empty at the end", []string{"edgecase", "a", "", ""}, nil},
		{"line breaks", []string{"edgecase", "a\r\nb\rc"}, nil},
		{"not UTF-8", []string{"edgecase", "\xff\xfe"}, nil},
		{"huge", []string{"edgecase", huge, huge}, nil},
		{"title", []string{"edgecase", "title=short", strings.Repeat("p", 20)}, append([]string{"short"}, make([]string, 30)...)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := startChild(t, func(c *exec.Cmd) { c.Args = tt.args })
			got := must[[]string](t)(p.Cmdline())
			if tt.want != nil {
				wantEqual(t, "first argument", got[0], tt.want[0])
				wantEqual(t, "other arguments", strings.Join(got[1:], ""), "")
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

func TestEnviron(t *testing.T) {
	p := startChild(t, func(c *exec.Cmd) { c.Env = []string{"A=1", "B=x=y\r\n", "C=\xff"} })
	got := must[map[string]string](t)(p.Environ())
	if len(got) != 3 || got["A"] != "1" || got["B"] != "x=y\r\n" || got["C"] != "\xff" {
		t.Errorf("got %q, want A, B and C", got)
	}
}

func TestExeDeleted(t *testing.T) {
	for _, name := range []string{"prog", "prog (deleted)"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			testenv.CopyEdgeCase(t, path)
			p := startChild(t, func(c *exec.Cmd) { c.Path = path })
			wantEqual(t, "exe", must[string](t)(p.Exe()), path)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			wantEqual(t, "exe after removal", must[string](t)(p.Exe()), path)
			// A file at the path with the suffix is not the executable.
			if err := os.WriteFile(path+" (deleted)", nil, 0o600); err != nil {
				t.Fatal(err)
			}
			wantEqual(t, "exe with another file at the suffixed path", must[string](t)(p.Exe()), path)
		})
	}
}

func TestExeInMemfd(t *testing.T) {
	p := startChild(t, nil, "reexec=x")
	wantEqual(t, "exe", must[string](t)(p.Exe()), "/memfd:edgecase")
}

func TestCwdDeleted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b\n")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p := startChild(t, func(c *exec.Cmd) { c.Dir = dir })
	wantEqual(t, "cwd", must[string](t)(p.Cwd()), dir)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "cwd after removal", must[string](t)(p.Cwd()), dir)
}

func TestChroot(t *testing.T) {
	testenv.RequireRoot(t)
	dir := t.TempDir()
	p := startChild(t, nil, "chdir="+dir, "chroot="+dir)
	wantEqual(t, "cwd", must[string](t)(p.Cwd()), dir)
	wantEqual(t, "exe", must[string](t)(p.Exe()), testenv.EdgeCaseProgram(t))
}

// TestKernelThread reads process 2, which is kthreadd outside PID namespaces.
func TestKernelThread(t *testing.T) {
	p, err := Open(2)
	if err != nil {
		t.Skip("requires kthreadd: this is a PID namespace without process 2")
	}
	defer p.Close()
	if name := must[string](t)(p.Name()); name != "kthreadd" {
		t.Skipf("requires kthreadd: process 2 is %s", name)
	}
	testenv.RequireRoot(t)
	testenv.RequireCapability(t, testenv.SysPtrace)
	wantEqual(t, "exe", must[string](t)(p.Exe()), "")
	wantEqual(t, "cwd", must[string](t)(p.Cwd()), "/")
	wantEqual(t, "arguments", len(must[[]string](t)(p.Cmdline())), 0)
	wantEqual(t, "variables", len(must[map[string]string](t)(p.Environ())), 0)
	wantEqual(t, "mappings", len(must[[]MemoryMap](t)(p.MemoryMaps())), 0)
	wantEqual(t, "open files", len(must[[]OpenFile](t)(p.OpenFiles())), 0)
	wantEqual(t, "fds", must[int](t)(p.NumFDs()), 0)
	wantEqual(t, "footprint", must[Footprint](t)(p.Footprint()), Footprint{})
	wantEqual(t, "memory", must[MemoryInfo](t)(p.MemoryInfo()), MemoryInfo{})
	if parent, err := p.Parent(); parent != nil || !errors.Is(err, ErrNoParent) {
		t.Errorf("got parent %v, error %v, want ErrNoParent", parent, err)
	}
}

func TestCredentialIDs(t *testing.T) {
	testenv.RequireRoot(t)
	p := startChild(t, nil, "owners=1001,4294967293,1003")
	wantEqual(t, "uids", must[CredentialIDs](t)(p.UIDs()), CredentialIDs{1001, 4294967293, 1003})
	wantEqual(t, "gids", must[CredentialIDs](t)(p.GIDs()), CredentialIDs{1002, 4294967294, 1004})
	wantEqual(t, "username", must[string](t)(p.Username()), "1001")
}

func TestMemoryMapsByPath(t *testing.T) {
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
		t.Errorf("got %v, want the sums of all paths, also of %v and %s", sums, paths, exe)
	}
	full := must[MemoryFullInfo](t)(p.MemoryFullInfo())
	ex := must[MemoryInfoEx](t)(p.MemoryInfoEx())
	if full.USS == 0 || full.PSS < full.USS || full.RSS == 0 || full.VMS < full.RSS || ex.PeakRSS < ex.RSSAnon || ex.PeakRSS == 0 {
		t.Errorf("got %+v, %+v, want consistent memory use", full, ex)
	}
}
