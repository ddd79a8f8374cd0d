//go:build amd64 || arm64

package sandbox

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Offsets in the seccomp_data that a filter sees (linux/seccomp.h). Arguments
// have 64 bits; the lower half comes first, on machines of this byte order, and is
// all that most calls look at.
const (
	offsetCall = 0
	offsetArch = 4
	offsetArgs = 16
	offsetHigh = 4 // of the upper half, in an argument
)

// writing are the flags of open(2) with any of which a file can be changed.
const writing = unix.O_WRONLY | unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC | unix.O_APPEND | unix.O_TMPFILE&^unix.O_DIRECTORY

// newNamespaces are the flags of clone(2) that make namespaces.
const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// afterAll is a number above those of all system calls known here. What comes
// later is unknown, and so is what it allows.
const afterAll = 470

// A filter is a program of the classic Berkeley packet filter.
type filter []unix.SockFilter

func (f *filter) add(code uint16, jumpTrue, jumpFalse uint8, k uint32) {
	*f = append(*f, unix.SockFilter{Code: code, Jt: jumpTrue, Jf: jumpFalse, K: k})
}

func (f *filter) load(offset uint32) { f.add(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, 0, 0, offset) }

func (f *filter) refuse(errno unix.Errno) {
	f.add(unix.BPF_RET|unix.BPF_K, 0, 0, unix.SECCOMP_RET_ERRNO|uint32(errno))
}

// filterCalls refuses, on all threads, system calls that the program does not
// need. It names what is refused, not what is allowed: Go's runtime and the C
// library change what they use, and an exporter that a new version stops is
// worse than one that may still call getpriority.
func filterCalls() error {
	program := callFilter()
	description := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&description)))
	runtime.KeepAlive(program)
	if errno != 0 {
		return fmt.Errorf("filter of system calls: %w", errno)
	}
	if thread != 0 { // nothing is in force then, on any thread
		return fmt.Errorf("filter of system calls: thread %d has one of its own: %w", thread, unix.EBUSY)
	}
	return nil
}

func callFilter() filter {
	var f filter
	f.load(offsetArch)
	f.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 1, 0, auditArch)
	f.refuse(unix.EPERM)
	f.load(offsetCall)
	f.add(unix.BPF_JMP|unix.BPF_JGE|unix.BPF_K, 0, 1, afterAll) // those of x32 too, which have a high bit
	f.refuse(unix.ENOSYS)
	for _, call := range refusedCalls() {
		f.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 0, 1, uint32(call))
		f.refuse(unix.EPERM)
	}
	// The C library takes another way when these are not there.
	for _, call := range []uintptr{unix.SYS_CLONE3, unix.SYS_OPENAT2} {
		f.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 0, 1, uint32(call))
		f.refuse(unix.ENOSYS)
	}
	f.refuseFlags(unix.SYS_OPENAT, 2, writing)
	f.refuseMore()
	f.refuseFlags(unix.SYS_CLONE, 0, newNamespaces)
	f.onlyValues(unix.SYS_KILL, 0, uint32(os.Getpid()))
	f.onlyValues(unix.SYS_TGKILL, 0, uint32(os.Getpid()))
	f.refuseValues(unix.SYS_IOCTL, 1, unix.TIOCSTI, unix.TIOCLINUX)
	f.refuseValues(unix.SYS_PRCTL, 0, unix.PR_SET_MM, unix.PR_SET_DUMPABLE)
	f.onlyNull(unix.SYS_PRLIMIT64, 2) // limits are read, and not set
	// Of bpf(2), what programs take that are loaded already.
	f.onlyValues(unix.SYS_BPF, 0, unix.BPF_ITER_CREATE, unix.BPF_MAP_LOOKUP_ELEM, unix.BPF_MAP_UPDATE_ELEM, unix.BPF_MAP_DELETE_ELEM,
		unix.BPF_MAP_GET_NEXT_KEY, unix.BPF_OBJ_GET_INFO_BY_FD, unix.BPF_MAP_LOOKUP_AND_DELETE_ELEM)
	f.add(unix.BPF_RET|unix.BPF_K, 0, 0, unix.SECCOMP_RET_ALLOW)
	return f
}

// argument begins the part about one argument of a call; size instructions
// follow it before the number of the call has to be loaded again.
func (f *filter) argument(call uintptr, number, size int) {
	f.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 0, uint8(size+2), uint32(call))
	f.load(uint32(offsetArgs + 8*number))
}

