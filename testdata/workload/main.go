//go:build linux

// Command workload is a process that does known work, to compare the values of
// exporters with it. It executes commands from its standard input:
//
//	cpu MILLISECONDS   uses that much CPU time, as measured by the kernel
//	write BYTES        writes and syncs a file
//	open N             opens N more file descriptors
//	thread NAME MS     starts a thread with that name, which uses CPU time and sleeps
//	leave              ends the last thread
//	child              starts another workload, which ends with this one
//	sleep NAME N       starts a thread with that name, which sleeps N times
//	listen ADDRESS     returns the bytes of each TCP connection to ADDRESS
//	exchange ADDRESS N sends N bytes over a new TCP connection, and receives them
//	unaccepted N       sends N bytes over a TCP connection to itself that it does not accept
//	undumpable         denies other processes of its user to trace it
//
// It prints a line after each command, and exits at the end of its input.
package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

var (
	leave []chan struct{}
	open  []*os.File

	children []io.Closer // standard input and output of each child
)

func main() {
	if len(os.Args) > 1 {
		rename(os.Args[1])
	}
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if err := runCommand(words); err != nil {
			fmt.Println("error:", err)
			continue
		}
		fmt.Println("done")
	}
}

func runCommand(words []string) error {
	switch words[0] {
	case "cpu":
		compute(unix.CLOCK_PROCESS_CPUTIME_ID, number(words[1]))
	case "write":
		return write(number(words[1]))
	case "open":
		for range number(words[1]) {
			f, err := os.Open(os.DevNull)
			if err != nil {
				return err
			}
			open = append(open, f)
		}
	case "thread":
		started, stop := make(chan struct{}), make(chan struct{})
		go thread(words[1], number(words[2]), started, stop)
		<-started
		leave = append(leave, stop)
	case "sleep":
		slept := make(chan struct{})
		go sleeper(words[1], number(words[2]), slept)
		<-slept
	case "child":
		child := exec.Command("/proc/self/exe")
		input, err := child.StdinPipe()
		if err != nil {
			return err
		}
		output, err := child.StdoutPipe()
		if err != nil {
			return err
		}
		children = append(children, input, output)
		if err := child.Start(); err != nil {
			return err
		}
		_, err = io.ReadFull(output, make([]byte, len("ready\n")))
		return err
	case "listen":
		return listen(words[1])
	case "exchange":
		return exchange(words[1], number(words[2]))
	case "unaccepted":
		return sendUnaccepted(number(words[1]))
	case "undumpable":
		return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	case "leave":
		last := len(leave) - 1
		close(leave[last])
		leave = leave[:last]
	}
	return nil
}

// listen returns the bytes of each TCP connection to an address until its end.
func listen(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c) // the client checks the result
				_ = c.Close()
			}()
		}
	}()
	return nil
}

// exchange sends bytes over a new TCP connection, and receives them until its end.
func exchange(address string, size int) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	go func() {
		_, _ = c.Write(make([]byte, size)) // the reader notices an error
		_ = c.(*net.TCPConn).CloseWrite()  // likewise
	}()
	if n, err := io.Copy(io.Discard, c); err != nil || n != int64(size) {
		return fmt.Errorf("received %d bytes, want %d: %w", n, size, err)
	}
	return nil
}

// sendUnaccepted sends bytes over a connection that is closed before it is accepted.
func sendUnaccepted(size int) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write(make([]byte, size))
	return err
}

func number(word string) int {
	n, err := strconv.Atoi(word)
	if err != nil {
		panic(err)
	}
	return n
}

// compute uses CPU time until a clock has advanced by some milliseconds.
func compute(clock int32, ms int) {
	now := func() time.Duration {
		var t unix.Timespec
		if err := unix.ClockGettime(clock, &t); err != nil {
			panic(err)
		}
		return time.Duration(t.Nano())
	}
	for end := now() + time.Duration(ms)*time.Millisecond; now() < end; {
	}
}

func write(n int) error {
	f, err := os.Create(filepath.Join(os.TempDir(), fmt.Sprintf("workload-%d", os.Getpid())))
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := f.Write(make([]byte, n)); err != nil {
		return err
	}
	return f.Sync()
}

// thread keeps its OS thread locked, so that the thread exits with it. It does not use the
// main thread, whose name is that of the process.
func thread(name string, ms int, started chan<- struct{}, stop <-chan struct{}) {
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() {
		go thread(name, ms, started, stop) // in another thread, because this one is locked
		select {}
	}
	rename(name)
	compute(unix.CLOCK_THREAD_CPUTIME_ID, ms)
	close(started)
	<-stop
}

// sleeper sleeps n times, each of which is a voluntary context switch of its thread, and
// keeps the thread until the process exits. It does not use the main thread.
func sleeper(name string, n int, slept chan<- struct{}) {
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() {
		go sleeper(name, n, slept) // in another thread, because this one is locked
		select {}
	}
	rename(name)
	for range n {
		_ = unix.Nanosleep(&unix.Timespec{Nsec: 1}, nil) // a signal of the Go runtime can end it
	}
	close(slept)
	select {}
}

func rename(name string) {
	text, err := unix.BytePtrFromString(name)
	if err != nil {
		panic(err)
	}
	if err := unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(text)), 0, 0, 0); err != nil {
		panic(err)
	}
}
