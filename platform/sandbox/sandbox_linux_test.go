//go:build amd64 || arm64

package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// inside is set in the process that enters a sandbox, since there is no way
// back. It says what for.
const inside = "SANDBOX_TEST"

// outside is for a process that enters none, to compare with.
const outside = "outside"

func TestMain(m *testing.M) {
	if what := os.Getenv(inside); what != "" {
		live(what)
	}
	os.Exit(m.Run())
}

// A finding is what came of one attempt.
type finding struct {
	Refused bool
	Err     string
}

// A life is what a process found in its sandbox.
type life struct {
	Layers   []string
	Missing  []string
	Attempts map[string]finding
	Status   string // of /proc/self/status
	Dumpable int    // what prctl(PR_GET_DUMPABLE) says
}

// live enters a sandbox, tries everything, tells, and ends.
func live(what string) {
	dir := os.Getenv("SANDBOX_DIR")
	attempts := make(map[string]func() error)
	attemptCalls(attempts)
	if what == outside {
		tell(life{Attempts: try(attempts), Dumpable: dumpable()})
	}
	maps.Copy(attempts, deeds(dir))
	started := make(chan int)
	for range 4 { // threads that are there before
		go func() { started <- unix.Gettid() }()
		<-started
	}
	o := Options{Landlock: what == "landlock", Readable: []string{"/proc", dir, "/etc"}}
	if strings.HasPrefix(what, "keep") {
		o.Keep = []Capability{Perfmon, SysPtrace}
	}
	r := Enter(o)
	l := life{Layers: r.Layers}
	for _, err := range r.Missing {
		l.Missing = append(l.Missing, err.Error())
	}
	l.Attempts = try(attempts)
	status, _ := os.ReadFile("/proc/self/status")
	l.Status, l.Dumpable = string(status), dumpable()
	tell(l)
}

// dumpable returns -1 if the kernel does not say.
func dumpable() int {
	is, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	if err != nil {
		return -1
	}
	return is
}

// tell tells the test what came of it, and ends.
func tell(l life) {
	_ = json.NewEncoder(os.Stdout).Encode(l)
	os.Exit(0)
}

// try makes all attempts at once, on threads that were there before or not.
func try(attempts map[string]func() error) map[string]finding {
	found := make(map[string]finding)
	var all sync.WaitGroup
	var mu sync.Mutex
	for name, attempt := range attempts {
		all.Go(func() {
			err := attempt()
			mu.Lock()
			defer mu.Unlock()
			found[name] = finding{errors.Is(err, fs.ErrPermission), fmt.Sprint(err)}
		})
	}
	all.Wait()
	return found
}

// deeds are what must fail inside, and some that must not, whose names begin
// with "may".
func deeds(dir string) map[string]func() error {
	path := filepath.Join(dir, "file")
	open := func(path string, flags int) func() error {
		return func() error {
			f, err := os.OpenFile(path, flags, 0o600)
			if err == nil {
				err = f.Close()
			}
			return err
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		panic(err)
	}
	accepted := func() error { return listener.(*net.TCPListener).SetDeadline(time.Unix(1, 0)) }
	return map[string]func() error{
		"open for writing":  open(path, os.O_WRONLY),
		"open for both":     open(path, os.O_RDWR),
		"create":            open(path+"2", os.O_CREATE|os.O_WRONLY),
		"append":            open(path, os.O_APPEND|os.O_WRONLY),
		"truncate":          func() error { return os.Truncate(path, 0) },
		"remove":            func() error { return os.Remove(path) },
		"rename":            func() error { return os.Rename(path, path+"3") },
		"make a directory":  func() error { return os.Mkdir(path+"4", 0o700) },
		"own memory":        open("/proc/self/mem", os.O_RDWR),
		"exec":              func() error { return syscall.Exec("/bin/true", []string{"true"}, nil) },
		"start":             func() error { return exec.Command("/bin/true").Run() },
		"ptrace":            func() error { return unix.PtraceAttach(os.Getppid()) },
		"socket":            func() error { _, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0); return err },
		"bind":              func() error { return unix.Bind(socket, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}) },
		"connect":           func() error { return unix.Connect(socket, &unix.SockaddrInet4{Port: 1, Addr: [4]byte{127, 0, 0, 1}}) },
		"signal":            func() error { return unix.Kill(os.Getppid(), 0) },
		"namespace":         func() error { return unix.Unshare(unix.CLONE_NEWUSER) },
		"mount":             func() error { return unix.Mount("none", dir, "tmpfs", 0, "") },
		"another user":      func() error { return unix.Setresuid(1, 1, 1) },
		"memory of another": func() error { return readMemory(os.Getppid()) },
		"be dumpable":       func() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0) },
		"may read":          open(path, os.O_RDONLY),
		"may list":          func() error { _, err := os.ReadDir("/proc"); return err },
		"may accept":        accepted,
		"may read a limit":  func() error { return unix.Prlimit(os.Getpid(), unix.RLIMIT_NOFILE, nil, new(unix.Rlimit)) },
	}
}

