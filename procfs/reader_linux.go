package procfs

import (
	"bytes"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// maxFile is the size limit of a file.
	maxFile = 4 << 20

	// maxPrefix is the number of bytes that ReadPrefix reads. A process can make
	// its command line 16 GiB long without using that memory, and regular
	// expressions are matched against the text. It equals MAX_ARG_STRLEN, the
	// longest argument of execve(2).
	maxPrefix = 128 << 10

	// maxKeptBuffer is the buffer size above which a Reader shrinks its buffer
	// before the next read.
	maxKeptBuffer = 256 << 10
)

// A Reader reads files of a [Mount] with three system calls each, into one
// buffer. It is not safe for concurrent use. The bytes that a method returns are
// valid until the next call of any method.
type Reader struct {
	mount *Mount
	buf   []byte
	at    int    // directory descriptor that path is relative to
	path  []byte // file name for the next system call, with a terminating NUL
	info  unix.Statx_t
	raw   rawCalls // for the file that is being read

	dirFD  int // open directory of process dirPID
	dirPID int // 0 for none

	taskFD  int // open task directory of process taskPID
	taskPID int // 0 for none

	viaTID int // thread whose files are read instead of those of process viaPID
	viaPID int // 0 for none
}

// NewReader returns a Reader of m.
func NewReader(m *Mount) *Reader {
	return &Reader{mount: m, at: m.fd, buf: make([]byte, 16<<10), path: make([]byte, 0, 64)}
}

// OpenProcess opens the directory of a process. Until CloseProcess, every read of this
// PID is of the process that has the PID now, or fails with ErrGone.
func (r *Reader) OpenProcess(pid int) error {
	r.CloseProcess()
	r.raw = r.mount.rawCallsFor("stat")
	fd, err := r.openDir(pid, "")
	if r.raw = 0; err == nil {
		r.dirFD, r.dirPID = fd, pid
	}
	return err
}

// openDir opens a directory of a process with O_PATH.
func (r *Reader) openDir(pid int, name string) (fd int, err error) {
	r.setPath(pid, name)
	fd, errno := r.open(unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC)
	if errno != 0 {
		return -1, &ReadError{PID: pid, File: name, Err: errno}
	}
	return fd, nil
}

// CloseProcess closes the directory that OpenProcess opened.
func (r *Reader) CloseProcess() {
	if r.dirPID != 0 {
		closeFD(r.dirFD)
		r.dirPID = 0
	}
}

// DirInode returns the inode of the directory that OpenProcess opened, as in
// [Entry], or 0 if it is unknown.
func (r *Reader) DirInode() uint64 {
	r.at, r.path = r.dirFD, append(r.path[:0], 0)
	const flags = unix.AT_EMPTY_PATH
	if r.dirPID == 0 || r.statx(flags, unix.STATX_INO) != 0 {
		return 0
	}
	return r.info.Ino
}

// Read returns the text of /proc/PID/file, a single-record file such as stat,
// status or io. The kernel returns a record in one piece: a read that does not
// fill the buffer and ends with a newline has reached the end of the file.
func (r *Reader) Read(pid int, file string) ([]byte, error) {
	r.setPath(pid, file)
	r.raw = r.mount.rawCallsFor(file)
	text, errno := r.readFile(singleRecord)
	r.raw = 0
	if errno != 0 {
		return nil, &ReadError{PID: pid, File: file, Err: errno}
	}
	return text, nil
}

// ReadAll returns the text of /proc/PID/file, a file of many records such as
// smaps. If the file exceeds 4 MiB, the error matches [ErrTooLarge], because
// sums of a part would be wrong.
func (r *Reader) ReadAll(pid int, file string) ([]byte, error) {
	return r.readPart(pid, file, wholeFile)
}

// ReadPrefix returns the first 128 KiB of /proc/PID/file, a file of any length
// such as cmdline.
func (r *Reader) ReadPrefix(pid int, file string) ([]byte, error) {
	return r.readPart(pid, file, filePrefix)
}

func (r *Reader) readPart(pid int, file string, part readMode) ([]byte, error) {
	r.setPath(pid, file)
	text, errno := r.readFile(part)
	if errno != 0 {
		return nil, &ReadError{PID: pid, File: file, Err: errno}
	}
	return text, nil
}

