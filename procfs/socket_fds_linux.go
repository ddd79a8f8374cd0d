package procfs

import (
	"bytes"
	"encoding/binary"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A SocketFD is a file descriptor of a socket.
type SocketFD struct {
	FD    uint32
	Inode uint64
}

// A SocketFDScan selects the descriptors that [Reader.AppendSocketFDs] reads.
type SocketFDScan struct {
	From  uint32      // first descriptor to read
	Known []SocketFD  // ascending by FD: these are appended without reading their links, if they are open
	Stop  func() bool // called at every 16th descriptor; unless nil, it ends the scan by returning true
}

// AppendSocketFDs appends the open descriptors of a process that are sockets to dst, in
// ascending order. If scan.Stop ended the scan, next is the descriptor to continue from,
// else it is 0. The kernel requires the same access as for ptrace(2), and may block while
// the process is in execve(2).
func (r *Reader) AppendSocketFDs(dst []SocketFD, pid int, scan SocketFDScan) (list []SocketFD, next uint32, err error) {
	r.setPath(pid, "fd")
	dir, errno := r.open(unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC)
	if errno == 0 {
		defer closeFD(dir)
		s := socketFDScanner{dir: dir, buf: r.buf, scan: scan, list: dst}
		if scan.From > 0 && r.mount.isProcfs { // the offset of an entry is its descriptor + 2, for . and ..
			_, err = unix.Seek(dir, int64(scan.From)+2, unix.SEEK_SET)
		}
		if err != nil {
			errno = unix.EIO
		} else {
			errno = s.run()
		}
		dst, next = s.list, s.next
	}
	if errno != 0 {
		return dst, 0, &ReadError{PID: pid, File: "fd", Err: errno}
	}
	return dst, next, nil
}

// A socketFDScanner is a call of AppendSocketFDs.
type socketFDScanner struct {
	dir   int
	buf   []byte // for directory entries
	scan  SocketFDScan
	list  []SocketFD
	next  uint32
	count int      // descriptors so far
	link  [32]byte // target of a link, truncated: "socket:[18446744073709551615]" fits
}

// run reads the directory.
func (s *socketFDScanner) run() syscall.Errno {
	for {
		n, errno := getdents(s.dir, s.buf)
		if errno != 0 || n == 0 {
			return errno
		}
		for rest := s.buf[:n]; len(rest) > 19; {
			size := int(binary.NativeEndian.Uint16(rest[16:]))
			if size <= 19 || size > len(rest) {
				return unix.EIO
			}
			if more, errno := s.read(rest[19:size]); errno != 0 || !more {
				return errno
			}
			rest = rest[size:]
		}
	}
}

// read appends the descriptor with this name, which ends with a NUL, if it is a socket.
// It returns false if Stop has ended the scan before this descriptor.
func (s *socketFDScanner) read(name []byte) (more bool, errno syscall.Errno) {
	digits := name[:max(0, bytes.IndexByte(name, 0))]
	n, ok := parseUint(digits)
	if !ok || n < uint64(s.scan.From) || n > 1<<31 {
		return true, 0 // . or ..
	}
	fd, known := uint32(n), s.scan.Known
	if s.count++; s.count%16 == 0 && s.scan.Stop != nil && s.scan.Stop() {
		s.next = fd
		return false, 0
	}
	for len(known) > 0 && known[0].FD < fd {
		known = known[1:]
	}
	s.scan.Known = known
	if len(known) > 0 && known[0].FD == fd {
		s.list = append(s.list, known[0])
		return true, 0
	}
	size, _, errno := syscall.Syscall6(unix.SYS_READLINKAT, uintptr(s.dir), uintptr(unsafe.Pointer(&name[0])),
		uintptr(unsafe.Pointer(&s.link[0])), uintptr(len(s.link)), 0, 0)
	switch errno {
	case 0:
		if inode, ok := ParseSocketLink(s.link[:size]); ok {
			s.list = append(s.list, SocketFD{fd, inode})
		}
	case unix.ENOENT: // closed since
	default:
		return false, errno
	}
	return true, 0
}
