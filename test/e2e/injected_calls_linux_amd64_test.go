package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// An injector makes system calls in the main thread of an exporter, as an attacker does who runs code
// in it. It uses ptrace(2), so its goroutine is locked to a thread.
type injector struct {
	t     *testing.T
	pid   int
	saved unix.PtraceRegs

	arguments uintptr // memory of the process for arguments
}

// argumentsSize is the size of the memory for arguments.
const argumentsSize = 64 << 10

// newInjector stops the main thread of a process while it waits in the kernel.
func newInjector(t *testing.T, pid int) *injector {
	t.Helper()
	runtime.LockOSThread()
	in := &injector{t: t, pid: pid}
	testenv.WaitFor(t, "the main thread to wait in the kernel", func() bool {
		in.check("attach", unix.PtraceAttach(pid))
		in.wait()
		in.check("read registers", unix.PtraceGetRegs(pid, &in.saved))
		if in.isWaiting() {
			return true
		}
		in.check("detach", unix.PtraceDetach(pid))
		return false
	})
	at := in.call(unix.SYS_MMAP, 0, argumentsSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS, -1, 0)
	if at <= 0 {
		t.Fatalf("map memory for arguments: result %d", at)
	}
	in.arguments = uintptr(at)
	return in
}

func (in *injector) check(what string, err error) {
	in.t.Helper()
	if err != nil {
		in.t.Fatalf("%s: %v", what, err)
	}
}

// isWaiting reports whether the thread is after a system call.
func (in *injector) isWaiting() bool {
	var instruction [2]byte
	_, err := unix.PtracePeekText(in.pid, uintptr(in.saved.Rip-2), instruction[:])
	in.check("read the instruction", err)
	return instruction == [2]byte{0x0f, 0x05}
}

// wait waits until the thread stops, and returns the signal.
func (in *injector) wait() syscall.Signal {
	in.t.Helper()
	var status unix.WaitStatus
	_, err := unix.Wait4(in.pid, &status, unix.WALL, nil)
	in.check("wait", err)
	if !status.Stopped() {
		in.t.Fatalf("the exporter ended: status %#x", int(status))
	}
	return status.StopSignal()
}

// detach continues the thread where it was.
func (in *injector) detach() {
	in.t.Helper()
	in.call(unix.SYS_MUNMAP, int(in.arguments), argumentsSize)
	in.check("write registers", unix.PtraceSetRegs(in.pid, &in.saved))
	in.check("detach", unix.PtraceDetach(in.pid))
}

// call makes a system call and returns its result. Arguments are numbers, strings and buffers, whose
// content it replaces after the call.
func (in *injector) call(number uint64, args ...any) (result int64) {
	in.t.Helper()
	next := in.arguments
	regs := in.saved
	regs.Rip, regs.Rax, regs.Orig_rax = in.saved.Rip-2, number, ^uint64(0)
	registers := []*uint64{&regs.Rdi, &regs.Rsi, &regs.Rdx, &regs.R10, &regs.R8, &regs.R9}
	for _, r := range registers {
		*r = 0
	}
	buffers := make(map[uintptr][]byte)
	for i, arg := range args {
		var data []byte
		switch arg := arg.(type) {
		case int:
			*registers[i] = uint64(arg)
			continue
		case string:
			data = append([]byte(arg), 0)
		case []byte:
			data = arg
			buffers[next] = arg
		}
		_, err := unix.PtracePokeData(in.pid, next, data)
		in.check("write an argument", err)
		*registers[i] = uint64(next)
		next += uintptr(len(data)+15) &^ 15
	}
	in.check("write registers", unix.PtraceSetRegs(in.pid, &regs))
	in.step()
	in.check("read registers", unix.PtraceGetRegs(in.pid, &regs))
	for at, buffer := range buffers {
		_, err := unix.PtracePeekData(in.pid, at, buffer)
		in.check("read a buffer", err)
	}
	return int64(regs.Rax)
}

