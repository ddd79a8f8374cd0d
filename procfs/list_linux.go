package procfs

import (
	"cmp"
	"encoding/binary"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// AppendPIDs appends the PIDs of all processes to dst in ascending order.
func (r *Reader) AppendPIDs(dst []int) ([]int, error) {
	r.setHostPath(".")
	dst, errno := r.appendNumbers(dst)
	if errno != 0 {
		return dst, &ReadError{Err: errno}
	}
	return dst, nil
}

// An Entry is the directory entry of a process in /proc.
type Entry struct {
	PID int

	// Inode is the inode of /proc/PID. It differs between two processes with the
	// same PID. The kernel keeps it until the process is reaped or the inode is
	// evicted under memory pressure. It is 1 if the kernel could not allocate an
	// inode.
	Inode uint64
}

// AppendProcesses appends an Entry for every process to dst, in ascending order
// of PID. It makes the same system calls as AppendPIDs.
func (r *Reader) AppendProcesses(dst []Entry) ([]Entry, error) {
	r.setHostPath(".")
	from := len(dst)
	errno := r.list(func(name []byte, inode uint64) {
		if n, ok := parseID(name); ok {
			dst = append(dst, Entry{n, inode})
		}
	})
	byPID := func(a, b Entry) int { return cmp.Compare(a.PID, b.PID) }
	if !slices.IsSortedFunc(dst[from:], byPID) {
		slices.SortFunc(dst[from:], byPID)
	}
	if errno != 0 {
		return dst, &ReadError{Err: errno}
	}
	return dst, nil
}

// AppendTIDs appends the thread IDs of a process to dst in ascending order.
func (r *Reader) AppendTIDs(dst []int, pid int) ([]int, error) {
	r.setPath(pid, "task")
	dst, errno := r.appendNumbers(dst)
	if errno != 0 {
		return dst, &ReadError{PID: pid, File: "task", Err: errno}
	}
	return dst, nil
}

// appendNumbers appends the numeric names in the directory at r.path in ascending
// order. procfs lists processes in this order, but threads in the order of their
// creation. A copy in files can have any order.
func (r *Reader) appendNumbers(dst []int) ([]int, syscall.Errno) {
	from := len(dst)
	sorted := true
	errno := r.list(func(name []byte, _ uint64) {
		n, ok := parseID(name)
		if !ok {
			return
		}
		if len(dst) > from && dst[len(dst)-1] > n {
			sorted = false
		}
		dst = append(dst, n)
	})
	if !sorted {
		slices.Sort(dst[from:])
	}
	return dst, errno
}

// parseID parses a directory name that is a PID or thread ID without leading
// zeros.
func parseID(name []byte) (id int, ok bool) {
	n, ok := parseUint(name)
	return int(n), ok && name[0] != '0' && n <= 1<<30
}

// list calls each with the name and inode of every entry of the directory at
// r.path whose name does not begin with a dot.
func (r *Reader) list(each func(name []byte, inode uint64)) syscall.Errno {
	fd, errno := r.open(unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC)
	if errno != 0 {
		return errno
	}
	defer closeFD(fd)
	for {
		n, errno := getdents(fd, r.buf)
		if errno != 0 || n == 0 {
			return errno
		}
		// struct linux_dirent64: inode 8 bytes, offset 8, record length 2, type 1, name.
		for rest := r.buf[:n]; len(rest) > 19; {
			size := int(binary.NativeEndian.Uint16(rest[16:]))
			if size <= 19 || size > len(rest) {
				return unix.EIO
			}
			name := rest[19:size]
			if end := slices.Index(name, 0); end >= 0 {
				name = name[:end]
			}
			if name[0] != '.' {
				each(name, binary.NativeEndian.Uint64(rest))
			}
			rest = rest[size:]
		}
	}
}
