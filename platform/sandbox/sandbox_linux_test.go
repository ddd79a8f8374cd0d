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
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// modeVariable is the environment variable with the mode of a child process. A
// child enters the sandbox, because a process cannot leave it.
const modeVariable = "SANDBOX_TEST"

// Modes of a child process.
const (
	modeNone     = "none" // without a sandbox, for comparison
	modePlain    = "plain"
	modeLandlock = "landlock"
	modeKeep     = "keep"  // keeps two capabilities
	modeEvery    = "every" // makes all system calls
	modeFiles    = "files" // lists its file descriptors
)

func TestMain(m *testing.M) {
	if mode := os.Getenv(modeVariable); mode != "" {
		runAsChild(mode)
	}
	os.Exit(m.Run())
}

// An outcome is the result of one operation.
type outcome struct {
	Denied bool // with EPERM or EACCES
	Err    string
}

// A childReport is the result of a child process.
type childReport struct {
	Layers      []string
	Unavailable []string
	Operations  map[string]outcome
	Status      string             // /proc/self/status
	OwnsProc    bool               // /proc/self belongs to the user of the process: not so if it is undumpable, except for root
	Calls       map[uintptr]string // result of each system call, see callEverything
	Files       []int              // of ExtraFiles that are open
	FileLimit   unix.Rlimit
	Terminal    string    // error of opening the controlling terminal
	Streams     [3]string // target and access mode of the standard streams
}

// runAsChild enters the sandbox, tries all operations, prints a report and exits.
func runAsChild(mode string) {
	dir := os.Getenv("SANDBOX_DIR")
	operations := make(map[string]func() error)
	addSyscalls(operations)
	if mode == modeEvery {
		callEverything()
	}
	if mode == modeFiles {
		listFiles()
	}
	if mode == modeNone {
		printAndExit(childReport{Operations: try(operations), OwnsProc: ownsProc()})
	}
	maps.Copy(operations, otherOperations(dir))
	started := make(chan int)
	for range 4 { // threads that exist before the sandbox
		go func() { started <- unix.Gettid() }()
		<-started
	}
	o := Options{Landlock: mode == modeLandlock, Readable: []string{"/proc", dir, "/etc"}}
	if mode == modeKeep {
		o.Keep = []Capability{Perfmon, SysPtrace}
	}
	entered := Enter(o)
	r := childReport{Layers: entered.Layers}
	for _, err := range entered.Unavailable {
		r.Unavailable = append(r.Unavailable, err.Error())
	}
	r.Operations = try(operations)
	status, _ := os.ReadFile("/proc/self/status")
	r.Status, r.OwnsProc = string(status), ownsProc()
	printAndExit(r)
}

func ownsProc() bool {
	var info unix.Stat_t
	return unix.Stat("/proc/self/status", &info) == nil && int(info.Uid) == os.Geteuid()
}

func printAndExit(r childReport) {
	_ = json.NewEncoder(os.Stdout).Encode(r)
	os.Exit(0)
}

// try runs all operations concurrently, on threads that existed before the
// sandbox and on new ones.
func try(operations map[string]func() error) map[string]outcome {
	results := make(map[string]outcome)
	var all sync.WaitGroup
	var mu sync.Mutex
	for name, operation := range operations {
		all.Go(func() {
			err := operation()
			mu.Lock()
			defer mu.Unlock()
			results[name] = outcome{errors.Is(err, fs.ErrPermission), fmt.Sprint(err)}
		})
	}
	all.Wait()
	return results
}

