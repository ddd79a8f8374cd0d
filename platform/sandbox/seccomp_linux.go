//go:build amd64 || arm64

package sandbox

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Offsets in struct seccomp_data (linux/seccomp.h). Arguments have 64 bits. On
// little-endian machines the lower half comes first. Most system calls use only
// the lower half.
const (
	offsetCall = 0
	offsetArch = 4
	offsetArgs = 16
	offsetHigh = 4 // of the upper half, relative to the argument
)

// writeFlags are the flags of open(2) that permit changing a file.
const writeFlags = unix.O_WRONLY | unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC | unix.O_APPEND | unix.O_TMPFILE&^unix.O_DIRECTORY

// namespaceFlags are the flags of clone(2) that create namespaces.
const namespaceFlags = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// firstUnknownCall is above the numbers of all system calls in this file. Later
// system calls are denied, because their effect is unknown.
const firstUnknownCall = 470

// A filter is a classic BPF program.
type filter []unix.SockFilter

func (f *filter) add(code uint16, jumpTrue, jumpFalse uint8, k uint32) {
	*f = append(*f, unix.SockFilter{Code: code, Jt: jumpTrue, Jf: jumpFalse, K: k})
}

func (f *filter) load(offset uint32) { f.add(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, 0, 0, offset) }

func (f *filter) deny(errno unix.Errno) {
	f.add(unix.BPF_RET|unix.BPF_K, 0, 0, unix.SECCOMP_RET_ERRNO|uint32(errno))
}

// installFilter denies, on all threads, system calls that the program does not
// need. It is a deny list, because the Go runtime and the C library may use other
// system calls in new versions. An allow list would then break the exporter.
func installFilter() error {
	program := newFilter()
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(program)
	if errno != 0 {
		return fmt.Errorf("cannot install the filter: %w", errno)
	}
	if thread != 0 { // with SECCOMP_FILTER_FLAG_TSYNC, the filter is then active on no thread
		return fmt.Errorf("cannot install the filter: thread %d has another filter: %w", thread, unix.EBUSY)
	}
	return nil
}

// newFilter returns the filter.
func newFilter() filter {
	var f filter
	f.load(offsetArch)
	f.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 1, 0, auditArch)
	f.deny(unix.EPERM)
	f.load(offsetCall)
	f.add(unix.BPF_JMP|unix.BPF_JGE|unix.BPF_K, 0, 1, firstUnknownCall) // including x32 calls, which have bit 30 set
	f.deny(unix.ENOSYS)
	for _, call := range deniedCalls() {
		f.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 0, 1, uint32(call))
		f.deny(unix.EPERM)
	}
	// The C library falls back to older system calls on ENOSYS.
	for _, call := range []uintptr{unix.SYS_CLONE3, unix.SYS_OPENAT2} {
		f.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 0, 1, uint32(call))
		f.deny(unix.ENOSYS)
	}
	f.denyFlags(unix.SYS_OPENAT, 2, writeFlags)
	f.denyArchFlags()
	f.denyFlags(unix.SYS_CLONE, 0, namespaceFlags)
	f.allowValues(unix.SYS_KILL, 0, uint32(os.Getpid()))
	f.allowValues(unix.SYS_TGKILL, 0, uint32(os.Getpid()))
	f.denyValues(unix.SYS_IOCTL, 1, unix.TIOCSTI, unix.TIOCLINUX)
	f.denyValues(unix.SYS_PRCTL, 0, unix.PR_SET_MM, unix.PR_SET_DUMPABLE)
	f.allowNull(unix.SYS_PRLIMIT64, 2) // permit reading limits, but not setting them
	// Commands of bpf(2) on programs and maps that are loaded already.
	f.allowValues(unix.SYS_BPF, 0, unix.BPF_ITER_CREATE, unix.BPF_MAP_LOOKUP_ELEM, unix.BPF_MAP_UPDATE_ELEM, unix.BPF_MAP_DELETE_ELEM,
		unix.BPF_MAP_GET_NEXT_KEY, unix.BPF_OBJ_GET_INFO_BY_FD, unix.BPF_MAP_LOOKUP_AND_DELETE_ELEM)
	f.add(unix.BPF_RET|unix.BPF_K, 0, 0, unix.SECCOMP_RET_ALLOW)
	return f
}

// loadArgument loads an argument of a system call. For another call it skips the
// next size instructions, which check the argument, and the reload of the call
// number after them.
func (f *filter) loadArgument(call uintptr, number, size int) {
	f.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 0, uint8(size+2), uint32(call))
	f.load(uint32(offsetArgs + 8*number))
}

// denyFlags denies a call if an argument has any of the flags.
func (f *filter) denyFlags(call uintptr, number int, flags uint32) {
	f.loadArgument(call, number, 2)
	f.add(unix.BPF_JMP|unix.BPF_JSET|unix.BPF_K, 0, 1, flags)
	f.deny(unix.EPERM)
	f.load(offsetCall)
}

// denyValues denies a call if an argument has one of the values.
func (f *filter) denyValues(call uintptr, number int, values ...uint32) {
	f.loadArgument(call, number, len(values)+2)
	for i, value := range values {
		f.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, uint8(len(values)-i), 0, value)
	}
	f.add(unix.BPF_JMP|unix.BPF_JA, 0, 0, 1)
	f.deny(unix.EPERM)
	f.load(offsetCall)
}

// allowValues denies a call unless an argument has one of the values.
func (f *filter) allowValues(call uintptr, number int, values ...uint32) {
	f.loadArgument(call, number, len(values)+1)
	for i, value := range values {
		f.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, uint8(len(values)-i), 0, value)
	}
	f.deny(unix.EPERM)
	f.load(offsetCall)
}

// allowNull denies a call unless a pointer argument is NULL. It checks both halves:
// the lower half of the start address of the Go heap is 0.
func (f *filter) allowNull(call uintptr, number int) {
	f.loadArgument(call, number, 4)
	f.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 0, 2, 0)
	f.load(uint32(offsetArgs + 8*number + offsetHigh))
	f.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 1, 0, 0)
	f.deny(unix.EPERM)
	f.load(offsetCall)
}

// deniedCalls returns the system calls that start or inspect processes, change
// files, open connections or change the system.
func deniedCalls() []uintptr {
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
		unix.SYS_FSPICK, unix.SYS_FSCONFIG, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_OPEN_TREE_ATTR,
		unix.SYS_MOUNT_SETATTR, unix.SYS_UNSHARE, unix.SYS_SETNS,
		unix.SYS_SETUID, unix.SYS_SETGID, unix.SYS_SETREUID, unix.SYS_SETREGID, unix.SYS_SETRESUID, unix.SYS_SETRESGID,
		unix.SYS_SETGROUPS, unix.SYS_SETFSUID, unix.SYS_SETFSGID,
		unix.SYS_IO_URING_SETUP, unix.SYS_USERFAULTFD, unix.SYS_PERF_EVENT_OPEN, unix.SYS_MEMFD_CREATE, unix.SYS_MEMFD_SECRET,
		unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE,
		unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_REBOOT, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT,
		unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_ADJTIMEX, unix.SYS_CLOCK_ADJTIME, unix.SYS_SETHOSTNAME,
		unix.SYS_SETDOMAINNAME, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD, unix.SYS_SETRLIMIT, unix.SYS_SYSLOG, unix.SYS_FANOTIFY_INIT,
	}, archDeniedCalls...)
}
