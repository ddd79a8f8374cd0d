package procfs

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A Mount is an open procfs root directory. All reads are relative to it, even
// if something else is mounted over its path later. Readers may share a Mount.
type Mount struct {
	dir               *os.File
	fd                int  // of dir
	isProcfs          bool // the file system type is procfs, not a copy in files
	fdSizeIsCount     bool // st_size of /proc/PID/fd is the number of open files, Linux 6.2
	noHidePID         bool // no procfs has the option hidepid, which adds a ptrace access check to each open
	inOwnPIDNamespace bool // PIDs in this mount are valid in system calls of this process
}

// Open opens the procfs mounted at root. Unless root is a procfs, it must have a
// stat file with a btime line. The error states what is wrong. The stat file of a procfs
// is not read: LXCFS can replace it by a file that blocks.
func Open(root string) (*Mount, error) {
	dir, err := os.OpenFile(root, unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("procfs: %w", err)
	}
	m := &Mount{dir: dir, fd: int(dir.Fd())}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(m.fd, &fs); err == nil {
		m.isProcfs = fs.Type == unix.PROC_SUPER_MAGIC
	}
	if !m.isProcfs {
		if err := checkCopy(root); err != nil {
			_ = dir.Close()
			return nil, err
		}
	}
	m.fdSizeIsCount = m.isProcfs && !KernelBefore(6, 2)
	m.noHidePID = m.isProcfs && !anyHidePID()
	m.inOwnPIDNamespace = m.isProcfs && ownNamespace(root)
	return m, nil
}

// checkCopy returns an error if root is not a copy of a procfs.
func checkCopy(root string) error {
	text, err := os.ReadFile(filepath.Join(root, "stat"))
	if err == nil {
		_, err = ParseBootTime(text)
	}
	if err != nil {
		return fmt.Errorf("procfs: %s is not a process file system: %w", root, err)
	}
	return nil
}

// CountsFDsWithoutListing reports whether [Reader.CountFDs] reads the size of a directory (since
// Linux 6.2) instead of listing the descriptors, which may block.
func (m *Mount) CountsFDsWithoutListing() bool { return m.fdSizeIsCount }

// Close closes the mount. Its Readers and its ProcessDirs must not be used
// afterwards.
func (m *Mount) Close() error { return m.dir.Close() }

// IsProcfs reports whether the mount is a procfs of the running kernel, and not
// a copy in files.
func (m *Mount) IsProcfs() bool { return m.isProcfs }

// InOwnPIDNamespace reports whether the mount belongs to the PID namespace of this process, so
// that its PIDs are valid in system calls such as prlimit(2). The procfs of the host inside a
// container belongs to another one.
func (m *Mount) InOwnPIDNamespace() bool { return m.inOwnPIDNamespace }

// rawCalls is the set of system calls on a file that cannot block on the
// process or on a file system that it uses. They can be raw system calls, which
// do not notify the Go scheduler. This makes a walk 10 % faster. A blocking raw
// call would block all goroutines of its P.
type rawCalls uint8

const (
	rawOpen rawCalls = 1 << iota
	rawRead
)

// rawCallsFor returns the raw calls for a single-record file. Reading stat, io
// or wchan can block while the process is in execve(2). So can files that read
// the memory of the process, some of them already in open.
func (m *Mount) rawCallsFor(file string) rawCalls {
	if !m.noHidePID {
		return 0
	}
	switch file {
	case "status", "schedstat", "statm", "limits":
		return rawOpen | rawRead
	case "stat", "io", "wchan":
		return rawOpen
	}
	return 0
}

// anyHidePID reports whether any procfs in this mount namespace has the hidepid
// option. It need not be this Mount: the result only affects speed.
func anyHidePID() bool {
	text, err := os.ReadFile("/proc/self/mountinfo")
	return err != nil || strings.Contains(string(text), "hidepid=")
}

// ownNamespace reports whether the procfs at root belongs to the PID namespace
// of this process. Then "self" links to the result of getpid(2), and NSpid in
// its status file has no second PID of a nested namespace.
func ownNamespace(root string) bool {
	self, err := os.Readlink(filepath.Join(root, "self"))
	if err != nil || self != strconv.Itoa(os.Getpid()) {
		return false
	}
	text, err := os.ReadFile(filepath.Join(root, "self", "status"))
	if err != nil {
		return false
	}
	var st Status
	return ParseStatus(text, &st) == nil && st.NSPIDs <= 1
}
