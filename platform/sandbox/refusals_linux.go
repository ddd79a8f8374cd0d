//go:build amd64 || arm64

package sandbox

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Written by handleRefusal.
var (
	refusals    uint64
	lastRefused uint32
)

// handlerAddresses returns the address of a signal handler, which counts a refused
// system call and makes it return EPERM, and of a function that returns from it.
func handlerAddresses() (handler, restorer uintptr)

// Flags of sigaction(2).
const (
	saSiginfo  = 4
	saOnStack  = 0x08000000
	saRestart  = 0x10000000
	saRestorer = 0x04000000 // ignored on arm64 since there the kernel returns through the vDSO
)

// A sigaction is struct kernel_sigaction.
type sigaction struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

// countRefusals makes the program count the system calls for which the filter
// returns SECCOMP_RET_TRAP. The kernel sends SIGSYS to the thread that made the
// call. The Go runtime has no handler for it that returns, and none is possible
// in Go: a handler may run on a thread without a goroutine. The handler runs with
// all other signals blocked, as those of the runtime.
func countRefusals() error {
	handler, restorer := handlerAddresses()
	action := sigaction{handler: handler, flags: saSiginfo | saOnStack | saRestart | saRestorer, restorer: restorer, mask: ^uint64(0)}
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGSYS), uintptr(unsafe.Pointer(&action)), 0,
		unsafe.Sizeof(action.mask), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

func countedRefusals() Refusals {
	return Refusals{Count: atomic.LoadUint64(&refusals), Last: int(atomic.LoadUint32(&lastRefused))}
}
