package sandbox

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// closeInherited closes the file descriptors above 2 that the program inherited and that
// are open for writing. Its own have FD_CLOEXEC. Those with a lock stay open, because
// closing them would release the lock.
func closeInherited() {
	for _, fd := range openFiles() {
		if fd > 2 && isInherited(fd) && isWritable(fd) && !isLocked(fd) {
			_ = unix.Close(fd)
		}
	}
}

// openFiles returns the open file descriptors, and that with which it lists them.
func openFiles() (fds []int) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil {
			fds = append(fds, fd)
		}
	}
	return fds
}

// openListeners returns the file descriptors of listening sockets.
func openListeners() (fds []uint32) {
	for _, fd := range openFiles() {
		if listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err == nil && listens != 0 {
			fds = append(fds, uint32(fd))
		}
	}
	return fds
}

func isInherited(fd int) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil && flags&unix.FD_CLOEXEC == 0
}

func isWritable(fd int) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	return err == nil && flags&unix.O_ACCMODE != unix.O_RDONLY
}

// isLocked reports whether a file descriptor holds a lock, see flock(2).
func isLocked(fd int) bool {
	info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
	return err == nil && strings.Contains(string(info), "\nlock:")
}

// leaveTerminal gives up the controlling terminal. A read of it in the background would
// stop all processes of the process group. The terminal still sends its signals to the
// process group. A session leader stays: its exit ends the session.
func leaveTerminal() {
	if sid, err := unix.Getsid(0); err != nil || sid == os.Getpid() {
		return
	}
	fd, err := unix.Open("/dev/tty", unix.O_RDONLY|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return // no terminal
	}
	_ = unix.IoctlSetInt(fd, unix.TIOCNOTTY, 0)
	_ = unix.Close(fd)
}

// replaceTerminals replaces the standard streams that are a terminal: the input by /dev/null,
// and the outputs by write-only descriptors of the terminal. A shell opens all three for reading
// and writing.
func replaceTerminals() {
	for stream := range 3 {
		if _, err := unix.IoctlGetTermios(stream, unix.TCGETS); err != nil {
			continue
		}
		path, flags := fmt.Sprintf("/proc/self/fd/%d", stream), unix.O_WRONLY
		if stream == 0 {
			path, flags = os.DevNull, unix.O_RDONLY
		}
		// A serial line without a carrier blocks open(2) without O_NONBLOCK.
		fd, err := unix.Open(path, flags|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			continue // such as a terminal of another user: see isReadableTerminal
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFL, 0); err == nil && (stream == 0 || isSameDevice(fd, stream)) {
			_ = unix.Dup3(fd, stream, 0)
		}
		_ = unix.Close(fd)
	}
}

// isSameDevice reports whether two descriptors are of one device. An open of the master of a
// pseudoterminal creates another one.
func isSameDevice(a, b int) bool {
	var one, other unix.Stat_t
	return unix.Fstat(a, &one) == nil && unix.Fstat(b, &other) == nil && one.Rdev == other.Rdev && one.Ino == other.Ino
}