// otherOperations returns operations that the sandbox must deny, and some that it
// must permit, whose names begin with "may".
func otherOperations(dir string) map[string]func() error {
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
		"open read-write":   open(path, os.O_RDWR),
		"create":            open(path+"2", os.O_CREATE|os.O_WRONLY),
		"append":            open(path, os.O_APPEND|os.O_WRONLY),
		"truncate":          func() error { return os.Truncate(path, 0) },
		"remove":            func() error { return os.Remove(path) },
		"rename":            func() error { return os.Rename(path, path+"3") },
		"mkdir":             func() error { return os.Mkdir(path+"4", 0o700) },
		"write own memory":  open("/proc/self/mem", os.O_RDWR),
		"exec":              func() error { return syscall.Exec("/bin/true", []string{"true"}, nil) },
		"start program":     func() error { return exec.Command("/bin/true").Run() },
		"ptrace":            func() error { return unix.PtraceAttach(os.Getppid()) },
		"socket":            func() error { _, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0); return err },
		"bind":              func() error { return unix.Bind(socket, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}) },
		"connect":           func() error { return unix.Connect(socket, &unix.SockaddrInet4{Port: 1, Addr: [4]byte{127, 0, 0, 1}}) },
		"signal":            func() error { return unix.Kill(os.Getppid(), 0) },
		"namespace":         func() error { return unix.Unshare(unix.CLONE_NEWUSER) },
		"mount":             func() error { return unix.Mount("none", dir, "tmpfs", 0, "") },
		"change user":       changeUser,
		"read other memory": func() error { return readMemory(os.Getppid()) },
		"be dumpable":       func() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0) },
		"may read":          open(path, os.O_RDONLY),
		"may list":          func() error { _, err := os.ReadDir("/proc"); return err },
		"may accept":        accepted,
		"may start threads": startThreads,
		"may signal itself": func() error { return unix.Kill(os.Getpid(), unix.SIGURG) },
		"may read a limit":  func() error { return unix.Prlimit(os.Getpid(), unix.RLIMIT_NOFILE, nil, new(unix.Rlimit)) },
	}
}

// changeUser tries to change the user of one thread. The C library would end the program
// if the results of threads differ.
func changeUser() error {
	if _, _, errno := unix.Syscall(unix.SYS_SETRESUID, 1, 1, 1); errno != 0 {
		return errno
	}
	return nil
}

// startThreads starts threads that exit again.
func startThreads() error {
	var all sync.WaitGroup
	for range 20 {
		all.Go(runtime.LockOSThread) // the thread exits with its goroutine
	}
	all.Wait()
	return nil
}

func readMemory(pid int) error {
	var buf [1]byte
	_, err := unix.ProcessVMReadv(pid, []unix.Iovec{{Base: &buf[0], Len: 1}}, []unix.RemoteIovec{{Base: 1 << 20, Len: 1}}, 0)
	return err
}

// childCommand returns the command that runs a copy of the test binary in a mode.
func childCommand(t *testing.T, mode string) *exec.Cmd {
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
	file := filepath.Join(dir, "file")
	err = errors.Join(os.Chmod(dir, 0o777), os.WriteFile(copied, program, 0o755), os.WriteFile(file, nil, 0o666), os.Chmod(file, 0o666))
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(copied)
	command.Env = append(os.Environ(), modeVariable+"="+mode, "SANDBOX_DIR="+dir)
	command.Stderr = os.Stderr
	return command
}

// runChild runs a copy of the test binary in a mode.
func runChild(t *testing.T, mode string, attr *syscall.SysProcAttr) childReport {
	t.Helper()
	command := childCommand(t, mode)
	command.SysProcAttr = attr
	return report(t, command)
}

// TestManyTimers enters the sandbox while timers of another process of the user exceed its limit.
func TestManyTimers(t *testing.T) {
	var timers []int32
	defer func() {
		for _, id := range timers {
			_, _, _ = unix.Syscall(unix.SYS_TIMER_DELETE, uintptr(id), 0, 0)
		}
	}()
	for len(timers) <= maxPendingSignals {
		event := struct {
			value          uintptr
			signal, notify int32
			_              [48]byte
		}{notify: 1} // SIGEV_NONE
		var id int32
		_, _, errno := unix.Syscall(unix.SYS_TIMER_CREATE, unix.CLOCK_MONOTONIC, uintptr(unsafe.Pointer(&event)), uintptr(unsafe.Pointer(&id)))
		if errno != 0 {
			t.Fatal(errno)
		}
		timers = append(timers, id)
	}
	if r := runChild(t, modeKeep, nil); !slices.Contains(r.Layers, "no_new_privs") {
		t.Errorf("got layers %q, want no_new_privs in them", r.Layers)
	}
}