// step executes the system call.
func (in *injector) step() {
	in.t.Helper()
	for {
		in.check("step", unix.PtraceSingleStep(in.pid))
		in.wait()
		var regs unix.PtraceRegs
		in.check("read registers", unix.PtraceGetRegs(in.pid, &regs))
		if regs.Rip == in.saved.Rip { // else another signal stopped the thread before the call
			return
		}
	}
}

// An attack is a system call that the sandbox must refuse.
type attack struct {
	name   string
	number uint64
	args   []any
}

// attacksOnProcess returns attempts to signal, to influence or to read the memory of a process. A
// socket of the exporter is fd.
func attacksOnProcess(victim, fd int) []attack {
	return []attack{
		{"kill", unix.SYS_KILL, []any{victim, 9}},
		{"kill a process group", unix.SYS_KILL, []any{-victim, 9}},
		{"tgkill", unix.SYS_TGKILL, []any{victim, victim, 9}},
		{"tkill", unix.SYS_TKILL, []any{victim, 9}},
		{"F_SETOWN", unix.SYS_FCNTL, []any{fd, unix.F_SETOWN, victim}},
		{"F_SETSIG", unix.SYS_FCNTL, []any{fd, unix.F_SETSIG, 9}},
		{"O_ASYNC", unix.SYS_FCNTL, []any{fd, unix.F_SETFL, unix.O_RDWR | unix.O_NONBLOCK | unix.O_ASYNC}},
		{"FIOSETOWN", unix.SYS_IOCTL, []any{fd, 0x8901, pidBytes(victim)}},
		{"SIOCSPGRP", unix.SYS_IOCTL, []any{fd, 0x8902, pidBytes(victim)}},
		{"pidfd_open", unix.SYS_PIDFD_OPEN, []any{victim, 0}},
		{"ptrace", unix.SYS_PTRACE, []any{unix.PTRACE_SEIZE, victim}},
		{"process_vm_readv", unix.SYS_PROCESS_VM_READV, []any{victim}},
		{"setpriority", unix.SYS_SETPRIORITY, []any{0, victim, 19}},
		{"sched_setaffinity", unix.SYS_SCHED_SETAFFINITY, []any{victim, 8, make([]byte, 8)}},
		{"prlimit64", unix.SYS_PRLIMIT64, []any{victim, unix.RLIMIT_CPU, make([]byte, 16)}},
		{"ioprio_set", unix.SYS_IOPRIO_SET, []any{1, victim, 0}},
		{"timer in the process", unix.SYS_TIMER_CREATE, []any{-8*(victim+1) + 2, make([]byte, 64), make([]byte, 8)}}, // its CPU clock
		{"sleep for its CPU time", unix.SYS_CLOCK_NANOSLEEP, []any{-8*(victim+1) + 2, 0, make([]byte, 16)}},
		{"futex that is woken at exit", unix.SYS_SET_TID_ADDRESS, []any{0}},
		{"move_pages", unix.SYS_MOVE_PAGES, []any{victim}},
		{"read memory", unix.SYS_PREAD64, []any{fd, make([]byte, 8), 8, 1 << 40}},
		{"seek to memory", unix.SYS_LSEEK, []any{fd, 1 << 40, 0}},
		{"seek to a program without PIE", unix.SYS_LSEEK, []any{fd, 0x400000, 0}},
		{"seek in steps", unix.SYS_LSEEK, []any{fd, 0xfffff, unix.SEEK_CUR}},
		{"process_vm_writev", unix.SYS_PROCESS_VM_WRITEV, []any{victim}},
		{"process_madvise", unix.SYS_PROCESS_MADVISE, []any{fd}},
		{"pidfd_getfd", unix.SYS_PIDFD_GETFD, []any{fd, 0, 0}},
		{"pidfd_send_signal", unix.SYS_PIDFD_SEND_SIGNAL, []any{fd, 9}},
		{"rt_sigqueueinfo", unix.SYS_RT_SIGQUEUEINFO, []any{victim, 9, make([]byte, 128)}},
		{"rt_tgsigqueueinfo", unix.SYS_RT_TGSIGQUEUEINFO, []any{victim, victim, 9, make([]byte, 128)}},
		{"kcmp", unix.SYS_KCMP, []any{victim, victim, 0, 0, 0}},
		{"get_robust_list", unix.SYS_GET_ROBUST_LIST, []any{victim, make([]byte, 8), make([]byte, 8)}},
		{"F_SETLEASE", unix.SYS_FCNTL, []any{fd, unix.F_SETLEASE, unix.F_RDLCK}},
		{"F_NOTIFY", unix.SYS_FCNTL, []any{fd, unix.F_NOTIFY, 1}},
		{"F_SETOWN_EX", unix.SYS_FCNTL, []any{fd, 15, append(make([]byte, 4), pidBytes(victim)...)}},
		{"F_SETPIPE_SZ", unix.SYS_FCNTL, []any{fd, unix.F_SETPIPE_SZ, 1 << 20}},
		{"lock of a file", unix.SYS_FLOCK, []any{fd, unix.LOCK_EX}},
		{"TIOCSTI", unix.SYS_IOCTL, []any{0, unix.TIOCSTI, "x"}},
		{"open_by_handle_at", unix.SYS_OPEN_BY_HANDLE_AT, []any{fd, make([]byte, 16), 0}},
	}
}

