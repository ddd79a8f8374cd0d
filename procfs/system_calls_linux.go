package procfs

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The methods take the path as bytes with a terminating NUL, because the functions of
// package unix copy a string for each call.

func (r *Reader) open(flags int) (fd int, errno syscall.Errno) {
	for {
		var n uintptr
		if r.raw&rawOpen != 0 {
			n, _, errno = syscall.RawSyscall6(unix.SYS_OPENAT, uintptr(r.at), uintptr(unsafe.Pointer(&r.path[0])), uintptr(flags), 0, 0, 0)
		} else {
			n, _, errno = syscall.Syscall6(unix.SYS_OPENAT, uintptr(r.at), uintptr(unsafe.Pointer(&r.path[0])), uintptr(flags), 0, 0, 0)
		}
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}

func (r *Reader) readlinkat() (n int, errno syscall.Errno) {
	const maxPath = 4096
	p, _, errno := syscall.Syscall6(unix.SYS_READLINKAT, uintptr(r.at), uintptr(unsafe.Pointer(&r.path[0])),
		uintptr(unsafe.Pointer(&r.buf[0])), maxPath, 0, 0)
	return int(p), errno
}

// size returns st_size of the file at r.path.
func (r *Reader) size() (uint64, syscall.Errno) {
	errno := r.statx(0, unix.STATX_SIZE)
	return r.info.Size, errno
}

func (r *Reader) statx(flags, mask int) syscall.Errno {
	_, _, errno := syscall.RawSyscall6(unix.SYS_STATX, uintptr(r.at), uintptr(unsafe.Pointer(&r.path[0])),
		uintptr(flags), uintptr(mask), uintptr(unsafe.Pointer(&r.info)), 0)
	return errno
}

func read(fd int, p []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.Syscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}

func readRaw(fd int, p []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	return int(n), errno
}

func getdents(fd int, p []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.Syscall(unix.SYS_GETDENTS64, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}

func closeFD(fd int) { _, _, _ = syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }
