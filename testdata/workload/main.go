//go:build linux

// Workload is a process that does known work, for tests that compare what
// exporters say with what happened. It obeys lines on its standard input:
//
//	cpu MILLISECONDS   computes for so long, by the kernel's own account
//	write BYTES        writes so many bytes to a file and has them put on the disk
//	open N             opens N more file descriptors
//	thread NAME MS     starts a thread of that name, which computes and then sleeps
//	leave              lets the thread that was started last exit
//
// and answers each with a line when it is done. It ends with its input.
package main

import (
	"bufio"
	"fmt"
	"os"
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
)

func main() {
	if len(os.Args) > 1 {
		rename(os.Args[1])
	}
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if err := obey(words); err != nil {
			fmt.Println("error:", err)
			continue
		}
		fmt.Println("done")
	}
}

func obey(words []string) error {
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
	case "leave":
		last := len(leave) - 1
		close(leave[last])
		leave = leave[:last]
	}
	return nil
}

func number(word string) int {
	n, err := strconv.Atoi(word)
	if err != nil {
		panic(err)
	}
	return n
}

// compute burns CPU until a clock has gone on by some milliseconds.
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

// thread never unlocks, so that its thread exits with it.
func thread(name string, ms int, started chan<- struct{}, stop <-chan struct{}) {
	runtime.LockOSThread()
	rename(name)
	compute(unix.CLOCK_THREAD_CPUTIME_ID, ms)
	close(started)
	<-stop
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
