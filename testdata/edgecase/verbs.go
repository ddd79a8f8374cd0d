//go:build linux

package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// await prints "ready" and continues at the next byte or the end of standard input.
func await(string) error {
	fmt.Println("ready")
	if _, err := os.Stdin.Read(make([]byte, 1)); err != io.EOF {
		return err
	}
	return nil
}

// spin prints "ready" and uses CPU time forever.
func spin(string) error {
	fmt.Println("ready")
	for {
		_ = beBusy("")
	}
}

// nest starts a chain of children, and returns when the last one is ready.
func nest(depth string) error {
	left, err := strconv.Atoi(depth)
	if err != nil || left == 0 {
		return err
	}
	child := exec.Command("/proc/self/exe", "nest="+strconv.Itoa(left-1))
	child.Stdin = os.Stdin
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := child.StdoutPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return err
	}
	_, err = io.ReadFull(out, make([]byte, len("ready\n")))
	return err
}

// setEnviron overwrites the initial environment. A comma represents the NUL byte after a variable.
func setEnviron(text string) error {
	size := 0
	for _, variable := range os.Environ() { // copies of the memory behind the arguments
		size += len(variable) + 1
	}
	last := os.Args[len(os.Args)-1]
	room := unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(unsafe.StringData(last)), len(last)+1)), size)
	if len(text) > len(room) {
		return fmt.Errorf("%d bytes do not fit into %d", len(text), len(room))
	}
	clear(room)
	copy(room, strings.ReplaceAll(text, ",", "\x00"))
	return nil
}

// readZeros reads bytes from /dev/zero.
func readZeros(size string) error {
	n, err := strconv.Atoi(size)
	if err != nil {
		return err
	}
	file, err := os.Open("/dev/zero")
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.ReadFull(file, make([]byte, n))
	return err
}

var sockets []io.Closer // keeps them reachable

// listenUnix binds a datagram socket.
func listenUnix(path string) error {
	s, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	sockets = append(sockets, s)
	return err
}

// beScheduled sets a scheduling policy and priority, such as "1,10".
func beScheduled(as string) error {
	policy, priority, _ := strings.Cut(as, ",")
	number, err := strconv.Atoi(policy)
	if err != nil {
		return err
	}
	rank, err := strconv.Atoi(priority)
	if err != nil {
		return fmt.Errorf("priority: %w", err)
	}
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: uint32(number), Priority: uint32(rank)}
	return unix.SchedSetAttr(0, &attr, 0)
}