// otherAttacks returns attempts to change files, to execute code, to communicate and to outlive the
// exporter.
func otherAttacks(victim, fd int, file string) []attack {
	invalid := -1
	return []attack{
		{"open for writing", unix.SYS_OPENAT, []any{unix.AT_FDCWD, file, unix.O_WRONLY}},
		{"open read-write", unix.SYS_OPENAT, []any{unix.AT_FDCWD, file, unix.O_RDWR}},
		{"open and truncate", unix.SYS_OPENAT, []any{unix.AT_FDCWD, file, unix.O_TRUNC}},
		{"create", unix.SYS_OPENAT, []any{unix.AT_FDCWD, file + "2", unix.O_CREAT, 0o600}},
		{"temporary file", unix.SYS_OPENAT, []any{unix.AT_FDCWD, filepath.Dir(file), unix.O_TMPFILE | unix.O_RDWR, 0o600}},
		{"open(2)", unix.SYS_OPEN, []any{file, unix.O_WRONLY}},
		{"unlink", unix.SYS_UNLINK, []any{file}},
		{"pwrite64", unix.SYS_PWRITE64, []any{2, "x", 1}},
		{"seek in the log", unix.SYS_LSEEK, []any{2, 0, 0}},
		{"replace standard error", unix.SYS_DUP3, []any{fd, 2}},
		{"memfd_create", unix.SYS_MEMFD_CREATE, []any{"x"}},
		{"process name of another service", unix.SYS_PRCTL, []any{unix.PR_SET_NAME, "sshd"}},
		{"execve", unix.SYS_EXECVE, []any{"/bin/true"}},
		{"executable memory", unix.SYS_MMAP, []any{0, 4096, unix.PROT_READ | unix.PROT_EXEC, unix.MAP_PRIVATE | unix.MAP_ANONYMOUS, invalid}},
		{"fork", unix.SYS_FORK, nil},
		{"vfork", unix.SYS_VFORK, nil},
		{"clone", unix.SYS_CLONE, []any{int(unix.SIGCHLD)}},
		{"thread without its signal handlers", unix.SYS_CLONE, []any{unix.CLONE_VM | unix.CLONE_FILES | int(unix.SIGCHLD)}},
		{"setsid", unix.SYS_SETSID, nil},
		{"socket", unix.SYS_SOCKET, []any{unix.AF_INET, unix.SOCK_STREAM, 0}},
		{"Unix socket", unix.SYS_SOCKET, []any{unix.AF_UNIX, unix.SOCK_DGRAM, 0}},
		{"netlink socket", unix.SYS_SOCKET, []any{unix.AF_NETLINK, unix.SOCK_RAW, 0}},
		{"vsock socket", unix.SYS_SOCKET, []any{unix.AF_VSOCK, unix.SOCK_STREAM, 0}},
		{"packet socket", unix.SYS_SOCKET, []any{unix.AF_PACKET, unix.SOCK_RAW, 0}},
		{"sendmsg", unix.SYS_SENDMSG, []any{fd, make([]byte, 56), 0}},
		{"recvmsg", unix.SYS_RECVMSG, []any{fd, make([]byte, 56), 0}},
		{"listen", unix.SYS_LISTEN, []any{fd, 1}},
		{"splice", unix.SYS_SPLICE, []any{fd, 0, fd, 0, 1, 0}},
		{"pipe2", unix.SYS_PIPE2, []any{make([]byte, 8), 0}},
		{"timerfd_create", unix.SYS_TIMERFD_CREATE, []any{0, 0}},
		{"userfaultfd", unix.SYS_USERFAULTFD, []any{1}}, // UFFD_USER_MODE_ONLY
		{"add_key", unix.SYS_ADD_KEY, []any{"user", "x", "y", 1, invalid}},
		{"memfd_secret", unix.SYS_MEMFD_SECRET, []any{0}},
		{"shmat", unix.SYS_SHMAT, []any{0, 0, 0}},
		{"mremap", unix.SYS_MREMAP, []any{0, 4096, 8192, 1}},
		{"socketpair", unix.SYS_SOCKETPAIR, []any{unix.AF_UNIX, unix.SOCK_STREAM, 0, make([]byte, 8)}},
		{"stop the listener", unix.SYS_SHUTDOWN, []any{fd, unix.SHUT_RDWR}},
		{"connect", unix.SYS_CONNECT, []any{fd, make([]byte, 16), 16}},
		{"bind", unix.SYS_BIND, []any{fd, make([]byte, 16), 16}},
		{"sendto", unix.SYS_SENDTO, []any{fd, "x", 1, 0, make([]byte, 16), 16}},
		{"shmget", unix.SYS_SHMGET, []any{0x7e57, 4096, unix.IPC_CREAT | 0o666}},
		{"msgget", unix.SYS_MSGGET, []any{0x7e57, unix.IPC_CREAT | 0o666}},
		{"mq_open", unix.SYS_MQ_OPEN, []any{"exporter", unix.O_CREAT | unix.O_RDWR, 0o666}},
		{"keyctl", unix.SYS_KEYCTL, []any{0, invalid}},
		{"futex of another process", unix.SYS_FUTEX, []any{pidBytes(victim), 3}}, // FUTEX_REQUEUE
		{"shared mapping", unix.SYS_MMAP, []any{0, 4096, unix.PROT_READ, unix.MAP_SHARED, fd, 0}},
		{"mapping of a file", unix.SYS_MMAP, []any{0, 4096, unix.PROT_READ, unix.MAP_PRIVATE, fd, 0}},
		{"huge pages", unix.SYS_MMAP, []any{0, 2 << 20, unix.PROT_READ, unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_HUGETLB, invalid, 0}},
		{"membarrier", unix.SYS_MEMBARRIER, []any{0, 0, 0}},
		{"hole in a file", unix.SYS_MADVISE, []any{0, 4096, unix.MADV_REMOVE}},
		{"inotify", unix.SYS_INOTIFY_INIT1, []any{0}},
		{"futex with an owner", unix.SYS_FUTEX, []any{pidBytes(victim), 6}}, // FUTEX_LOCK_PI
		{"io_uring_setup", unix.SYS_IO_URING_SETUP, []any{8, make([]byte, 120)}},
		{"perf_event_open", unix.SYS_PERF_EVENT_OPEN, []any{make([]byte, 120), victim, invalid, invalid}},
		{"load a BPF program", unix.SYS_BPF, []any{unix.BPF_PROG_LOAD, make([]byte, 120), 120}},
		{"unshare", unix.SYS_UNSHARE, []any{unix.CLONE_NEWUSER}},
		{"chroot", unix.SYS_CHROOT, []any{"/"}},
		{"setuid", unix.SYS_SETUID, []any{1}},
		{"death signal", unix.SYS_PRCTL, []any{unix.PR_SET_PDEATHSIG, 9}},
		{"dumpable", unix.SYS_PRCTL, []any{unix.PR_SET_DUMPABLE, 1}},
	}
}

