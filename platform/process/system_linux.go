package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/platform/internal/host"
	"github.com/seed57308aee/process_exporter/procfs"
)

// maxKept is how many files of processes stay open beside their directories. It
// is small beside the usual limit of 1024.
const maxKept = 256

// linux is the system of a process file system.
type linux struct {
	mount *procfs.Mount
	page  uint64
	room  atomic.Int32 // how many files of processes may yet be kept open

	mu     sync.Mutex // guards the rest
	reader *procfs.Reader
	clock  host.Clock
}

func openSystem(root string) (system, error) {
	if root == "" {
		root = "/proc"
	}
	mount, err := procfs.Open(root)
	if err != nil {
		return nil, fmt.Errorf("platform: %w", err)
	}
	l := &linux{
		mount: mount, page: uint64(os.Getpagesize()), reader: procfs.NewReader(mount), clock: host.NewClock(mount),
	}
	l.room.Store(maxKept)
	return l, nil
}

func (l *linux) close() error { return l.mount.Close() }

func (l *linux) pageBytes() uint64 { return l.page }

func (l *linux) nanos(ticks uint64) time.Duration { return time.Duration(l.clock.Nanos(ticks)) }

// bootTime looks at the clock first, which may have been set since.
func (l *linux) bootTime() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clock.Update(l.reader)
	return l.clock.BootTime()
}

func (l *linux) pids() ([]int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	pids, err := l.reader.AppendPIDs(nil)
	if err != nil {
		return nil, fmt.Errorf("platform: cannot list processes: %w", err)
	}
	return pids, nil
}

func (l *linux) kin() ([]kinship, error) {
	pids, err := l.pids()
	if err != nil {
		return nil, err
	}
	// One process may not answer, and must not keep the lock from all others.
	reader := procfs.NewReader(l.mount)
	family := make([]kinship, 0, len(pids))
	for _, pid := range pids {
		text, err := reader.Read(pid, "stat")
		if errors.Is(err, procfs.ErrGone) {
			continue
		}
		var st procfs.Stat
		if err == nil {
			err = procfs.ParseStat(text, &st)
		}
		if err != nil {
			return nil, err
		}
		family = append(family, kinship{id: ID{PID: st.PID, Start: st.StartTicks}, ppid: st.PPID})
	}
	return family, nil
}

// memory returns the memory of the machine. A file system mounted with
// subset=pid does not tell, but the kernel does.
func (l *linux) memory() (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if text, err := l.reader.ReadHost("meminfo"); err == nil {
		var m procfs.Meminfo
		if procfs.ParseMeminfo(text, &m) == nil && m.Have&procfs.MeminfoTotal != 0 {
			return m.TotalBytes, nil
		}
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0, fmt.Errorf("platform: memory of the machine: %w", err)
	}
	return uint64(info.Totalram) * uint64(info.Unit), nil
}

// The device numbers of terminals (Documentation/admin-guide/devices.txt).
const (
	majorConsole  = 4 // consoles, and from minor 64 on serial lines
	majorTerminal = 136
	firstSerial   = 64
)

// terminal finds the file of a terminal by its number, and looks for it where
// the number does not tell its name.
func (l *linux) terminal(device uint32) string {
	major, minor := device>>8&0xfff, device&0xff|device>>12&^uint32(0xff)
	likely := ""
	switch {
	case major == majorTerminal:
		likely = "/dev/pts/" + strconv.Itoa(int(minor))
	case major == majorConsole && minor < firstSerial:
		likely = "/dev/tty" + strconv.Itoa(int(minor))
	case major == majorConsole:
		likely = "/dev/ttyS" + strconv.Itoa(int(minor-firstSerial))
	}
	if likely != "" && isDevice(likely, major, minor) {
		return likely
	}
	for _, pattern := range [...]string{"/dev/tty*", "/dev/pts/*"} {
		names, _ := filepath.Glob(pattern) // fails only for a bad pattern
		for _, name := range names {
			if isDevice(name, major, minor) {
				return name
			}
		}
	}
	return ""
}