// refuseFlags refuses a call with any of some flags in an argument.
func (f *filter) refuseFlags(call uintptr, number int, flags uint32) {
	f.argument(call, number, 2)
	f.add(unix.BPF_JMP|unix.BPF_JSET|unix.BPF_K, 0, 1, flags)
	f.refuse(unix.EPERM)
	f.load(offsetCall)
}

// refuseValues refuses a call with one of some values of an argument.
func (f *filter) refuseValues(call uintptr, number int, values ...uint32) {
	f.argument(call, number, len(values)+2)
	for i, value := range values {
		f.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, uint8(len(values)-i), 0, value)
	}
	f.add(unix.BPF_JMP|unix.BPF_JA, 0, 0, 1)
	f.refuse(unix.EPERM)
	f.load(offsetCall)
}

// onlyValues refuses a call with any other value of an argument.
func (f *filter) onlyValues(call uintptr, number int, values ...uint32) {
	f.argument(call, number, len(values)+1)
	for i, value := range values {
		f.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, uint8(len(values)-i), 0, value)
	}
	f.refuse(unix.EPERM)
	f.load(offsetCall)
}

// onlyNull refuses a call unless an argument, which points to something, points
// nowhere. The address at which Go's heap begins has no bit in its lower half.
func (f *filter) onlyNull(call uintptr, number int) {
	f.argument(call, number, 4)
	f.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 0, 2, 0)
	f.load(uint32(offsetArgs + 8*number + offsetHigh))
	f.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 1, 0, 0)
	f.refuse(unix.EPERM)
	f.load(offsetCall)
}

// refusedCalls are what a program does that starts others, looks into them,
// changes files, opens connections or changes the machine.
func refusedCalls() []uintptr {
	return append([]uintptr{
		unix.SYS_EXECVE, unix.SYS_EXECVEAT,
		unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PROCESS_MADVISE, unix.SYS_PIDFD_GETFD,
		unix.SYS_PIDFD_SEND_SIGNAL, unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO, unix.SYS_TKILL, unix.SYS_KCMP,
		unix.SYS_SOCKET, unix.SYS_SOCKETPAIR, unix.SYS_BIND, unix.SYS_CONNECT, unix.SYS_LISTEN,
		unix.SYS_TRUNCATE, unix.SYS_FTRUNCATE, unix.SYS_FALLOCATE, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT2, unix.SYS_MKDIRAT,
		unix.SYS_LINKAT, unix.SYS_SYMLINKAT, unix.SYS_MKNODAT, unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_FCHMODAT2,
		unix.SYS_FCHOWN, unix.SYS_FCHOWNAT, unix.SYS_UTIMENSAT, unix.SYS_SETXATTR, unix.SYS_LSETXATTR, unix.SYS_FSETXATTR,
		unix.SYS_REMOVEXATTR, unix.SYS_LREMOVEXATTR, unix.SYS_FREMOVEXATTR, unix.SYS_OPEN_BY_HANDLE_AT,
		unix.SYS_SETXATTRAT, unix.SYS_REMOVEXATTRAT, unix.SYS_FILE_SETATTR,
		unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_FSOPEN, unix.SYS_FSMOUNT,
		unix.SYS_FSPICK, unix.SYS_FSCONFIG, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_OPEN_TREE_ATTR, unix.SYS_MOUNT_SETATTR, unix.SYS_UNSHARE, unix.SYS_SETNS,
		unix.SYS_SETUID, unix.SYS_SETGID, unix.SYS_SETREUID, unix.SYS_SETREGID, unix.SYS_SETRESUID, unix.SYS_SETRESGID,
		unix.SYS_SETGROUPS, unix.SYS_SETFSUID, unix.SYS_SETFSGID,
		unix.SYS_IO_URING_SETUP, unix.SYS_USERFAULTFD, unix.SYS_PERF_EVENT_OPEN, unix.SYS_MEMFD_CREATE, unix.SYS_MEMFD_SECRET,
		unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE,
		unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_REBOOT, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT,
		unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_ADJTIMEX, unix.SYS_CLOCK_ADJTIME, unix.SYS_SETHOSTNAME,
		unix.SYS_SETDOMAINNAME, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD, unix.SYS_SETRLIMIT, unix.SYS_SYSLOG, unix.SYS_FANOTIFY_INIT,
	}, refusedHere...)
}