// ReadLink returns the target of the link /proc/PID/file, such as exe. The
// kernel returns at most PATH_MAX-1 = 4095 bytes.
func (r *Reader) ReadLink(pid int, file string) ([]byte, error) {
	r.setPath(pid, file)
	n, errno := r.readlinkat()
	if errno != 0 {
		return nil, &ReadError{PID: pid, File: file, Err: errno}
	}
	return r.buf[:n], nil
}

// EachLine calls each with every line of /proc/PID/file, without its newline, until each
// returns false. The file may have any length. A line without a newline, or a line that does
// not fit in the buffer of at least 16 KiB, is an error that matches [syscall.EIO].
func (r *Reader) EachLine(pid int, file string, each func(line []byte) bool) error {
	r.setPath(pid, file)
	if errno := r.readLines(each); errno != 0 {
		return &ReadError{PID: pid, File: file, Err: errno}
	}
	return nil
}

func (r *Reader) readLines(each func(line []byte) bool) syscall.Errno {
	fd, errno := r.open(unix.O_RDONLY | unix.O_CLOEXEC)
	if errno != 0 {
		return errno
	}
	defer closeFD(fd)
	kept := 0 // bytes of an incomplete line at the start of the buffer
	for {
		n, errno := read(fd, r.buf[kept:])
		switch {
		case errno != 0:
			return errno
		case n == 0 && kept == 0:
			return 0
		case n == 0 || kept+n == len(r.buf) && bytes.IndexByte(r.buf, '\n') < 0:
			return unix.EIO // truncated, or too long
		}
		text := r.buf[:kept+n]
		for line, rest, complete := nextLine(text); complete; line, rest, complete = nextLine(text) {
			if !each(line) {
				return 0
			}
			text = rest
		}
		kept = copy(r.buf, text)
	}
}

// ReadTask returns the text of /proc/PID/task/TID/file, as Read does. The PID
// of its [*ReadError] is the thread ID.
func (r *Reader) ReadTask(pid, tid int, file string) ([]byte, error) {
	r.raw = r.mount.rawCallsFor(file)
	r.setTaskPath(pid, tid, file)
	text, errno := r.readFile(singleRecord)
	r.raw = 0
	if errno != 0 {
		return nil, &ReadError{PID: tid, File: file, Err: errno}
	}
	return text, nil
}

// OpenTasks opens the task directory of a process, which shortens the path
// lookups of ReadTask until CloseTasks.
func (r *Reader) OpenTasks(pid int) error {
	r.CloseTasks()
	fd, err := r.openDir(pid, "task")
	if err == nil {
		r.taskFD, r.taskPID = fd, pid
	}
	return err
}

// CloseTasks closes the directory that OpenTasks opened.
func (r *Reader) CloseTasks() {
	if r.taskPID != 0 {
		closeFD(r.taskFD)
		r.taskPID = 0
	}
}

// RedirectToThread makes the other methods read the files of thread tid instead of
// those of process pid, until it is called with a pid of 0. If the main thread has
// exited before other threads, /proc/PID shows no memory, descriptors or arguments,
// but /proc/PID/task/TID of a live thread does.
func (r *Reader) RedirectToThread(pid, tid int) { r.viaPID, r.viaTID = pid, tid }

// ReadHost returns the text of /proc/file, such as uptime. A FIFO in place of the
// file is empty.
func (r *Reader) ReadHost(file string) ([]byte, error) {
	r.setHostPath(file)
	text, errno := r.readFile(hostFile)
	if errno != 0 {
		return nil, &ReadError{File: file, Err: errno}
	}
	return text, nil
}

// CountFDs returns the number of open file descriptors of a process. Since Linux
// 6.2 it is the size of /proc/PID/fd, which needs no privilege and constant
// time. Older kernels need a listing of the directory, which requires
// CAP_DAC_READ_SEARCH for processes of other users.
func (r *Reader) CountFDs(pid int) (uint64, error) {
	r.setPath(pid, "fd")
	if r.mount.fdSizeIsCount {
		size, errno := r.size()
		if errno != 0 {
			return 0, &ReadError{PID: pid, File: "fd", Err: errno}
		}
		return size, nil
	}
	var count uint64
	errno := r.list(func([]byte, uint64) { count++ })
	if errno != 0 {
		return 0, &ReadError{PID: pid, File: "fd", Err: errno}
	}
	return count, nil
}

