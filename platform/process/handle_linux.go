package process

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/platform/internal/host"
	"github.com/seed57308aee/process_exporter/procfs"
)

// A linuxHandle is the open directory of a process.
type linuxHandle struct {
	*procfs.ProcessDir
	pid               int
	inOwnPIDNamespace bool // system calls use the same PIDs as the mount
}

func (h *linuxHandle) read(buf []byte, file string) ([]byte, error) {
	text, err := h.Read(buf, file)
	if err == nil && len(text) == 0 && file == "stat" { // it exited between open and read
		return nil, syscall.ESRCH
	}
	return text, err
}

func (h *linuxHandle) readAll(buf []byte, file string) ([]byte, error) { return h.ReadAll(buf, file) }

func (h *linuxHandle) readStart(buf []byte, file string) ([]byte, error) {
	fd, err := unix.Openat(h.FD(), file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, buf)
	return buf[:max(n, 0)], err
}

func (h *linuxHandle) numbers(buf []byte, dir string) ([]int, error) {
	return h.AppendNumbers(nil, buf, dir)
}

func (h *linuxHandle) link(buf []byte, file string) ([]byte, error) { return h.ReadLink(buf, file) }

func (h *linuxHandle) stat(file string) (fileID, error) {
	is, err := statCached(h.FD(), file)
	if err != nil {
		err = &procfs.ReadError{PID: h.pid, File: file, Err: err}
	}
	return is, err
}

func (h *linuxHandle) countFDs(buf []byte) (int, error) { return h.CountFDs(buf) }

func (h *linuxHandle) gone() bool { return h.Gone() }

// serial returns the inode number of the process in pidfs, since Linux 6.9. Before,
// all pidfds share one inode, and threads have no pidfd. It returns 0 if the kernel
// lacks the call or the flag, or if a filter blocks it.
func (h *linuxHandle) serial() (uint64, error) {
	const pidfdThread = unix.O_EXCL // PIDFD_THREAD of linux/pidfd.h
	pid, err := h.syscallPID()
	if err != nil {
		return 0, nil
	}
	fd, err := unix.PidfdOpen(pid, pidfdThread)
	switch {
	case errors.Is(err, unix.ESRCH), host.ResourceExhausted(err):
		return 0, err
	case err != nil:
		return 0, nil
	}
	defer unix.Close(fd)
	var fs unix.Statfs_t
	var info unix.Stat_t
	if err := unix.Fstatfs(fd, &fs); err != nil || fs.Type != unix.PID_FS_MAGIC {
		return 0, nil
	}
	if err := unix.Fstat(fd, &info); err != nil {
		return 0, nil
	}
	return info.Ino, nil
}

func (h *linuxHandle) dup() (handle, error) {
	dup, err := h.Dup()
	if err != nil {
		return nil, err
	}
	return &linuxHandle{ProcessDir: dup, pid: h.pid, inOwnPIDNamespace: h.inOwnPIDNamespace}, nil
}

func (h *linuxHandle) close() { h.Close() }

// syscallPID returns the PID for system calls, or ErrUnsupported if theirs differ.
func (h *linuxHandle) syscallPID() (int, error) {
	if !h.inOwnPIDNamespace {
		return 0, ErrUnsupported
	}
	return h.pid, nil
}