// report runs a child process and returns its report.
func report(t *testing.T, command *exec.Cmd) childReport {
	t.Helper()
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var r childReport
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return r
}

// testUsers returns the attributes of child processes: the current user and, for
// root, also an unprivileged user.
func testUsers(t *testing.T) map[string]*syscall.SysProcAttr {
	t.Helper()
	if os.Getuid() != 0 {
		t.Log("running as another user requires root")
		return map[string]*syscall.SysProcAttr{"current user": nil}
	}
	unprivileged := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	return map[string]*syscall.SysProcAttr{"current user": nil, "unprivileged": unprivileged}
}

// TestSandbox tries operations of a compromised program, as the current and as
// an unprivileged user.
func TestSandbox(t *testing.T) {
	for _, mode := range []string{modePlain, modeLandlock, modeKeep} {
		for name, attr := range testUsers(t) {
			t.Run(mode+"/"+name, func(t *testing.T) {
				if mode == modeKeep && attr == nil && os.Getuid() == 0 { // keeps two capabilities
					testenv.RequireCapability(t, testenv.SysPtrace)
					testenv.RequireCapability(t, testenv.Perfmon)
				}
				checkChild(t, mode, attr)
			})
		}
	}
}

// checkChild runs a child process in the sandbox and checks what it reports.
func checkChild(t *testing.T, mode string, attr *syscall.SysProcAttr) {
	t.Helper()
	r := runChild(t, mode, attr)
	if len(r.Operations) <= len(deniedSyscalls) {
		t.Errorf("got %d operations, want more than %d", len(r.Operations), len(deniedSyscalls))
	}
	if slices.ContainsFunc(r.Unavailable, func(s string) bool { return strings.Contains(s, "landlock") }) {
		t.Logf("this kernel has no Landlock: %q", r.Unavailable)
	} else if len(r.Unavailable) > 0 {
		t.Errorf("got unavailable layers %q, want none", r.Unavailable)
	}
	for operation, got := range r.Operations {
		if may := strings.HasPrefix(operation, "may"); got.Denied == may || may && got.Err != "<nil>" {
			t.Errorf("%s: got error %s, want permitted %v", operation, got.Err, may)
		}
	}
	if r.OwnsProc && attr != nil {
		t.Error("got a dumpable process, want that processes of the same user cannot ptrace it")
	}
	const none = "0000000000000000"
	want := map[string]string{"NoNewPrivs": "1", "Seccomp": "2", "CapEff": none, "CapPrm": none, "CapAmb": none}
	if mode == modeKeep && attr == nil && os.Getuid() == 0 {
		want["CapEff"] = fmt.Sprintf("%016x", 1<<SysPtrace|1<<uint64(Perfmon))
		want["CapPrm"], want["CapBnd"] = want["CapEff"], want["CapEff"]
	}
	for key, value := range want {
		if !strings.Contains(r.Status, key+":\t"+value+"\n") {
			t.Errorf("got no %s %s, want it in:\n%s", key, value, r.Status)
		}
	}
}

// TestFilterJumps requires that each jump target is within the filter.
func TestFilterJumps(t *testing.T) {
	f := newFilter(permitted(nil))
	for i, step := range f {
		if target := i + 1 + int(max(step.Jt, step.Jf)); step.Code&0x07 == unix.BPF_JMP && target >= len(f) {
			t.Errorf("instruction %d: got jump target %d, want below %d", i, target, len(f))
		}
	}
}
