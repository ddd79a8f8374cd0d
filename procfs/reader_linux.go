package procfs

import (
	"slices"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// maxText bounds what is read of one file.
	maxText = 4 << 20

	// maxStart bounds it where the start will do: a process can make its command
	// line 16 GiB long without owning the memory, and whatever is read of it goes
	// through regular expressions. The longest argument that execve(2) takes is
	// as long.
	maxStart = 128 << 10

	// keepText is how large a buffer a Reader keeps. One process with huge files
	// must not cost their size for ever.
	keepText = 256 << 10
)

// A Reader reads files below a [Mount] with three system calls each, into one
// buffer. It serves one goroutine. What its methods return is valid until the
// next call of any of them.
type Reader struct {
	mount *Mount
	buf   []byte
	at    int    // the directory that path starts at
	path  []byte // the name being opened, ended by a NUL
	info  unix.Statx_t
	raw   rawCalls // which calls for the file being read may be raw

	dir   int // the open directory of process dirOf
	dirOf int // 0 is none

	tasks   int // the open task directory of process tasksOf
	tasksOf int // 0 is none

	through   int // the thread whose files are read in the place of its process's
	throughOf int // 0 is none
}

// NewReader returns a Reader of m.
func NewReader(m *Mount) *Reader {
	return &Reader{mount: m, at: m.fd, buf: make([]byte, 16<<10), path: make([]byte, 0, 64)}
}

// Enter opens the directory of a process. Until Leave, whatever is read of that PID
// is of the process that has it now, or the error says that it is gone: between two
// reads by PID, it may go to another.
func (r *Reader) OpenProcess(pid int) error {
	r.CloseProcess()
	r.raw = r.mount.raw("stat")
	fd, err := r.openDir(pid, "")
	if r.raw = 0; err == nil {
		r.dir, r.dirOf = fd, pid
	}
	return err
}

// openDir opens a directory of a process to find others below it.
func (r *Reader) openDir(pid int, name string) (fd int, err error) {
	r.name(pid, name)
	fd, errno := r.open(unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC)
	if errno != 0 {
		return -1, &ReadError{PID: pid, File: name, Err: errno}
	}
	return fd, nil
}

// Leave ends what Enter began.
func (r *Reader) CloseProcess() {
	if r.dirOf != 0 {
		closeFD(r.dir)
		r.dirOf = 0
	}
}

// Inode returns the inode of the directory that was entered, as an [Entry] has it,
// or 0 if it is not to be known.
func (r *Reader) DirInode() uint64 {
	r.at, r.path = r.dir, append(r.path[:0], 0)
	const flags = unix.AT_EMPTY_PATH
	if r.dirOf == 0 || r.statx(flags, unix.STATX_INO) != 0 {
		return 0
	}
	return r.info.Ino
}

// Read returns the text of /proc/PID/file, a file of one record such as stat,
// status or io: the kernel hands such a record over in one piece, so that a
// read which leaves room in the buffer and ends with a line has seen its end.
func (r *Reader) Read(pid int, file string) ([]byte, error) {
	r.name(pid, file)
	r.raw = r.mount.raw(file)
	text, errno := r.slurp(record)
	r.raw = 0
	if errno != 0 {
		return nil, &ReadError{PID: pid, File: file, Err: errno}
	}
	return text, nil
}

// ReadAll returns the text of /proc/PID/file, a file of many records such as
// smaps. More than 4 MiB is an error that matches [ErrTooLarge], for the sums of
// a part would be wrong.
func (r *Reader) ReadAll(pid int, file string) ([]byte, error) {
	return r.readPart(pid, file, whole)
}

// ReadStart returns the text of /proc/PID/file, a file of any length such as
// cmdline. What is past 128 KiB is cut off.
func (r *Reader) ReadPrefix(pid int, file string) ([]byte, error) {
	return r.readPart(pid, file, start)
}

func (r *Reader) readPart(pid int, file string, part extent) ([]byte, error) {
	r.name(pid, file)
	text, errno := r.slurp(part)
	if errno != 0 {
		return nil, &ReadError{PID: pid, File: file, Err: errno}
	}
	return text, nil
}

// ReadLink returns what the link /proc/PID/file, such as exe, leads to. A path
// of more than 4095 bytes is cut off, as the kernel knows no longer ones.
func (r *Reader) ReadLink(pid int, file string) ([]byte, error) {
	r.name(pid, file)
	n, errno := r.readLink()
	if errno != 0 {
		return nil, &ReadError{PID: pid, File: file, Err: errno}
	}
	return r.buf[:n], nil
}

// ReadTask returns the text of /proc/PID/task/TID/file, as Read does. The PID
// in its error is the thread's.
func (r *Reader) ReadTask(pid, tid int, file string) ([]byte, error) {
	r.raw = r.mount.raw(file)
	r.nameTask(pid, tid, file)
	text, errno := r.slurp(record)
	r.raw = 0
	if errno != 0 {
		return nil, &ReadError{PID: tid, File: file, Err: errno}
	}
	return text, nil
}

// EnterTasks makes ReadTask find the threads of a process sooner, until
// LeaveTasks. It is for many reads in a row.
func (r *Reader) OpenTasks(pid int) error {
	r.CloseTasks()
	fd, err := r.openDir(pid, "task")
	if err == nil {
		r.tasks, r.tasksOf = fd, pid
	}
	return err
}

