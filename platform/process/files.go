package process

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/seed57308aee/process_exporter/procfs"
)

// The flags of open(2) that say what a file is open for, which are the same on
// all architectures of Linux.
const (
	accessMode = 3
	writeOnly  = 1
	readWrite  = 2
	appendOnly = 02000
)

// An OpenFile is a regular file that a process has open.
type OpenFile struct {
	Path     string
	FD       int
	Position int64  // bytes from the start
	Mode     string // as of fopen(3): r, w, a, r+ or a+; "" for neither reading nor writing
	Flags    uint64 // those of open(2)
	Deleted  bool   // the file no longer has that path
}

// OpenFiles returns the regular files that the process has open, by ascending
// descriptor. Those that were deleted are among them, for they still take up
// storage, and so are those of other mount namespaces.
func (p *Process) OpenFiles() ([]OpenFile, error) {
	const op = "open files"
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

// openFile returns what a descriptor has open, or no path if that is no
// regular file.
func (p *Process) openFile(h handle, buf []byte, fd int) (OpenFile, error) {
	link := fmt.Sprintf("fd/%d", fd)
	what, err := h.stat(link)
	if err != nil || !what.regular {
		return OpenFile{}, err
	}
	text, err := h.link(buf, link)
	if err != nil || len(text) == 0 || text[0] != '/' {
		return OpenFile{}, err
	}
	name, deleted := p.undeleted(h, link, text)
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
	}, nil
}

// openMode returns the mode of fopen(3) that open(2) with these flags means.
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

// eachFD calls use with every descriptor of the process. One that is closed
// meanwhile, or whose path is longer than a page, is passed over.
func (p *Process) eachFD(op string, use func(h handle, buf []byte, fd int) error) error {
	h, err := p.acquire(op)
	if err != nil {
		return err
	}
	defer p.release()
	buf := p.shared.table.buffers.Get().(*[]byte)
	defer p.done(buf)
	fds, err := h.numbers(*buf, "fd")
	if err != nil {
		return p.failure(op, err)
	}
	for _, fd := range fds {
		err := use(h, *buf, fd)
		if err != nil && !fdGone(err) {
			return p.failure(op, err)
		}
	}
	if h.gone() {
		return p.failure(op, syscall.ESRCH)
	}
	return nil
}

func fdGone(err error) bool {
	for _, errno := range [...]error{syscall.ENOENT, syscall.ESRCH, syscall.EINVAL, syscall.ENAMETOOLONG} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// socketInode returns the number of the socket that a link such as
// "socket:[123]" leads to.
func socketInode(link []byte) (inode string, ok bool) {
	inode, ok = strings.CutPrefix(string(link), "socket:[")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(inode, "]")
}
