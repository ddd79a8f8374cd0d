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

// Pauses between polls. Each is twice as long as the previous one.
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
	// Reap a child of this process. The child of another process stays a zombie
	// until its parent reaps it.
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

// pidfd returns a descriptor that becomes readable when the process exits, or nil
// if pidfd_open(2) fails (it exists since Linux 5.3, PIDFD_NONBLOCK since 5.10). If
// the process exists after the call, the pidfd belongs to it; if not, there is
// nothing to wait for.
func (h *linuxHandle) pidfd() *os.File {
	pid, err := h.syscallPID()
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

// awaitExit waits until a pidfd is readable or ctx ends. It uses the network poller
// of the runtime, so it blocks no thread. If that fails it returns at once, and the
// caller polls.
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

// Values of si_code for SIGCHLD.
const (
	childExited = 1
	childKilled = 2
	childDumped = 3 // killed with a core dump
)

// reap reaps the process if it is a child that has exited. The PID of a child is not
// reused before the child is reaped.
func (h *linuxHandle) reap(pidfd *os.File) (status ExitStatus, done bool) {
	if !h.inOwnPIDNamespace || h.gone() {
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

// exitStatus reads si_status, which package unix does not name. It follows si_pid
// and si_uid in the union of siginfo_t, which has the alignment of a pointer.
func exitStatus(info *unix.Siginfo) ExitStatus {
	const word = unsafe.Sizeof(uintptr(0))
	const at = (3*4+word-1)/word*word + 2*4
	status := *(*int32)(unsafe.Add(unsafe.Pointer(info), at))
	switch info.Code {
	case childExited:
		return ExitStatus{Known: true, Code: int(status)}
	case childKilled, childDumped:
		return ExitStatus{Known: true, Code: -1, Signal: syscall.Signal(status)}
	}
	return ExitStatus{}
}
