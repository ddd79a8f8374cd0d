package process

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/platform/internal/host"
	"github.com/seed57308aee/process_exporter/procfs"
)

// maxOpenFiles is how many files of processes a Table keeps open for repeated
// reads. It is small compared to the usual descriptor limit of 1024.
const maxOpenFiles = 256

// A linuxSystem reads a process file system.
type linuxSystem struct {
	mount     *procfs.Mount
	page      uint64       // bytes
	fileSlots atomic.Int32 // how many more files may be kept open
	uses      useCount     // of mount

	mu     sync.Mutex // guards the fields below
	reader *procfs.Reader
	clock  host.Clock
}

func openSystem(root string) (system, error) {
	if root == "" {
		root = "/proc"
	}
	mount, err := procfs.Open(root)
	if err != nil {
		return nil, err
	}
	l := &linuxSystem{
		mount: mount, page: uint64(os.Getpagesize()), reader: procfs.NewReader(mount), clock: host.NewClock(mount),
	}
	l.fileSlots.Store(maxOpenFiles)
	return l, nil
}

func (l *linuxSystem) close() error {
	wasOpen, unused := l.uses.close()
	switch {
	case !wasOpen:
		return errTableClosed
	case unused:
		return l.mount.Close()
	}
	return nil
}

// begin keeps the mount open until end.
func (l *linuxSystem) begin() error {
	if !l.uses.begin() {
		return errTableClosed
	}
	return nil
}

func (l *linuxSystem) end() {
	if l.uses.end() {
		_ = l.mount.Close()
	}
}

func (l *linuxSystem) pageBytes() uint64 { return l.page }

func (l *linuxSystem) nanos(ticks uint64) time.Duration { return time.Duration(l.clock.Nanos(ticks)) }

// bootTime updates the clock first, because the wall clock may have been set.
func (l *linuxSystem) bootTime() (time.Time, error) {
	if err := l.begin(); err != nil {
		return time.Time{}, err
	}
	defer l.end()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clock.Update()
	return l.clock.BootTime(), nil
}

func (l *linuxSystem) pids() ([]int, error) {
	if err := l.begin(); err != nil {
		return nil, err
	}
	defer l.end()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reader.AppendPIDs(nil)
}

func (l *linuxSystem) relations() ([]relation, error) {
	if err := l.begin(); err != nil {
		return nil, err
	}
	defer l.end()
	pids, err := l.pids()
	if err != nil {
		return nil, err
	}
	// A separate reader, so that an unresponsive process does not block callers
	// that need the mutex.
	reader := procfs.NewReader(l.mount)
	all := make([]relation, 0, len(pids))
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
		all = append(all, relation{id: ID{PID: st.PID, Start: st.StartTicks}, ppid: st.PPID})
	}
	return all, nil
}

// memory returns MemTotal of /proc/meminfo. A mount with subset=pid lacks that
// file; sysinfo(2) replaces it.
func (l *linuxSystem) memory() (uint64, error) {
	if err := l.begin(); err != nil {
		return 0, err
	}
	defer l.end()
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
		return 0, err
	}
	return uint64(info.Totalram) * uint64(info.Unit), nil
}

// Device numbers of terminals (Documentation/admin-guide/devices.txt).
const (
	majorConsole = 4 // consoles; serial lines from minor 64 on
	majorPTY     = 136
	firstSerial  = 64
)

// terminal returns the path of a terminal device. It checks the usual path of the
// device number first and then searches /dev.
func (l *linuxSystem) terminal(device uint32) string {
	major, minor := device>>8&0xfff, device&0xff|device>>12&^uint32(0xff)
	usual := ""
	switch {
	case major == majorPTY:
		usual = "/dev/pts/" + strconv.Itoa(int(minor))
	case major == majorConsole && minor < firstSerial:
		usual = "/dev/tty" + strconv.Itoa(int(minor))
	case major == majorConsole:
		usual = "/dev/ttyS" + strconv.Itoa(int(minor-firstSerial))
	}
	if usual != "" && isDevice(usual, major, minor) {
		return usual
	}
	for _, pattern := range [...]string{"/dev/tty*", "/dev/pts/*"} {
		names, _ := filepath.Glob(pattern) // fails only for a malformed pattern
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

func (l *linuxSystem) exists(path string) bool {
	_, err := statCached(unix.AT_FDCWD, path)
	return err == nil
}

func (l *linuxSystem) sameFile(path string, as fileID) bool {
	is, err := statCached(unix.AT_FDCWD, path)
	return err == nil && is.device == as.device && is.inode == as.inode
}

// statCached returns the attributes that the kernel has cached. It sends no
// request to the server of a network or user-space file system: a server that
// does not respond would block this program beyond SIGKILL. Before Linux 4.11, or
// where a filter blocks statx(2), it uses fstatat(2).
func statCached(dir int, path string) (fileID, error) {
	const flags, mask = unix.AT_STATX_DONT_SYNC, unix.STATX_TYPE | unix.STATX_INO
	var x unix.Statx_t
	err := unix.Statx(dir, path, flags, mask, &x)
	if err == nil {
		return fileID{device: unix.Mkdev(x.Dev_major, x.Dev_minor), inode: x.Ino, regular: x.Mode&unix.S_IFMT == unix.S_IFREG}, nil
	}
	if !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EPERM) {
		return fileID{}, err
	}
	var info unix.Stat_t
	err = unix.Fstatat(dir, path, &info, 0)
	return fileID{device: uint64(info.Dev), inode: info.Ino, regular: info.Mode&unix.S_IFMT == unix.S_IFREG}, err
}

func (l *linuxSystem) open(pid int) (handle, error) {
	if err := l.begin(); err != nil {
		return nil, err
	}
	defer l.end()
	dir, err := l.mount.OpenProcess(pid, &l.fileSlots)
	if err != nil {
		return nil, err
	}
	return &linuxHandle{ProcessDir: dir, pid: pid, inOwnPIDNamespace: l.mount.InOwnPIDNamespace()}, nil
}
