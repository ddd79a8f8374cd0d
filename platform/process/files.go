package process

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/seed57308aee/process_exporter/procfs"
)

// Access mode flags of open(2). They are the same on all Linux architectures.
const (
	accessMode = 3
	writeOnly  = 1
	readWrite  = 2
	appendOnly = 02000
)

// An OpenFile is a regular file that a process has open.
type OpenFile struct {
	// Path is absolute, with symbolic links resolved, in the mount namespace of the
	// process.
	Path     string
	FD       int
	Position int64  // bytes from the start
	Mode     string // of fopen(3): r, w, a, r+ or a+; "" if neither readable nor writable
	Flags    uint64 // of open(2)
	Deleted  bool   // the path no longer leads to the file

	// Device and Inode identify the file: st_dev and st_ino of stat(2). Compare them
	// with those of [os.Stat], because Path can be one of several hard links, or a
	// path in another mount namespace.
	Device, Inode uint64
}

// OpenFiles returns the open regular files of the process, ascending by descriptor.
// It includes deleted files, which still use storage, and files of other mount
// namespaces. Mapped files without a descriptor are in [Process.MemoryMaps]. It
// reads /proc/PID/fd and fdinfo and requires the same user, or CAP_SYS_PTRACE and
// CAP_DAC_READ_SEARCH.
//
// System calls: 5, 1 per descriptor, and 4 per regular file.
func (p *Process) OpenFiles() ([]OpenFile, error) {
	const op = "open files"
	if p.ctx != nil {
		return within(p, op, (*Process).OpenFiles)
	}
	var files []OpenFile
	err := p.eachFD(op, func(h handle, buf []byte, fd int) error {
		file, err := p.openFile(h, buf, fd)
		if err == nil && file.Path != "" {
			files = append(files, file)
		}
		return err
	})
	return files, err
}

// openFile returns the file of a descriptor. Its Path is empty if it is not a
// regular file.
func (p *Process) openFile(h handle, buf []byte, fd int) (OpenFile, error) {
	link := fmt.Sprintf("fd/%d", fd)
	target, err := h.stat(link)
	if err != nil || !target.regular {
		return OpenFile{}, err
	}
	text, err := h.link(buf, link)
	if err != nil || len(text) == 0 || text[0] != '/' {
		return OpenFile{}, err
	}
	name, deleted := p.trimDeleted(h, link, text)
	text, err = h.read(buf, fmt.Sprintf("fdinfo/%d", fd))
	if err != nil {
		return OpenFile{}, err
	}
	var info procfs.FDInfo
	if err := procfs.ParseFDInfo(text, &info); err != nil {
		return OpenFile{}, err
	}
	return OpenFile{
		Path: name, FD: fd, Position: info.Position, Mode: openMode(info.Flags), Flags: info.Flags, Deleted: deleted,
		Device: target.device, Inode: target.inode,
	}, nil
}

// openMode converts flags of open(2) to a mode of fopen(3).
func openMode(flags uint64) string {
	appends := flags&appendOnly != 0
	switch access := flags & accessMode; {
	case access == 0:
		return "r"
	case access == writeOnly && appends:
		return "a"
	case access == writeOnly:
		return "w"
	case access == readWrite && appends:
		return "a+"
	case access == readWrite:
		return "r+"
	}
	return ""
}

// eachFD calls use for every descriptor of the process. It skips a descriptor that
// is closed during the call, or whose path is longer than a page.
func (p *Process) eachFD(op string, use func(h handle, buf []byte, fd int) error) error {
	h, err := p.acquire(op)
	if err != nil {
		return err
	}
	defer p.release()
	buf := p.getBuffer()
	defer p.putBuffer(buf)
	fds, err := h.numbers(*buf, "fd")
	if err != nil {
		return p.wrap(op, err)
	}
	for _, fd := range fds {
		err := use(h, *buf, fd)
		if err != nil && !isFDGone(err) {
			return p.wrap(op, err)
		}
	}
	if h.gone() {
		return p.wrap(op, syscall.ESRCH)
	}
	return nil
}

// isFDGone reports whether the error of a descriptor can be ignored.
func isFDGone(err error) bool {
	for _, errno := range [...]error{syscall.ENOENT, syscall.ESRCH, syscall.EINVAL, syscall.ENAMETOOLONG} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// NumFDs returns the open file descriptor count of the process. Since Linux 6.2 it
// reads the size of /proc/PID/fd, which every user can read. Before, it lists the
// directory, which requires the same user or CAP_DAC_READ_SEARCH.
//
// System calls: 1, or at least 4 before Linux 6.2.
func (p *Process) NumFDs() (int, error) {
	const op = "num fds"
	if p.ctx != nil {
		return within(p, op, (*Process).NumFDs)
	}
	h, err := p.acquire(op)
	if err != nil {
		return 0, err
	}
	defer p.release()
	buf := p.getBuffer()
	defer p.putBuffer(buf)
	n, err := h.countFDs(*buf)
	if err != nil {
		return 0, p.wrap(op, err)
	}
	return n, nil
}

// NumHandles fails with [ErrUnsupported]: only Windows has handles.
func (p *Process) NumHandles() (int, error) { return 0, p.wrap("num handles", ErrUnsupported) }
