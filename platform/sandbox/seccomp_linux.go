//go:build amd64 || arm64

package sandbox

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// installFilter permits, on all threads, only the system calls that the program
// needs. All others fail with EPERM, and are counted.
func installFilter() error {
	if err := countRefusals(); err != nil {
		return fmt.Errorf("cannot handle SIGSYS: %w", err)
	}
	program := newFilter(permitted(), unix.SECCOMP_RET_TRAP)
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
