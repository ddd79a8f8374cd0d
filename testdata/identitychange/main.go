//go:build linux

// Disguise is a process that becomes another, for tests of what exporters make
// of that. It says "ready", and obeys lines on its standard input:
//
//	name NAME               renames its first thread
//	title TEXT              writes over its arguments, as far as there is room
//	user UID                gives up its user for another, for good
//	cgroup DIR              moves to a control group
//	exec PROGRAM ARGS...    becomes another program; ARGS begin with its name
//	fork PROGRAM ARGS...    starts a child that waits before it does the same
//	release                 lets the child that was started last go on
//
// and answers each with "done" when it is done, after "child PID" if there is
// one. The answer to exec is the "ready" of this program, if it is that. A child
// must leave standard input alone. The process ends with its input, and its
// children end with it.
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

// init keeps main on the first thread, whose name is that of the process.
func init() { runtime.LockOSThread() }

func main() {
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		verb, rest, _ := strings.Cut(lines.Text(), " ")
		if err := obey(verb, rest); err != nil {
			fmt.Println("error:", err)
			continue
		}
		fmt.Println("done")
	}
	endChildren()
}

func obey(verb, rest string) error {
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
		_, err = file.WriteString("0") // whoever writes
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
	return fmt.Errorf("no such command: %s", verb)
}

// setTitle leaves the NUL behind the last argument: without it, the kernel would
// take the environment for a part of the title.
func setTitle(title string) error {
	first, last := os.Args[0], os.Args[len(os.Args)-1]
	start := uintptr(unsafe.Pointer(unsafe.StringData(first)))
	end := uintptr(unsafe.Pointer(unsafe.StringData(last))) + uintptr(len(last))
	room := unsafe.Slice(unsafe.StringData(first), end-start)
	if len(title) > len(room) {
		return fmt.Errorf("no room for %d bytes in %d", len(title), len(room))
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

// An image is a program with its arguments, as execve wants them.
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

// exec makes nothing but a system call, so that it may follow a fork.
func (i *image) exec() error {
	_, _, errno := syscall.RawSyscall(syscall.SYS_EXECVE, uintptr(unsafe.Pointer(i.path)),
		uintptr(unsafe.Pointer(&i.arguments[0])), uintptr(unsafe.Pointer(&i.environ[0])))
	return errno
}