func readMemory(pid int) error {
	var buf [1]byte
	_, err := unix.ProcessVMReadv(pid, []unix.Iovec{{Base: &buf[0], Len: 1}}, []unix.RemoteIovec{{Base: 1 << 20, Len: 1}}, 0)
	return err
}

func send(t *testing.T, what string, attr *syscall.SysProcAttr) life {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "sandbox")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(dir, "test")
	if err := errors.Join(os.Chmod(dir, 0o777), os.WriteFile(copied, program, 0o755), os.WriteFile(filepath.Join(dir, "file"), nil, 0o666), os.Chmod(filepath.Join(dir, "file"), 0o666)); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(copied)
	command.Env = append(os.Environ(), inside+"="+what, "SANDBOX_DIR="+dir)
	command.SysProcAttr = attr
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var l life
	if err := json.Unmarshal(out, &l); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return l
}

// somebodies are who tries it.
func somebodies(t *testing.T) map[string]*syscall.SysProcAttr {
	t.Helper()
	if os.Getuid() != 0 {
		t.Log("only root can become somebody else")
		return map[string]*syscall.SysProcAttr{"ourselves": nil}
	}
	nobody := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	return map[string]*syscall.SysProcAttr{"ourselves": nil, "nobody": nobody}
}

// TestInside tries what a program that was taken over would try, as root and as
// somebody else.
func TestInside(t *testing.T) {
	for _, what := range []string{"plain", "landlock", "keep"} {
		for name, attr := range somebodies(t) {
			t.Run(what+"/"+name, func(t *testing.T) {
				l := send(t, what, attr)
				if len(l.Attempts) < len(calls) {
					t.Errorf("got %d attempts, want those of %d calls and more", len(l.Attempts), len(calls))
				}
				if slices.ContainsFunc(l.Missing, func(s string) bool { return strings.Contains(s, "landlock") }) {
					t.Logf("this kernel has no Landlock: %q", l.Missing)
				} else if len(l.Missing) > 0 {
					t.Errorf("got no %q", l.Missing)
				}
				for attempt, got := range l.Attempts {
					if may := strings.HasPrefix(attempt, "may"); got.Refused == may || may && got.Err != "<nil>" {
						t.Errorf("%s: got %s", attempt, got.Err)
					}
				}
				if l.Dumpable != 0 {
					t.Errorf("got dumpable %d, want 0: others of its user may look into it", l.Dumpable)
				}
				want := map[string]string{"NoNewPrivs": "1", "Seccomp": "2", "CapEff": "0000000000000000", "CapPrm": "0000000000000000", "CapAmb": "0000000000000000"}
				if what == "keep" && attr == nil && os.Getuid() == 0 {
					want["CapEff"] = fmt.Sprintf("%016x", 1<<SysPtrace|1<<uint64(Perfmon))
					want["CapPrm"], want["CapBnd"] = want["CapEff"], want["CapEff"]
				}
				for key, value := range want {
					if !strings.Contains(l.Status, key+":\t"+value+"\n") {
						t.Errorf("want %s %s in:\n%s", key, value, l.Status)
					}
				}
			})
		}
	}
}

// TestFilterIsWhole holds that no jump leads out of the filter.
func TestFilterIsWhole(t *testing.T) {
	for i, step := range callFilter() {
		if step.Code&0x07 == unix.BPF_JMP && i+1+int(max(step.Jt, step.Jf)) >= len(callFilter()) {
			t.Errorf("step %d jumps out of the filter", i)
		}
	}
}
