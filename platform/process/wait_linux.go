package process

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// How long a wait that has to look again and again pauses: ever longer.
const (
	firstPause = 100 * time.Microsecond
	lastPause  = 40 * time.Millisecond
)

func (h *linuxHandle) wait(ctx context.Context) (ExitStatus, error) {
	pidfd := h.pidfd()
	if pidfd != nil {
		defer pidfd.Close()
		awaitExit(ctx, pidfd)
	}
	// A child of ours is waited for; another process's child stays a zombie
	// until that waits for it.
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		status, done := h.reap(pidfd)
		if done || h.gone() {
			return status, nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ExitStatus{}, ctx.Err()
		case <-timer.C:
		}
	}
}

// pidfd returns a descriptor that becomes readable when the process exits, nil
// where the kernel has none to give. It is of the right process if that is there
// after it was opened; if not, there is nothing to wait for.
func (h *linuxHandle) pidfd() *os.File {
	pid, err := h.number()
	if err != nil {
		return nil
	}
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil
	}
	if h.gone() {
		_ = unix.Close(fd)
		return nil
	}
	return os.NewFile(uintptr(fd), "pidfd")
}

// awaitExit waits until a pidfd is readable or ctx ends. A goroutine waits
// there, and no thread. If it cannot, it returns at once and the caller looks
// again and again.
func awaitExit(ctx context.Context, pidfd *os.File) {
	conn, err := pidfd.SyscallConn()
	if err != nil {
		return
	}
	stop := context.AfterFunc(ctx, func() { _ = pidfd.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	_ = conn.Read(func(fd uintptr) bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return n > 0 || err != nil && !errors.Is(err, unix.EINTR)
	})
}

// How a child ended, in siginfo_t.
const (
	childExited = 1
	childKilled = 2
	childDumped = 3 // killed, and left a core
)

// reap waits for the process if it is a child of ours that has exited. The
// number of a child is its own until somebody has waited for it.
func (h *linuxHandle) reap(pidfd *os.File) (status ExitStatus, done bool) {
	if !h.own || h.gone() {
		return ExitStatus{}, false
	}
	kind, id := unix.P_PID, h.pid
	if pidfd != nil {
		kind, id = unix.P_PIDFD, int(pidfd.Fd())
	}
	var info unix.Siginfo
	err := unix.Waitid(kind, id, &info, unix.WEXITED|unix.WNOHANG, nil)
	if errors.Is(err, unix.EINVAL) && kind == unix.P_PIDFD { // before Linux 5.4
		err = unix.Waitid(unix.P_PID, h.pid, &info, unix.WEXITED|unix.WNOHANG, nil)
	}
	if err != nil || info.Signo == 0 {
		return ExitStatus{}, false
	}
	return exitStatus(&info), true
}

// exitStatus takes from siginfo_t what of it the unix package does not name: the
// status stands behind PID and UID, in the part that is aligned like a pointer.
func exitStatus(info *unix.Siginfo) ExitStatus {
	const word = unsafe.Sizeof(uintptr(0))
	const at = (3*4+word-1)/word*word + 2*4
	status := *(*int32)(unsafe.Add(unsafe.Pointer(info), at))
	switch info.Code {
	case childExited:
		return ExitStatus{Known: true, Code: int(status)}
	case childKilled, childDumped:
		return ExitStatus{Known: true, Signal: syscall.Signal(status)}
	}
	return ExitStatus{}
}
