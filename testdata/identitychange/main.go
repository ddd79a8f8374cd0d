//go:build linux

// Command identitychange is a process that changes its identity, to test how
// exporters follow it. It prints "ready" and executes commands from its standard
// input:
//
//	name NAME               renames the main thread
//	title TEXT              overwrites the arguments, within their size
//	user UID                changes the user and group permanently
//	cgroup DIR              moves to a cgroup
//	exec PROGRAM ARGS...    executes another program; ARGS start with argv[0]
//	fork PROGRAM ARGS...    starts a child that waits before it executes a program
//	release                 lets the last child continue
//
// It prints "done" after each command, and "child PID" before that for fork. After
// exec of this program it prints "ready" instead. A child must not read standard
// input. The process exits at the end of its input, and ends its children.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// init keeps main on the main thread, whose name is the name of the process.
func init() { runtime.LockOSThread() }

func main() {
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		verb, rest, _ := strings.Cut(lines.Text(), " ")
		if err := runCommand(verb, rest); err != nil {
			fmt.Println("error:", err)
			continue
		}
		fmt.Println("done")
	}
	endChildren()
}

func runCommand(verb, rest string) error {
	switch verb {
	case "name":
		name, err := unix.BytePtrFromString(rest)
		if err != nil {
			return err
		}
		return unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(name)), 0, 0, 0)
	case "title":
		return setTitle(rest)
	case "user":
		return setUser(rest)
	case "cgroup":
		file, err := os.OpenFile(filepath.Join(rest, "cgroup.procs"), os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = file.WriteString("0") // 0: the writing process
		return errors.Join(err, file.Close())
	case "exec":
		program, err := newImage(rest)
		if err != nil {
			return err
		}
		return program.exec()
	case "fork":
		return fork(rest)
	case "release":
		return release()
	}
	return fmt.Errorf("unknown command: %s", verb)
}

// setTitle keeps the NUL byte after the last argument. Without it, the kernel would treat the
// environment as part of the title.
func setTitle(title string) error {
	first, last := os.Args[0], os.Args[len(os.Args)-1]
	start := uintptr(unsafe.Pointer(unsafe.StringData(first)))
	end := uintptr(unsafe.Pointer(unsafe.StringData(last))) + uintptr(len(last))
	room := unsafe.Slice(unsafe.StringData(first), end-start)
	if len(title) > len(room) {
		return fmt.Errorf("%d bytes do not fit into %d", len(title), len(room))
	}
	clear(room)
	copy(room, title)
	return nil
}

func setUser(word string) error {
	uid, err := strconv.Atoi(word)
	if err != nil {
		return err
	}
	if err := syscall.Setresgid(uid, uid, uid); err != nil {
		return err
	}
	return syscall.Setresuid(uid, uid, uid)
}

// An image is a program with its arguments and environment, in the form that execve(2) takes.
type image struct {
	path      *byte
	arguments []*byte
	environ   []*byte
}

func newImage(line string) (*image, error) {
	words := strings.Fields(line)
	if len(words) < 2 {
		return nil, errors.New("a program and its name, please")
	}
	path, err := syscall.BytePtrFromString(words[0])
	if err != nil {
		return nil, err
	}
	arguments, err := syscall.SlicePtrFromStrings(words[1:])
	if err != nil {
		return nil, err
	}
	environ, err := syscall.SlicePtrFromStrings(os.Environ())
	return &image{path, arguments, environ}, err
}

// exec makes only one system call, so that it can be used after fork. With nosplit, the
// child does not call the scheduler if the runtime wanted to preempt its parent.
//
//go:nosplit
func (i *image) exec() syscall.Errno {
	_, _, errno := syscall.RawSyscall(syscall.SYS_EXECVE, uintptr(unsafe.Pointer(i.path)),
		uintptr(unsafe.Pointer(&i.arguments[0])), uintptr(unsafe.Pointer(&i.environ[0])))
	return errno
}
