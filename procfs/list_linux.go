package procfs

import (
	"cmp"
	"encoding/binary"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// What a [Reader] lists: processes, threads, and entries of any directory.

// AppendPIDs appends the PIDs of all processes to dst, ascending.
func (r *Reader) AppendPIDs(dst []int) ([]int, error) {
	r.nameHost(".")
	dst, errno := r.appendNumbers(dst)
	if errno != 0 {
		return dst, &ReadError{Err: errno}
	}
	return dst, nil
}

// An Entry is what the listing of the process file system says of a process.
type Entry struct {
	PID int

	// Inode is that of its directory. Linux gives each process one of its own, and
	// keeps it until the process is reaped or memory is short: of two processes
	// with the same PID it differs. It is 1 where the kernel had no memory for it.
	Inode uint64
}

// AppendProcesses appends an Entry for every process to dst, ascending by PID. It
// costs what AppendPIDs costs.
func (r *Reader) AppendProcesses(dst []Entry) ([]Entry, error) {
	r.nameHost(".")
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

// AppendTIDs appends the thread ids of a process to dst, ascending.
func (r *Reader) AppendTIDs(dst []int, pid int) ([]int, error) {
	r.name(pid, "task")
	dst, errno := r.appendNumbers(dst)
	if errno != 0 {
		return dst, &ReadError{PID: pid, File: "task", Err: errno}
	}
	return dst, nil
}

// appendNumbers appends the names in the directory r.path names that are
// numbers. The kernel lists them ascending, but a copy of /proc may not.
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

// parseID parses the name of the directory of a process or thread, in front of
// which the kernel writes no zeros.
func parseID(name []byte) (id int, ok bool) {
	n, ok := parseUint(name)
	return int(n), ok && name[0] != '0' && n <= 1<<30
}

// list calls each with the name of every entry of the directory r.path names,
// but "." and "..", and with its inode.
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
