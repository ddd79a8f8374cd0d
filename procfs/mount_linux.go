package procfs

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A Mount is a process file system held open, so that every read is relative
// to one mount whatever is mounted over its path later. It may be shared by
// any number of Readers.
type Mount struct {
	dir     *os.File
	real    bool // the kernel's own procfs, not a copy of one
	sizedFD bool // the size of a PID/fd directory is the number of its entries
	ownPIDs bool // PIDs here are those that system calls of this process take
}

// Open opens the process file system mounted at root. It must be a directory
// that holds a stat file with a btime line; the error says what is amiss.
func Open(root string) (*Mount, error) {
	dir, err := os.OpenFile(root, unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("procfs: %w", err)
	}
	m := &Mount{dir: dir}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &fs); err == nil {
		m.real = fs.Type == unix.PROC_SUPER_MAGIC
	}
	text, err := os.ReadFile(filepath.Join(root, "stat"))
	switch {
	case err != nil && m.real: // mounted with subset=pid, which hides all but processes
	case err != nil:
		err = fmt.Errorf("procfs: %s is not a process file system: %w", root, err)
	default:
		if _, err = ParseBootTime(text); err != nil {
			err = fmt.Errorf("procfs: %s is not a process file system: %w", root, err)
		}
	}
	if err != nil && !m.real {
		_ = dir.Close()
		return nil, err
	}
	m.sizedFD = m.real && kernelAtLeast(6, 2)
	m.ownPIDs = m.real && ownNamespace(root)
	return m, nil
}

// Close closes the mount. Readers of it must not be used any more.
func (m *Mount) Close() error { return m.dir.Close() }

// Real reports whether this is the kernel's own file system, whose numbers
// belong to the running machine, and not a copy of one.
func (m *Mount) Real() bool { return m.real }

// OwnPIDs reports whether PIDs found here name the same processes in system
// calls, such as prlimit(2). They do not where the mount belongs to another
// PID namespace, as a host's does inside a container.
func (m *Mount) OwnPIDs() bool { return m.ownPIDs }

// ownNamespace reports whether the mount at root numbers processes as this
// process's own PID namespace does: then "self" names us by the PID that we
// know, and our status shows no second number from a nested namespace.
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

// kernelAtLeast reports whether the running kernel calls itself at least
// major.minor.
func kernelAtLeast(major, minor int) bool {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return false
	}
	parts := strings.SplitN(unix.ByteSliceToString(u.Release[:]), ".", 3)
	if len(parts) < 2 {
		return false
	}
	a, err1 := strconv.Atoi(parts[0])
	b, err2 := strconv.Atoi(strings.TrimRightFunc(parts[1], func(r rune) bool { return r < '0' || r > '9' }))
	return err1 == nil && err2 == nil && (a > major || a == major && b >= minor)
}
