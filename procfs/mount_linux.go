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
	fd      int  // that of dir
	real    bool // the kernel's own procfs, not a copy of one
	sizedFD bool // the size of a PID/fd directory is the number of its entries
	open    bool // no hidepid, which makes every open look at the process
	ownPIDs bool // PIDs here are those that system calls of this process take
}

// Open opens the process file system mounted at root. It must be a directory
// that holds a stat file with a btime line; the error says what is amiss.
func Open(root string) (*Mount, error) {
	dir, err := os.OpenFile(root, unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("procfs: %w", err)
	}
	m := &Mount{dir: dir, fd: int(dir.Fd())}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(m.fd, &fs); err == nil {
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
	m.open = m.real && !hidesPIDs()
	m.ownPIDs = m.real && ownNamespace(root)
	return m, nil
}

// SizedFDs reports whether the number of a process's open files is known without
// listing them, which may wait.
func (m *Mount) SizedFDs() bool { return m.sizedFD }

// Close closes the mount. Readers of it must not be used any more, nor may it open a
// Process.
func (m *Mount) Close() error { return m.dir.Close() }

// Real reports whether this is the kernel's own file system, whose numbers
// belong to the running machine, and not a copy of one.
func (m *Mount) IsProcfs() bool { return m.real }

// OwnPIDs reports whether PIDs found here name the same processes in system
// calls, such as prlimit(2). They do not where the mount belongs to another
// PID namespace, as a host's does inside a container.
func (m *Mount) OwnPIDs() bool { return m.ownPIDs }

// rawCalls says which system calls for a file return without waiting for
// anything that the process, or a file system it uses, can hold up. Those may
// be raw: Go's scheduler is not told of them, which saves a tenth of a walk. Of
// a call that may wait it has to know, or it would wait as well.
type rawCalls uint8

const (
	rawOpen rawCalls = 1 << iota
	rawRead
)

// raw returns the raw calls for a file of one record. To read stat, io or wchan
// waits for a process in execve(2); whatever walks its memory waits for that,
// some already to open it.
func (m *Mount) raw(file string) rawCalls {
	if !m.open {
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

// hidesPIDs reports whether a procfs is mounted so that processes hide from
// other users. Any will do: what is at stake is speed.
func hidesPIDs() bool {
	text, err := os.ReadFile("/proc/self/mountinfo")
	return err != nil || strings.Contains(string(text), "hidepid=")
}

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
