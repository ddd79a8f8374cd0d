//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A child waits between fork and exec. With os/exec there is no such pause.
type child struct {
	pid   int
	line  string   // command line of the program, with NUL after each argument
	start *os.File // a byte written here lets it continue
	began *os.File // closes at execve or exit
}

var (
	waiting []child // for release
	forked  []int   // PIDs of all children; reaped at the end
)

// endChildren kills and reaps all children.
func endChildren() {
	for _, pid := range forked {
		_ = unix.Kill(pid, unix.SIGKILL)
		_, _ = unix.Wait4(pid, nil, 0, nil)
	}
}

// fork starts a child and prints its PID.
func fork(line string) error {
	program, err := newImage(line)
	if err != nil {
		return err
	}
	var start, began [2]int
	if err := errors.Join(unix.Pipe2(start[:], unix.O_CLOEXEC), unix.Pipe2(began[:], unix.O_CLOEXEC)); err != nil {
		return err
	}
	pid, errno := forkAndWait(program, start)
	if errno != 0 {
		return errno
	}
	fmt.Println("child", pid)
	forked = append(forked, pid)
	waiting = append(waiting, child{pid, strings.Join(strings.Fields(line)[1:], "\x00") + "\x00",
		os.NewFile(uintptr(start[1]), "start"), os.NewFile(uintptr(began[0]), "began")})
	return errors.Join(unix.Close(start[0]), unix.Close(began[1]))
}

// forkAndWait returns the PID of a copy of this thread, which lives as long as this thread. The copy
// has no other threads, so it must not use the Go runtime: it only makes system calls.
func forkAndWait(program *image, start [2]int) (int, syscall.Errno) {
	var word [1]byte
	pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 || pid != 0 {
		return int(pid), errno
	}
	syscall.RawSyscall(syscall.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(syscall.SIGKILL), 0)
	syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(start[1]), 0, 0) // otherwise its end would stay open
	if n, _, _ := syscall.RawSyscall(syscall.SYS_READ, uintptr(start[0]), uintptr(unsafe.Pointer(&word)), 1); n == 1 {
		_ = program.exec()
	}
	for {
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 127, 0, 0)
	}
}

// release lets the last child continue, and returns when it executes its program or has exited. execve
// closes the pipe slightly before the process has its new arguments.
func release() error {
	if len(waiting) == 0 {
		return errors.New("no child waits")
	}
	last := waiting[len(waiting)-1]
	waiting = waiting[:len(waiting)-1]
	if _, err := last.start.Write([]byte{1}); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, last.began); err != nil {
		return err
	}
	if err := errors.Join(last.start.Close(), last.began.Close()); err != nil {
		return err
	}
	return last.await()
}

// await returns when the child has the arguments of its program. A script would have those of its
// interpreter.
func (c *child) await() error {
	proc := fmt.Sprintf("/proc/%d/", c.pid)
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		line, err := os.ReadFile(proc + "cmdline")
		if err != nil || string(line) == c.line {
			return err
		}
		if stat, err := os.ReadFile(proc + "stat"); err != nil || bytes.Contains(stat, []byte(") Z ")) {
			return err
		}
	}
	return fmt.Errorf("child %d did not execute %q", c.pid, c.line)
}
