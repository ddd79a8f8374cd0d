//go:build amd64 || arm64

package sandbox

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// maxTestFiles is the limit of file descriptors of the child process.
const maxTestFiles = 100

// listFiles enters the sandbox, prints the descriptors of ExtraFiles that are open, the limit and
// whether the process has a terminal, and exits.
func listFiles() {
	var r childReport
	Enter(Options{OpenFiles: maxTestFiles})
	for fd := 3; fd < 3+len(inheritedFiles); fd++ {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err == nil {
			r.Files = append(r.Files, fd)
		}
	}
	_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &r.FileLimit)
	_, err := unix.Open("/dev/tty", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	r.Terminal = fmt.Sprint(err)
	for fd := range r.Streams {
		target, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		r.Streams[fd] = fmt.Sprintf("%s, access %d, error %v", target, flags&unix.O_ACCMODE, err)
	}
	printAndExit(r)
}

// inheritedFiles open files that a child process inherits.
var inheritedFiles = []struct {
	name   string
	isKept bool
	open   func(t *testing.T) *os.File
}{
	{"file for reading", true, func(t *testing.T) *os.File { return openTestFile(t, os.O_RDONLY) }},
	{"file for writing", false, func(t *testing.T) *os.File { return openTestFile(t, os.O_WRONLY) }},
	{"file for reading and writing", false, func(t *testing.T) *os.File { return openTestFile(t, os.O_RDWR) }},
	{"locked file", true, func(t *testing.T) *os.File {
		file := openTestFile(t, os.O_RDWR)
		mustSucceed(t, unix.Flock(int(file.Fd()), unix.LOCK_EX))
		return file
	}},
	{"read end of a pipe", true, func(t *testing.T) *os.File { read, _ := pipe(t); return read }},
	{"write end of a pipe", false, func(t *testing.T) *os.File { _, write := pipe(t); return write }},
	{"listener", false, func(t *testing.T) *os.File {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		mustSucceed(t, err)
		defer listener.Close()
		file, err := listener.(*net.TCPListener).File()
		mustSucceed(t, err)
		return file
	}},
}

func mustSucceed(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openTestFile(t *testing.T, flags int) *os.File {
	t.Helper()
	file, err := os.OpenFile(filepath.Join(t.TempDir(), "file"), flags|os.O_CREATE, 0o600)
	mustSucceed(t, err)
	return file
}

func pipe(t *testing.T) (read, write *os.File) {
	t.Helper()
	read, write, err := os.Pipe()
	mustSucceed(t, err)
	t.Cleanup(func() { _, _ = read.Close(), write.Close() })
	return read, write
}

// TestInheritedFiles starts a process with open files. The sandbox closes the writable ones and
// lowers the limit.
func TestInheritedFiles(t *testing.T) {
	command := childCommand(t, modeFiles)
	var want []int
	for i, f := range inheritedFiles {
		file := f.open(t)
		defer file.Close()
		command.ExtraFiles = append(command.ExtraFiles, file)
		if f.isKept {
			want = append(want, 3+i)
		}
	}
	r := report(t, command)
	if !slices.Equal(r.Files, want) {
		t.Errorf("got open descriptors %v, want %v", r.Files, want)
	}
	if limit := (unix.Rlimit{Cur: maxTestFiles, Max: maxTestFiles}); r.FileLimit != limit {
		t.Errorf("got limit %v, want %v", r.FileLimit, limit)
	}
}

// TestControllingTerminal starts a process in a session with a terminal. The sandbox gives it up,
// except if the process leads the session.
func TestControllingTerminal(t *testing.T) {
	command := childCommand(t, modeFiles)
	leader, follower := "<nil>", unix.ENXIO.Error()
	for want, args := range map[string][]string{leader: {command.Path}, follower: {"/bin/sh", "-c", `"$0"; true`, command.Path}} {
		command := childCommand(t, modeFiles)
		command.Path, command.Args = args[0], args
		command.Stdin = openTerminal(t)
		command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		if got := report(t, command).Terminal; got != want {
			t.Errorf("%q: got error %s, want %s", args, got, want)
		}
	}
}

// TestStandardStreams starts a process whose input and standard error are a terminal that is open for
// reading and writing. Inside the sandbox it cannot read the terminal.
func TestStandardStreams(t *testing.T) {
	command := childCommand(t, modeFiles)
	terminal := openTerminal(t)
	command.Stdin, command.Stderr = terminal, terminal
	r := report(t, command)
	for fd, want := range map[int]string{
		0: "/dev/null, access 0, error <nil>",
		2: terminal.Name() + ", access 1, error <nil>",
	} {
		if got := r.Streams[fd]; got != want {
			t.Errorf("descriptor %d: got %s, want %s", fd, got, want)
		}
	}
	if !strings.HasPrefix(r.Streams[1], "pipe:") {
		t.Errorf("got standard output %s, want the pipe", r.Streams[1])
	}
}

// TestOpenListeners finds a listening socket, and no other file.
func TestOpenListeners(t *testing.T) {
	before := openListeners()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	mustSucceed(t, err)
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	mustSucceed(t, err)
	defer c.Close()
	if got := openListeners(); len(got) != len(before)+1 {
		t.Errorf("got listeners %v, want one more than %v", got, before)
	}
}

// openTerminal returns a new pseudoterminal.
func openTerminal(t *testing.T) *os.File {
	t.Helper()
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	mustSucceed(t, err)
	t.Cleanup(func() { _ = control.Close() })
	mustSucceed(t, unix.IoctlSetPointerInt(int(control.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(control.Fd()), unix.TIOCGPTN)
	mustSucceed(t, err)
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	mustSucceed(t, err)
	t.Cleanup(func() { _ = terminal.Close() })
	return terminal
}