// LeaveTasks ends what EnterTasks began.
func (r *Reader) CloseTasks() {
	if r.tasksOf != 0 {
		closeFD(r.tasks)
		r.tasksOf = 0
	}
}

// Through makes the other methods read, of the process pid, the files of one of its
// threads instead, until it is called with a pid of 0. When the main thread has
// exited before others, the kernel still shows there the memory, the descriptors and
// the words of the process, and not in its own directory.
func (r *Reader) ReadViaThread(pid, tid int) { r.throughOf, r.through = pid, tid }

// ReadHost returns the text of /proc/file, which belongs to no process.
func (r *Reader) ReadHost(file string) ([]byte, error) {
	r.nameHost(file)
	text, errno := r.slurp(whole)
	if errno != 0 {
		return nil, &ReadError{File: file, Err: errno}
	}
	return text, nil
}

// CountFDs returns how many file descriptors a process has open. From Linux
// 6.2 on this needs no privilege and its cost does not grow with their number;
// before, the directory is listed, which takes CAP_DAC_READ_SEARCH for the
// processes of others.
func (r *Reader) CountFDs(pid int) (uint64, error) {
	r.name(pid, "fd")
	if r.mount.sizedFD {
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

// Alive reports whether the process still has a directory. It tells a process
// that exited from a file that this kernel does not have: by path, both are ENOENT.
func (r *Reader) Alive(pid int) bool {
	r.name(pid, "stat")
	fd, errno := r.open(unix.O_PATH | unix.O_CLOEXEC)
	if errno != 0 {
		// Trouble of ours, such as a limit on open files, says nothing of it.
		return errno != unix.ENOENT && errno != unix.ESRCH
	}
	closeFD(fd)
	return true
}

// name sets r.at and r.path to a file of a process.
func (r *Reader) name(pid int, file string) {
	p := r.begin(pid)
	if pid == r.throughOf {
		p = append(p, "task/"...)
		p = strconv.AppendInt(p, int64(r.through), 10)
		p = append(p, '/')
	}
	p = append(p, file...)
	r.path = append(p, 0)
}

// nameTask sets them to a file of a thread.
func (r *Reader) nameTask(pid, tid int, file string) {
	var p []byte
	if pid == r.tasksOf {
		r.at, p = r.tasks, r.path[:0]
	} else {
		p = append(r.begin(pid), "task/"...)
	}
	p = strconv.AppendInt(p, int64(tid), 10)
	p = append(p, '/')
	p = append(p, file...)
	r.path = append(p, 0)
}

// nameHost sets them to a file of no process.
func (r *Reader) nameHost(file string) {
	r.at, r.path = r.mount.fd, append(append(r.path[:0], file...), 0)
}

// begin returns what the names of the files of a process begin with.
func (r *Reader) begin(pid int) []byte {
	if pid == r.dirOf {
		r.at = r.dir
		return r.path[:0]
	}
	r.at = r.mount.fd
	return append(strconv.AppendInt(r.path[:0], int64(pid), 10), '/')
}

// An extent is how much of a file is read.
type extent uint8

const (
	record extent = iota // one piece of text, as long as it is
	whole                // until nothing comes, and no more than maxText
	start                // likewise no more than maxStart, but more is no error
)

// slurp reads the file r.path names. A file of one record needs no second read
// to see its end, unless the first stops in the middle of a line, as that of a
// file system in user space may that hands out less than it has. It is then read
// until nothing comes, as all others are.
func (r *Reader) slurp(part extent) ([]byte, syscall.Errno) {
	if len(r.buf) > keepText {
		r.buf = make([]byte, keepText)
	}
	fd, errno := r.open(unix.O_RDONLY | unix.O_CLOEXEC)
	if errno != 0 {
		return nil, errno
	}
	n, most := 0, maxText
	if part == start {
		most = maxStart
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
		if got == 0 || part == record && n == got && n < len(r.buf) && endsLine(r.buf[:n]) {
			break
		}
		if n > most {
			if n = most; part != start {
				errno = unix.EFBIG
			}
			break
		}
		if n == len(r.buf) {
			r.buf = slices.Grow(r.buf, min(n, most+1-n))
			r.buf = r.buf[:min(cap(r.buf), most+1)]
		}
	}
	closeFD(fd)
	return r.buf[:n], errno
}

// The system calls below take the NUL-ended path as bytes, since those of the
// unix package copy a string for each call.

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

func (r *Reader) readLink() (n int, errno syscall.Errno) {
	const maxPath = 4096
	p, _, errno := syscall.Syscall6(unix.SYS_READLINKAT, uintptr(r.at), uintptr(unsafe.Pointer(&r.path[0])), uintptr(unsafe.Pointer(&r.buf[0])), maxPath, 0, 0)
	return int(p), errno
}

// size returns the size of the file r.path names, which the kernel's own
// procfs tells at once.
func (r *Reader) size() (uint64, syscall.Errno) {
	errno := r.statx(0, unix.STATX_SIZE)
	return r.info.Size, errno
}

func (r *Reader) statx(flags, mask int) syscall.Errno {
	_, _, errno := syscall.RawSyscall6(unix.SYS_STATX, uintptr(r.at), uintptr(unsafe.Pointer(&r.path[0])), uintptr(flags), uintptr(mask), uintptr(unsafe.Pointer(&r.info)), 0)
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
