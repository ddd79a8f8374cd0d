package process

import (
	"errors"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ioprioWhoProcess says that ioprio_get(2) and ioprio_set(2) mean a thread.
const ioprioWhoProcess = 1

// number returns the PID for system calls, if it means the same to them.
func (h *linuxHandle) number() (int, error) {
	if !h.own {
		return 0, ErrUnsupported
	}
	return h.pid, nil
}

func (h *linuxHandle) nice() (int, error) {
	pid, err := h.number()
	if err != nil {
		return 0, err
	}
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, pid)
	return 20 - raw, err // the kernel's own answer is never below 1, which would be an error
}

func (h *linuxHandle) setNice(n int) error {
	pid, err := h.number()
	if err != nil {
		return err
	}
	return unix.Setpriority(unix.PRIO_PROCESS, pid, n)
}

func (h *linuxHandle) ioPriority() (int, error) {
	pid, err := h.number()
	if err != nil {
		return 0, err
	}
	packed, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, ioprioWhoProcess, uintptr(pid), 0)
	if errno != 0 {
		return 0, errno
	}
	return int(packed), nil
}

func (h *linuxHandle) setIOPriority(packed int) error {
	pid, err := h.number()
	if err != nil {
		return err
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOPRIO_SET, ioprioWhoProcess, uintptr(pid), uintptr(packed)); errno != 0 {
		return errno
	}
	return nil
}

// resourceNumbers are the kernel's, which some architectures number otherwise.
var resourceNumbers = [resourceCount]int{
	ResourceCPU: unix.RLIMIT_CPU, ResourceFSize: unix.RLIMIT_FSIZE, ResourceData: unix.RLIMIT_DATA,
	ResourceStack: unix.RLIMIT_STACK, ResourceCore: unix.RLIMIT_CORE, ResourceRSS: unix.RLIMIT_RSS,
	ResourceNProc: unix.RLIMIT_NPROC, ResourceNoFile: unix.RLIMIT_NOFILE, ResourceMemlock: unix.RLIMIT_MEMLOCK,
	ResourceAS: unix.RLIMIT_AS, ResourceLocks: unix.RLIMIT_LOCKS, ResourceSigPending: unix.RLIMIT_SIGPENDING,
	ResourceMsgQueue: unix.RLIMIT_MSGQUEUE, ResourceNice: unix.RLIMIT_NICE, ResourceRTPrio: unix.RLIMIT_RTPRIO,
	ResourceRTTime: unix.RLIMIT_RTTIME,
}

func (h *linuxHandle) limit(r Resource) (Limit, error) {
	pid, err := h.number()
	if err != nil {
		return Limit{}, err
	}
	var got unix.Rlimit
	err = unix.Prlimit(pid, resourceNumbers[r], nil, &got)
	return Limit{Soft: got.Cur, Hard: got.Max}, err
}

func (h *linuxHandle) setLimit(r Resource, to Limit) error {
	pid, err := h.number()
	if err != nil {
		return err
	}
	return orInvalid(unix.Prlimit(pid, resourceNumbers[r], &unix.Rlimit{Cur: to.Soft, Max: to.Hard}, nil))
}

// affinity asks with more room until the kernel's mask fits.
func (h *linuxHandle) affinity() ([]int, error) {
	pid, err := h.number()
	if err != nil {
		return nil, err
	}
	for size := 1024; ; size *= 2 {
		mask := make([]byte, size/8)
		n, _, errno := unix.Syscall(unix.SYS_SCHED_GETAFFINITY, uintptr(pid), uintptr(len(mask)), uintptr(unsafe.Pointer(&mask[0])))
		if errno == unix.EINVAL && size < maxCPUs {
			continue
		}
		if errno != 0 {
			return nil, errno
		}
		return cpusOf(mask[:n]), nil
	}
}

// cpusOf returns the bits of a mask of the kernel's words.
func cpusOf(mask []byte) []int {
	const word = unsafe.Sizeof(uintptr(0))
	var cpus []int
	for k := range len(mask) * 8 {
		if mask[byteOf(k, word)]>>(k%8)&1 != 0 {
			cpus = append(cpus, k)
		}
	}
	return cpus
}

// byteOf returns which byte of a mask holds bit k. Within a word, the order is
// that of the machine.
func byteOf(k int, word uintptr) int {
	at, one := k/8, uint16(1)
	if *(*byte)(unsafe.Pointer(&one)) == 0 { // the greatest byte comes first
		at ^= int(word) - 1
	}
	return at
}

func (h *linuxHandle) setAffinity(cpus []int) error {
	pid, err := h.number()
	if err != nil {
		return err
	}
	mask := make([]byte, maxCPUs/8)
	for i := range mask {
		if len(cpus) == 0 {
			mask[i] = 0xff // the kernel takes out what is not there or not allowed
		}
	}
	for _, cpu := range cpus {
		mask[byteOf(cpu, unsafe.Sizeof(uintptr(0)))] |= 1 << (cpu % 8)
	}
	_, _, errno := unix.Syscall(unix.SYS_SCHED_SETAFFINITY, uintptr(pid), uintptr(len(mask)), uintptr(unsafe.Pointer(&mask[0])))
	if errno != 0 {
		return orInvalid(errno)
	}
	return nil
}

// orInvalid names the error by which the kernel refuses an argument.
func orInvalid(err error) error {
	if errors.Is(err, syscall.EINVAL) {
		return ErrInvalid
	}
	return err
}

// signal sends a signal through the open directory, which the kernel takes for
// the process itself. Where it does not, because we may not list the directory
// or it is a thread's, a pidfd is as good: if the process is there after that
// was opened, both are of the same process.
func (h *linuxHandle) signal(s syscall.Signal) error {
	err := unix.EBADF
	if !h.PathOnly() {
		err = asErrno(unix.PidfdSendSignal(h.FD(), unix.Signal(s), nil, 0))
	}
	switch {
	case err == unix.EBADF && h.own:
		err = h.signalNumber(s)
	case err == unix.ENOSYS && h.own: // before Linux 5.1
		err = h.kill(s)
	}
	switch err {
	case 0:
		return nil
	case unix.EINVAL:
		if !h.own { // of a PID namespace above ours
			return ErrUnsupported
		}
		return ErrInvalid
	}
	return err
}

func (h *linuxHandle) signalNumber(s syscall.Signal) syscall.Errno {
	fd, err := unix.PidfdOpen(h.pid, 0)
	if err == nil {
		defer unix.Close(fd)
	}
	switch {
	case h.gone(): // that it is matters more than why there was no pidfd
		return unix.ESRCH
	case err == unix.ENOSYS: // before Linux 5.3
		return h.kill(s)
	case err != nil:
		return asErrno(err)
	}
	return asErrno(unix.PidfdSendSignal(fd, unix.Signal(s), nil, 0))
}

// kill sends a signal to the number of the process, if that is there the moment
// before.
func (h *linuxHandle) kill(s syscall.Signal) syscall.Errno {
	if h.gone() {
		return unix.ESRCH
	}
	return asErrno(unix.Kill(h.pid, s))
}

// asErrno returns the number of an error of a system call.
func asErrno(err error) syscall.Errno {
	var errno syscall.Errno
	if err != nil && !errors.As(err, &errno) {
		return unix.EIO
	}
	return errno
}
