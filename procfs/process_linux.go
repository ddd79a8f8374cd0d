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
	// maxWhole bounds what [Process.ReadAll] reads. It is beyond the smaps file
	// of a process with as many mappings as the kernel allows by default.
	maxWhole = 256 << 20

	// maxWords bounds it for the arguments and the environment, for which
	// execve(2) takes 6 MiB in all. What seems to be more was forged.
	maxWords = 8 << 20
)

// mostOf returns how many bytes of a file are read.
func mostOf(file string) int {
	if file == "cmdline" || file == "environ" {
		return maxWords
	}
	return maxWhole
}

// A Process is the directory of one process, held open. Whatever is read below
// it is of that process and no other: after its death every method fails with
// an error that matches [ErrGone], whoever has its PID then. Its methods may be
// called from several goroutines, but for Close.
type Process struct {
	mount *Mount
	fd    int
	pid   int
	path  bool // the descriptor only names the directory, since we may not list it
	kept  keptFiles
	room  *atomic.Int32 // how many more files may be kept open; nil is none
}

// Process opens the directory of the process that has this PID now. It keeps
// files open that are read again and again, while room, which may be shared by
// any number of processes, is above 0. Without room it keeps none.
func (m *Mount) Process(pid int, room *atomic.Int32) (*Process, error) {
	const flags = unix.O_DIRECTORY | unix.O_CLOEXEC
	p := &Process{mount: m, pid: pid, room: room}
	name := strconv.Itoa(pid)
	fd, err := openat(m.fd, name, unix.O_RDONLY|flags)
	if err == unix.EACCES || err == unix.EPERM { // hidepid=1
		p.path = true
		fd, err = openat(m.fd, name, unix.O_PATH|flags)
	}
	if err != 0 {
		return nil, &ReadError{PID: pid, Err: err}
	}
	p.fd = fd
	return p, nil
}

// Close closes the directory.
func (p *Process) Close() {
	p.kept.close(p)
	closeFD(p.fd)
}

// FD returns the descriptor of the directory. System calls take it for a pidfd
// unless NameOnly says that they do not.
func (p *Process) FD() int { return p.fd }

// NameOnly reports whether the descriptor only names the directory, because
// the kernel lets us not list it.
func (p *Process) PathOnly() bool { return p.path }

// Dup returns the same process under a descriptor of its own.
func (p *Process) Dup() (*Process, error) {
	fd, err := unix.FcntlInt(uintptr(p.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, &ReadError{PID: p.pid, Err: err}
	}
	return &Process{mount: p.mount, fd: fd, pid: p.pid, path: p.path, room: p.room}, nil
}

// Read returns the text of a file of one record, as [Reader.Read] does. It
// reads into buf, or into a larger one if the text needs it. A file that is read
// again and again may stay open.
func (p *Process) Read(buf []byte, file string) ([]byte, error) {
	if text, errno, ok := p.kept.text(p, buf[:cap(buf)], file); ok {
		return text, p.failed(file, errno)
	}
	r := p.reader(buf, file)
	text, errno := r.slurp(record)
	return text, p.failed(file, errno)
}

// ReadAll returns the text of a file of any length. It reads into buf, or into
// a larger one if the text needs it. More than 256 MiB, or than 8 MiB of cmdline
// and environ, is an error that matches [ErrTooLarge].
func (p *Process) ReadAll(buf []byte, file string) ([]byte, error) {
	fd, errno := openat(p.fd, file, unix.O_RDONLY|unix.O_CLOEXEC)
	if errno != 0 {
		return nil, p.failed(file, errno)
	}
	defer closeFD(fd)
	most := mostOf(file)
	buf = buf[:0]
	for {
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, max(4096, len(buf)))
		}
		n, errno := read(fd, buf[len(buf):cap(buf)])
		if errno == 0 && len(buf)+n > most {
			errno = unix.EFBIG
		}
		if errno != 0 {
			return nil, p.failed(file, errno)
		}
		if n == 0 {
			return buf, nil
		}
		buf = buf[:len(buf)+n]
	}
}

// AppendNumbers appends the entries of a directory that are numbers, such as
// those of fd and task, ascending. It reads into buf.
func (p *Process) AppendNumbers(dst []int, buf []byte, dir string) ([]int, error) {
	from := len(dst)
	r := p.reader(buf, dir)
	errno := r.list(func(name []byte, _ uint64) {
		if n, ok := parseUint(name); ok && n <= math.MaxInt32 {
			dst = append(dst, int(n))
		}
	})
	slices.Sort(dst[from:])
	return dst, p.failed(dir, errno)
}

// Link returns what a symbolic link says. It reads into buf, or into a larger
// one if the text needs it.
func (p *Process) ReadLink(buf []byte, file string) ([]byte, error) {
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

// CountFDs returns how many file descriptors the process has open, as
// [Reader.CountFDs] does.
func (p *Process) CountFDs(buf []byte) (int, error) {
	r := p.reader(buf, "fd")
	if p.mount.sizedFD {
		size, errno := r.size()
		return int(size), p.failed("fd", errno)
	}
	fds, err := p.AppendNumbers(nil, buf, "fd")
	return len(fds), err
}

// Gone reports whether the process has exited and was waited for.
func (p *Process) Gone() bool {
	var info unix.Stat_t
	err := unix.Fstatat(p.fd, "stat", &info, unix.AT_SYMLINK_NOFOLLOW)
	return err == unix.ESRCH || err == unix.ENOENT
}

// reader returns a Reader of one file below the directory. It does not escape.
func (p *Process) reader(buf []byte, file string) Reader {
	buf = buf[:cap(buf)]
	if len(buf) == 0 {
		buf = make([]byte, 4096)
	}
	return Reader{mount: p.mount, at: p.fd, buf: buf, path: append(append(make([]byte, 0, 64), file...), 0)}
}

func (p *Process) failed(file string, errno syscall.Errno) error {
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
