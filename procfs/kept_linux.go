package procfs

import (
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// keptNames are the files that are worth to be kept open: cheap to read, and
// read again and again. Opening and closing costs more than reading them.
var keptNames = [...]string{"stat", "statm", "io", "status"}

// keptFiles are files of one process that stay open after the second read. The
// kernel writes their text anew for each read from the start, checks each time
// who reads, and answers ESRCH after the process is gone.
type keptFiles [len(keptNames)]struct {
	reads atomic.Int32
	fd    atomic.Int32 // descriptor + 1; 0 is none
}

// text reads a file that is kept open, or opens it if this is the second read.
// ok is false if it has to be read in the usual way.
func (k *keptFiles) text(p *Process, buf []byte, file string) (text []byte, errno syscall.Errno, ok bool) {
	at := 0
	for ; at < len(keptNames) && keptNames[at] != file; at++ {
	}
	if at == len(keptNames) || len(buf) == 0 {
		return nil, 0, false
	}
	fd := k[at].fd.Load()
	if fd == 0 {
		if k[at].reads.Add(1) != 2 {
			return nil, 0, false
		}
		if fd = k.open(p, at); fd == 0 {
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
			return buf[:n], 0, n == 0 || int(n) < len(buf) && endsLine(buf[:n]) // or there may be more
		}
	}
}

// open opens a file to be kept, if there is room for it.
func (k *keptFiles) open(p *Process, at int) int32 {
	if p.room == nil || p.room.Add(-1) < 0 {
		p.giveRoom()
		return 0
	}
	fd, errno := openat(p.fd, keptNames[at], unix.O_RDONLY|unix.O_CLOEXEC)
	if errno != 0 {
		p.giveRoom()
		return 0
	}
	k[at].fd.Store(int32(fd) + 1)
	return int32(fd) + 1
}

func (k *keptFiles) close(p *Process) {
	for at := range k {
		if fd := k[at].fd.Swap(0); fd != 0 {
			closeFD(int(fd) - 1)
			p.giveRoom()
		}
	}
}

func (p *Process) giveRoom() {
	if p.room != nil {
		p.room.Add(1)
	}
}
