//go:build amd64 || arm64

package sandbox

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// installFilter permits, on all threads, only the system calls that the program
// needs. All others fail with EPERM or ENOSYS, and since Linux 4.14 the kernel logs them.
func installFilter() error {
	rules := permitted(openListeners())
	if slices.ContainsFunc([]int{0, 1, 2}, isReadableTerminal) {
		refuseStandardReads(rules)
	}
	program := newFilter(rules)
	const logged = unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_LOG
	err := setFilter(program, logged)
	if errors.Is(err, unix.EINVAL) { // before Linux 4.14
		err = setFilter(program, unix.SECCOMP_FILTER_FLAG_TSYNC)
	}
	return err
}

func setFilter(program filter, flags uintptr) error {
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(program)
	if errno != 0 {
		return fmt.Errorf("cannot install the filter: %w", errno)
	}
	if thread != 0 { // with SECCOMP_FILTER_FLAG_TSYNC, the filter is then active on no thread
		return fmt.Errorf("cannot install the filter: thread %d has another filter: %w", thread, unix.EBUSY)
	}
	return nil
}

// isReadableTerminal reports whether a descriptor is a terminal that is open for reading.
func isReadableTerminal(fd int) bool {
	if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err != nil {
		return false
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	return err == nil && flags&unix.O_ACCMODE != unix.O_WRONLY
}
