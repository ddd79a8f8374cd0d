//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// startUnresponsive takes a kind, a number and a path, such as "mmap,200,/tmp/f". It mounts that many
// file systems, each over a file with that path and a number. Each file system leaves one kind of
// request without a response, and blocks one child. Kinds: "mmap" locks the memory map of the child,
// so that its command line cannot be read. "exec" blocks the child in execve(2), so that not even its
// stat can be read. "share" also starts the program in SHAREDVM, whose child shares its memory.
// "epoll" blocks the child in epoll_wait(2), so that a reader of its fdinfo blocks even after SIGKILL.
// "mmap later" and "exec later" block at SIGUSR2. SIGUSR1 unblocks all children.
func startUnresponsive(what string) error {
	kind, rest, _ := strings.Cut(what, ",")
	kind, later := strings.CutSuffix(kind, " later")
	number, path, _ := strings.Cut(rest, ",")
	count, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	silent := map[string]uint32{"mmap": fuseWrite, "exec": fuseFlush, "share": fuseWrite, "epoll": fuseRead}[kind]
	if err := hideMounts(); err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	var servers []*fuseServer
	for i := range count {
		server := &fuseServer{silent: silent, blocked: make(chan bool, 1)}
		own := path + strconv.Itoa(i)
		if err := server.mount(own); err != nil {
			return err
		}
		go server.serve()
		child := exec.Command(program, fmt.Sprintf("waiter=%s,%v,%s", kind, later, own))
		if kind == "share" {
			child = exec.Command(os.Getenv("SHAREDVM"), own)
		}
		in, err := startWaiter(child)
		if err != nil {
			return err
		}
		if !later {
			<-server.blocked
		}
		if kind == "share" {
			if err := execSharedVM(child.Process.Pid, in); err != nil {
				return err
			}
		}
		servers = append(servers, server)
	}
	block, release := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(block, syscall.SIGUSR2)
	signal.Notify(release, syscall.SIGUSR1)
	go func() {
		<-block
		for _, in := range inputs {
			in.Write([]byte("x"))
		}
	}()
	go func() {
		<-release
		for _, server := range servers {
			server.release()
		}
	}()
	return nil
}

// inputs are the standard inputs of the children. They close when this process exits.
var inputs []io.Writer

func startWaiter(child *exec.Cmd) (in io.Writer, err error) {
	child.Stderr = os.Stderr
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err1 := child.StdinPipe()
	inputs = append(inputs, in)
	out, err2 := child.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	if err := child.Start(); err != nil {
		return nil, err
	}
	if said, err := io.ReadAll(io.LimitReader(out, int64(len("ready\n")))); string(said) != "ready\n" {
		return nil, fmt.Errorf("a child printed %q: %w", said, err)
	}
	go io.Copy(io.Discard, out)
	return in, nil
}

// execSharedVM makes the child of a process call execve(2), and waits until it blocks.
func execSharedVM(pid int, in io.Writer) error {
	if _, err := in.Write([]byte("x")); err != nil {
		return err
	}
	child, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return err
	}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%s/status", strings.TrimSpace(string(child))))
		if err != nil {
			return err
		}
		if strings.Contains(string(text), "State:\tD") {
			return nil
		}
	}
	return fmt.Errorf("process %s does not block in execve(2)", child)
}

// runWaiter runs in a child of startUnresponsive. When modified pages are unmapped, or a file is
// closed at execve(2), the kernel waits for the file system.
func runWaiter(how string) error {
	kind, rest, _ := strings.Cut(how, ",")
	later, path, _ := strings.Cut(rest, ",")
	fd, err := syscall.Open(path, syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	useCPU()
	ready := func() {
		fmt.Println("ready")
		if later == "true" {
			os.Stdin.Read(make([]byte, 1))
		}
	}
	if kind == "exec" {
		program, err := os.Executable()
		if err != nil {
			return err
		}
		ready()
		return syscall.Exec(program, []string{filepath.Base(program), "waits in execve"}, os.Environ())
	}
	var info syscall.Stat_t // the kernel requests the size now
	if err := syscall.Fstat(fd, &info); err != nil || info.Size != fuseFileSize {
		return fmt.Errorf("got a file of %d bytes: %w", info.Size, err)
	}
	memory, err := unix.Mmap(fd, 0, fuseFileSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	mapped = append(mapped, memory)
	if kind == "epoll" {
		return waitIntoFile(memory)
	}
	ready()
	memory[0] = 1
	_, err = unix.MmapPtr(-1, 0, unsafe.Pointer(&memory[0]), fuseFileSize, unix.PROT_READ,
		unix.MAP_FIXED|unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	return err
}

// waitIntoFile makes the kernel write the result of epoll_wait(2) into memory of the file system,
// while it keeps the epoll descriptor locked.
func waitIntoFile(memory []byte) error {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fds[1], &unix.EpollEvent{Events: unix.EPOLLOUT}); err != nil {
		return err
	}
	fmt.Println("ready")
	_, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(&memory[0])), 1, 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// useCPU uses more CPU time than the error of its measurement.
func useCPU() {
	var used syscall.Rusage
	for used.Utime.Nano()+used.Stime.Nano() < int64(12*time.Millisecond) {
		syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	}
}