// attacksOnListener returns attempts to change a listener that a service manager keeps.
func attacksOnListener(fd int) []attack {
	reset := append(pidBytes(1), pidBytes(0)...) // struct linger
	return []attack{
		{"resets of connections", unix.SYS_SETSOCKOPT, []any{fd, unix.SOL_SOCKET, unix.SO_LINGER, reset, len(reset)}},
		{"keepalive", unix.SYS_SETSOCKOPT, []any{fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, pidBytes(1), 4}},
		{"copy of the listener", unix.SYS_FCNTL, []any{fd, unix.F_DUPFD_CLOEXEC, 0}},
	}
}

// TestAttacksFromInside makes system calls inside a running exporter. The sandbox refuses them, and the
// exporter continues.
func TestAttacksFromInside(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("requires root: traces a process that is not dumpable")
	}
	for _, source := range []string{"procfs", "bpf"} {
		t.Run(source, func(t *testing.T) {
			victim := exec.Command("sleep", "1000")
			if err := victim.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = victim.Process.Kill(); _ = victim.Wait() }()
			file := writeFile(t, "file", "unchanged")
			r := startSource(t, source)
			r.Scrape()
			r.refused = true
			fd := socketOf(t, r.PID)
			attacks := slices.Concat(attacksOnProcess(victim.Process.Pid, fd), otherAttacks(victim.Process.Pid, fd, file), attacksOnListener(fd))
			in := newInjector(t, r.PID)
			for _, a := range attacks {
				if got := in.call(a.number, a.args...); got != -int64(unix.EPERM) {
					t.Errorf("%s: got result %d, want %d", a.name, got, -int64(unix.EPERM))
				}
			}
			in.detach()
			limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", r.PID))
			if err != nil || !regexp.MustCompile(`(?m)^Max pending signals +256 +256 `).Match(limits) {
				t.Errorf("got limits\n%s, error %v, want at most 256 pending signals", limits, err)
			}
			if want := regexp.MustCompile(`(?m)^Max open files +640 +640 `); !want.Match(limits) { // 128 connections and 512 others
				t.Errorf("got limits\n%s, want at most 640 open files", limits)
			}
			if text, err := os.ReadFile(file); err != nil || !bytes.Equal(text, []byte("unchanged")) {
				t.Errorf("got %q, error %v, want an unchanged file", text, err)
			}
			if err := victim.Process.Signal(syscall.Signal(0)); err != nil {
				t.Errorf("the other process has ended: %v", err)
			}
			r.Scrape()
			if status := r.Stop(); status != 0 {
				t.Errorf("got exit status %d, want 0", status)
			}
		})
	}
}

// socketOf returns the first descriptor of a socket of a process, its listener.
func socketOf(t *testing.T, pid int) int {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		target, _ := os.Readlink(filepath.Join(dir, e.Name()))
		var fd int
		if _, err := fmt.Sscan(e.Name(), &fd); err == nil && strings.HasPrefix(target, "socket:") {
			return fd
		}
	}
	t.Fatal("the process has no socket")
	return 0
}

// pidBytes returns the memory of a pid_t.
func pidBytes(pid int) []byte {
	return []byte{byte(pid), byte(pid >> 8), byte(pid >> 16), byte(pid >> 24)}
}