// Inode returns the inode of /proc/PID/file. The inode of a file below net identifies the
// network namespace of the process. Reading it never blocks and, unlike reading the link
// ns/net, needs no privilege.
func (r *Reader) Inode(pid int, file string) (uint64, error) {
	r.setPath(pid, file)
	if errno := r.statx(0, unix.STATX_INO); errno != 0 {
		return 0, &ReadError{PID: pid, File: file, Err: errno}
	}
	return r.info.Ino, nil
}

// Exists reports whether the process still has a directory. It distinguishes a
// process that has exited from a file that this kernel lacks: for a path, both
// are ENOENT.
func (r *Reader) Exists(pid int) bool {
	r.setPath(pid, "stat")
	fd, errno := r.open(unix.O_PATH | unix.O_CLOEXEC)
	if errno != 0 {
		// Other errors, such as EMFILE, do not depend on the process.
		return errno != unix.ENOENT && errno != unix.ESRCH
	}
	closeFD(fd)
	return true
}

// setPath sets r.at and r.path to a file of a process.
func (r *Reader) setPath(pid int, file string) {
	p := r.pathPrefix(pid)
	if pid == r.viaPID {
		p = append(p, "task/"...)
		p = strconv.AppendInt(p, int64(r.viaTID), 10)
		p = append(p, '/')
	}
	p = append(p, file...)
	r.path = append(p, 0)
}

// setTaskPath sets r.at and r.path to a file of a thread.
func (r *Reader) setTaskPath(pid, tid int, file string) {
	var p []byte
	if pid == r.taskPID {
		r.at, p = r.taskFD, r.path[:0]
	} else {
		p = append(r.pathPrefix(pid), "task/"...)
	}
	p = strconv.AppendInt(p, int64(tid), 10)
	p = append(p, '/')
	p = append(p, file...)
	r.path = append(p, 0)
}

// setHostPath sets r.at and r.path to a file in the root of the mount.
func (r *Reader) setHostPath(file string) {
	r.at, r.path = r.mount.fd, append(append(r.path[:0], file...), 0)
}

// pathPrefix sets r.at and returns the start of the path of a file of a process.
func (r *Reader) pathPrefix(pid int) []byte {
	if pid == r.dirPID {
		r.at = r.dirFD
		return r.path[:0]
	}
	r.at = r.mount.fd
	return append(strconv.AppendInt(r.path[:0], int64(pid), 10), '/')
}

// A readMode says how much of a file to read.
type readMode uint8

const (
	singleRecord readMode = iota // a file that one read returns completely
	wholeFile                    // until read returns 0 bytes; at most maxFile, more is an error
	filePrefix                   // at most maxPrefix, more is ignored
	hostFile                     // as wholeFile, and a FIFO does not block
)

// readFile reads the file at r.path. A single-record file needs no second read
// to find its end, unless the first read fills the buffer or ends within a line, as
// with FUSE file systems, which may return short reads, and with wchan, which has no
// newline. The file is then read until read returns 0 bytes.
func (r *Reader) readFile(part readMode) ([]byte, syscall.Errno) {
	if len(r.buf) > maxKeptBuffer {
		r.buf = make([]byte, maxKeptBuffer)
	}
	flags := unix.O_RDONLY | unix.O_CLOEXEC
	if part == hostFile {
		flags |= unix.O_NONBLOCK
	}
	fd, errno := r.open(flags)
	if errno != 0 {
		return nil, errno
	}
	n, limit := 0, maxFile
	if part == filePrefix {
		limit = maxPrefix
	}
	for {
		var got int
		if r.raw&rawRead != 0 {
			got, errno = readRaw(fd, r.buf[n:])
		} else {
			got, errno = read(fd, r.buf[n:])
		}
		if errno != 0 {
			closeFD(fd)
			return nil, errno
		}
		n += got
		if got == 0 || part == singleRecord && n == got && n < len(r.buf) && endsWithNewline(r.buf[:n]) {
			break
		}
		if n > limit {
			if n = limit; part != filePrefix {
				errno = unix.EFBIG
			}
			break
		}
		if n == len(r.buf) {
			r.buf = slices.Grow(r.buf, min(n, limit+1-n))
			r.buf = r.buf[:min(cap(r.buf), limit+1)]
		}
	}
	closeFD(fd)
	return r.buf[:n], errno
}
