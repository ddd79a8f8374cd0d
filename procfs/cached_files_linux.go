package procfs

import (
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// cachedNames are the files that a ProcessDir may keep open. They are read often,
// and open(2) and close(2) cost more than reading them.
var cachedNames = [...]string{"stat", "statm", "io", "status"}

// fileCache holds files of one process that stay open after the second read. On
// each read at offset 0 the kernel generates the text again, checks access
// again, and returns ESRCH once the process is gone.
type fileCache [len(cachedNames)]struct {
	reads atomic.Int32
	fd    atomic.Int32 // descriptor + 1; 0 if not open
}

// read reads a cached file, or opens it if this is its second read. ok is false
// if the caller must read the file without the cache.
func (c *fileCache) read(p *ProcessDir, buf []byte, file string) (text []byte, errno syscall.Errno, ok bool) {
	i := 0
	for ; i < len(cachedNames) && cachedNames[i] != file; i++ {
	}
	if i == len(cachedNames) || len(buf) == 0 {
		return nil, 0, false
	}
	fd := c[i].fd.Load()
	if fd == 0 {
		if c[i].reads.Add(1) != 2 {
			return nil, 0, false
		}
		if fd = c.open(p, i); fd == 0 {
			return nil, 0, false
		}
	}
	for {
		n, _, errno := syscall.Syscall6(unix.SYS_PREAD64, uintptr(fd-1), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), 0, 0, 0)
		switch {
		case errno == unix.EINTR:
		case errno != 0:
			return nil, errno, true
		default:
			return buf[:n], 0, n == 0 || int(n) < len(buf) && endsWithNewline(buf[:n]) // otherwise there may be more
		}
	}
}

// open opens cached file i if a descriptor remains for it. It returns the descriptor
// plus 1, or 0.
func (c *fileCache) open(p *ProcessDir, i int) int32 {
	if p.remainingFDs == nil || p.remainingFDs.Add(-1) < 0 {
		p.releaseFD()
		return 0
	}
	fd, errno := openat(p.fd, cachedNames[i], unix.O_RDONLY|unix.O_CLOEXEC)
	if errno != 0 {
		p.releaseFD()
		return 0
	}
	c[i].fd.Store(int32(fd) + 1)
	return int32(fd) + 1
}

func (c *fileCache) close(p *ProcessDir) {
	for i := range c {
		if fd := c[i].fd.Swap(0); fd != 0 {
			closeFD(int(fd) - 1)
			p.releaseFD()
		}
	}
}

// releaseFD lets another file stay open.
func (p *ProcessDir) releaseFD() {
	if p.remainingFDs != nil {
		p.remainingFDs.Add(1)
	}
}