func isDevice(path string, major, minor uint32) bool {
	var info unix.Stat_t
	err := unix.Stat(path, &info)
	return err == nil && info.Mode&unix.S_IFMT == unix.S_IFCHR && info.Rdev == unix.Mkdev(major, minor)
}

func (l *linux) exists(path string) bool {
	_, err := statNow(unix.AT_FDCWD, path)
	return err == nil
}

func (l *linux) sameFile(path string, like entry) bool {
	is, err := statNow(unix.AT_FDCWD, path)
	return err == nil && is.device == like.device && is.inode == like.inode
}

// statNow takes the kernel's word for a file, as it knows it now. It does not
// ask the server of a network file system, or of one in user space: one that
// does not answer would hold us beyond SIGKILL.
func statNow(dir int, path string) (entry, error) {
	const flags, mask = unix.AT_STATX_DONT_SYNC, unix.STATX_TYPE | unix.STATX_INO
	var x unix.Statx_t
	err := unix.Statx(dir, path, flags, mask, &x)
	if err == nil {
		return entry{device: unix.Mkdev(x.Dev_major, x.Dev_minor), inode: x.Ino, regular: x.Mode&unix.S_IFMT == unix.S_IFREG}, nil
	}
	if !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EPERM) {
		return entry{}, err
	}
	var info unix.Stat_t // before Linux 4.11, or where it is filtered
	err = unix.Fstatat(dir, path, &info, 0)
	return entry{device: uint64(info.Dev), inode: info.Ino, regular: info.Mode&unix.S_IFMT == unix.S_IFREG}, err
}

func (l *linux) open(pid int) (handle, error) {
	dir, err := l.mount.Process(pid, &l.room)
	if err != nil {
		return nil, err
	}
	return &linuxHandle{Process: dir, pid: pid, own: l.mount.OwnPIDs()}, nil
}

// linuxHandle is the directory of a process held open.
type linuxHandle struct {
	*procfs.Process
	pid int
	own bool // the number means the same to system calls
}

func (h *linuxHandle) read(buf []byte, file string) ([]byte, error) {
	text, err := h.Read(buf, file)
	if err == nil && len(text) == 0 && file == "stat" { // exited between open and read
		return nil, syscall.ESRCH
	}
	return text, err
}

func (h *linuxHandle) readAll(buf []byte, file string) ([]byte, error) { return h.ReadAll(buf, file) }

func (h *linuxHandle) numbers(buf []byte, dir string) ([]int, error) {
	return h.AppendNumbers(nil, buf, dir)
}

func (h *linuxHandle) link(buf []byte, file string) ([]byte, error) { return h.ReadLink(buf, file) }

func (h *linuxHandle) stat(file string) (entry, error) {
	is, err := statNow(h.FD(), file)
	if err != nil {
		err = &procfs.ReadError{PID: h.pid, File: file, Err: err}
	}
	return is, err
}

func (h *linuxHandle) countFDs(buf []byte) (int, error) { return h.CountFDs(buf) }

func (h *linuxHandle) gone() bool { return h.Gone() }

// serial returns the number of the inode that the kernel has for the process in
// pidfs, since Linux 6.9. Before, all pidfds share one, and there are none of
// threads.
func (h *linuxHandle) serial() (uint64, error) {
	const ofThread = unix.O_EXCL // PIDFD_THREAD, linux/pidfd.h
	pid, err := h.number()
	if err != nil {
		return 0, nil
	}
	fd, err := unix.PidfdOpen(pid, ofThread)
	switch {
	case errors.Is(err, unix.ESRCH), host.ResourceExhausted(err):
		return 0, err
	case err != nil: // there is no such call or flag, or a filter is before it
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
	twin, err := h.Dup()
	if err != nil {
		return nil, err
	}
	return &linuxHandle{Process: twin, pid: h.pid, own: h.own}, nil
}

func (h *linuxHandle) close() { h.Close() }
