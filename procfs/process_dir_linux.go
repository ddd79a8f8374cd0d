package procfs

import (
	"math"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// maxProcessFile is the size limit of [ProcessDir.ReadAll]. It exceeds the smaps
	// file of a process with 65,530 mappings, the default of vm.max_map_count.
	maxProcessFile = 256 << 20

	// maxProcessArgs is the limit for cmdline and environ. execve(2) accepts at
	// most 6 MiB of arguments and environment together; longer text was set by
	// prctl(PR_SET_MM).
	maxProcessArgs = 8 << 20
)

// sizeLimit returns the maximum size of a file for [ProcessDir.ReadAll].
func sizeLimit(file string) int {
	if file == "cmdline" || file == "environ" {
		return maxProcessArgs
	}
	return maxProcessFile
}

// A ProcessDir is the open directory /proc/PID of one process. Its methods read
// only that process: after the process is reaped they return an error that
// matches [ErrGone], even if its PID is reused. The methods except Close may be
// called concurrently.
type ProcessDir struct {
	mount        *Mount
	fd           int
	pid          int
	pathOnly     bool // fd was opened with O_PATH, because listing is not permitted
	cache        fileCache
	remainingFDs *atomic.Int32 // number of files that may still be kept open; nil for none
}

// OpenProcess opens the directory of the process that has this PID now. It keeps
// files open that are read repeatedly while remainingFDs, which processes may
// share, is above 0. If remainingFDs is nil, it keeps no files open.
func (m *Mount) OpenProcess(pid int, remainingFDs *atomic.Int32) (*ProcessDir, error) {
	const flags = unix.O_DIRECTORY | unix.O_CLOEXEC
	p := &ProcessDir{mount: m, pid: pid, remainingFDs: remainingFDs}
	name := strconv.Itoa(pid)
	fd, err := openat(m.fd, name, unix.O_RDONLY|flags)
	if err == unix.EACCES || err == unix.EPERM { // hidepid=1
		p.pathOnly = true
		fd, err = openat(m.fd, name, unix.O_PATH|flags)
	}
	if err != 0 {
		return nil, &ReadError{PID: pid, Err: err}
	}
	p.fd = fd
	return p, nil
}

// Close closes the directory and all cached files.
func (p *ProcessDir) Close() {
	p.cache.close(p)
	closeFD(p.fd)
}

// FD returns the descriptor of the directory. System calls accept it as a pidfd
// unless PathOnly is true.
func (p *ProcessDir) FD() int { return p.fd }

// PathOnly reports whether the descriptor was opened with O_PATH, because the
// kernel does not permit listing the directory.
func (p *ProcessDir) PathOnly() bool { return p.pathOnly }

// Dup returns the same process with a duplicate of the descriptor.
func (p *ProcessDir) Dup() (*ProcessDir, error) {
	fd, err := unix.FcntlInt(uintptr(p.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, &ReadError{PID: p.pid, Err: err}
	}
	return &ProcessDir{mount: p.mount, fd: fd, pid: p.pid, pathOnly: p.pathOnly, remainingFDs: p.remainingFDs}, nil
}

// Read returns the text of a single-record file, as [Reader.Read] does. It reads
// into buf, or into a larger buffer if needed. It may keep the file open.
func (p *ProcessDir) Read(buf []byte, file string) ([]byte, error) {
	if text, errno, ok := p.cache.read(p, buf[:cap(buf)], file); ok {
		return text, p.readError(file, errno)
	}
	r := p.reader(buf, file)
	text, errno := r.readFile(singleRecord)
	return text, p.readError(file, errno)
}

// ReadAll returns the text of a file of any length. It reads into buf, or into a
// larger buffer if needed. If the file exceeds 256 MiB, or 8 MiB for cmdline and
// environ, the error matches [ErrTooLarge].
func (p *ProcessDir) ReadAll(buf []byte, file string) ([]byte, error) {
	fd, errno := openat(p.fd, file, unix.O_RDONLY|unix.O_CLOEXEC)
	if errno != 0 {
		return nil, p.readError(file, errno)
	}
	defer closeFD(fd)
	limit := sizeLimit(file)
	buf = buf[:0]
	for {
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, max(4096, len(buf)))
		}
		n, errno := read(fd, buf[len(buf):cap(buf)])
		if errno == 0 && len(buf)+n > limit {
			errno = unix.EFBIG
		}
		if errno != 0 {
			return nil, p.readError(file, errno)
		}
		if n == 0 {
			return buf, nil
		}
		buf = buf[:len(buf)+n]
	}
}

// AppendNumbers appends the numeric entries of a directory, such as fd and task,
// in ascending order. It uses buf for the system calls.
func (p *ProcessDir) AppendNumbers(dst []int, buf []byte, dir string) ([]int, error) {
	from := len(dst)
	r := p.reader(buf, dir)
	errno := r.list(func(name []byte, _ uint64) {
		if n, ok := parseUint(name); ok && n <= math.MaxInt32 {
			dst = append(dst, int(n))
		}
	})
	slices.Sort(dst[from:])
	return dst, p.readError(dir, errno)
}

// ReadLink returns the target of a symbolic link. It reads into buf, or into a
// larger buffer if needed.
func (p *ProcessDir) ReadLink(buf []byte, file string) ([]byte, error) {
	buf = buf[:cap(buf)]
	for {
		n, err := unix.Readlinkat(p.fd, file, buf)
		if err != nil {
			return nil, &ReadError{PID: p.pid, File: file, Err: err}
		}
		if n < len(buf) {
			return buf[:n], nil
		}
		buf = make([]byte, max(4096, 2*len(buf)))
	}
}

// CountFDs returns the number of open file descriptors, as [Reader.CountFDs]
// does.
func (p *ProcessDir) CountFDs(buf []byte) (int, error) {
	r := p.reader(buf, "fd")
	if p.mount.fdSizeIsCount {
		size, errno := r.size()
		return int(size), p.readError("fd", errno)
	}
	fds, err := p.AppendNumbers(nil, buf, "fd")
	return len(fds), err
}

// Gone reports whether the process has exited and has been reaped.
func (p *ProcessDir) Gone() bool {
	var info unix.Stat_t
	err := unix.Fstatat(p.fd, "stat", &info, unix.AT_SYMLINK_NOFOLLOW)
	return err == unix.ESRCH || err == unix.ENOENT
}

// reader returns a Reader of one file in the directory. The result does not
// escape to the heap.
func (p *ProcessDir) reader(buf []byte, file string) Reader {
	buf = buf[:cap(buf)]
	if len(buf) == 0 {
		buf = make([]byte, 4096)
	}
	return Reader{mount: p.mount, at: p.fd, buf: buf, path: append(append(make([]byte, 0, 64), file...), 0)}
}

// readError returns a [*ReadError], or nil if errno is 0.
func (p *ProcessDir) readError(file string, errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return &ReadError{PID: p.pid, File: file, Err: errno}
}

func openat(dir int, name string, flags int) (int, syscall.Errno) {
	for {
		fd, err := unix.Openat(dir, name, flags, 0)
		switch errno, _ := err.(syscall.Errno); { //nolint:errorlint // it is never wrapped, and errors.As allocates
		case err == nil:
			return fd, 0
		case errno == 0: // a NUL in the name
			return -1, unix.EINVAL
		case errno != unix.EINTR:
			return -1, errno
		}
	}
}
