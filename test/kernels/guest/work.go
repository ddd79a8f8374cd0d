//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// disk has no file system.
const disk = "/dev/nvme0n1"

// A worker is a process of known cost: this program, with verbs as arguments.
type worker struct {
	name  string // of the process, and of its group
	cmd   *exec.Cmd
	stdin io.Closer
}

// start starts a worker. change, unless nil, alters the command. The verb wait makes start
// wait until the worker has executed the verbs before it.
func start(name string, change func(*exec.Cmd), verbs ...string) (*worker, error) {
	cmd := exec.Command(link(name), verbs...)
	cmd.Env = []string{"GOMAXPROCS=1", "GOGC=off"}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if change != nil {
		change(cmd)
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	w := &worker{name, cmd, stdin}
	if verbs[len(verbs)-1] == "wait" {
		_, err = stdout.Read(make([]byte, 1))
	}
	return w, err
}

// link returns a path of this program. Its last element is the name of a process that
// executes it.
func link(name string) string {
	path := filepath.Join("/tmp", name)
	_ = os.Symlink("/init", path) // may exist
	return path
}

// end waits for the exit of a worker and returns its usage, as wait4(2) reports it.
func (w *worker) end() *syscall.Rusage {
	_ = w.stdin.Close() // ends the verb wait
	_ = w.cmd.Wait()    // an exit status is expected
	return w.cmd.ProcessState.SysUsage().(*syscall.Rusage)
}

// work executes verbs such as cpu=100.
func work(verbs []string) error {
	for i, verb := range verbs {
		name, value, _ := strings.Cut(verb, "=")
		n, _ := strconv.Atoi(value) // 0 for a verb without a number
		var err error
		switch name {
		case "cpu": // milliseconds
			useCPU(unix.RUSAGE_SELF, n)
		case "read", "write": // MiB
			err = transfer(name, n)
		case "memory": // MiB
			err = touch(n << 20)
		case "sleep": // times
			for range n {
				err = unix.Nanosleep(&unix.Timespec{Nsec: 1e5}, nil)
			}
		case "threads":
			for range n {
				onThread(func() { select {} })
			}
		case "exited": // milliseconds of CPU time of a thread that exits
			<-onThread(func() { useCPU(unix.RUSAGE_THREAD, n) })
		case "exec":
			err = unix.Exec(link(value), append([]string{value}, verbs[i+1:]...), os.Environ())
		case "connect": // port
			err = connect(n)
		case "sockets":
			err = countTraffic()
		case "wait":
			fmt.Println()
			_, err = unix.Read(0, make([]byte, 1))
		case "kill":
			err = unix.Kill(os.Getpid(), syscall.Signal(n))
			time.Sleep(time.Minute)
		case "exit":
			os.Exit(n)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", verb, err)
		}
	}
	return nil
}

// onThread runs a function on a thread, which exits with it.
func onThread(run func()) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		run()
	}()
	return done
}

// useCPU uses CPU time until the process or the thread has used a number of milliseconds more.
func useCPU(who, milliseconds int) {
	used := func() time.Duration {
		var u unix.Rusage
		_ = unix.Getrusage(who, &u)
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	for end := used() + time.Duration(milliseconds)*time.Millisecond; used() < end; {
		for range 10_000 {
			runtime.KeepAlive(end)
		}
	}
}

// touch makes a number of bytes resident.
func touch(size int) error {
	data, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	for i := 0; i < len(data); i += os.Getpagesize() {
		data[i] = 1
	}
	return err
}

// transfer reads or writes a number of MiB of the disk.
func transfer(verb string, n int) error {
	file, err := os.OpenFile(disk, os.O_RDWR|os.O_SYNC, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	block := make([]byte, 1<<20)
	for i := range n {
		if verb == "read" {
			_, err = file.ReadAt(block, int64(i+32)<<20) // not what a worker has written
		} else {
			_, err = file.WriteAt(block, int64(i)<<20)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
