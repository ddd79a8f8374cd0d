package process

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ioprioWhoProcess selects one thread in ioprio_get(2) and ioprio_set(2).
const ioprioWhoProcess = 1

func (h *linuxHandle) nice() (int, error) {
	pid, err := h.syscallPID()
	if err != nil {
		return 0, err
	}
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, pid)
	return 20 - raw, err // the system call returns 1 to 40, since a negative result is an error
}

func (h *linuxHandle) setNice(n int) error {
	pid, err := h.syscallPID()
	if err != nil {
		return err
	}
	return unix.Setpriority(unix.PRIO_PROCESS, pid, n)
}

func (h *linuxHandle) ioPriority() (int, error) {
	pid, err := h.syscallPID()
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
	pid, err := h.syscallPID()
	if err != nil {
		return err
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOPRIO_SET, ioprioWhoProcess, uintptr(pid), uintptr(packed)); errno != 0 {
		return errno
	}
	return nil
}

// resourceNumbers holds the RLIMIT_* numbers, which differ between architectures.
var resourceNumbers = [resourceCount]int{
	ResourceCPU: unix.RLIMIT_CPU, ResourceFSize: unix.RLIMIT_FSIZE, ResourceData: unix.RLIMIT_DATA,
	ResourceStack: unix.RLIMIT_STACK, ResourceCore: unix.RLIMIT_CORE, ResourceRSS: unix.RLIMIT_RSS,
	ResourceNProc: unix.RLIMIT_NPROC, ResourceNoFile: unix.RLIMIT_NOFILE, ResourceMemlock: unix.RLIMIT_MEMLOCK,
	ResourceAS: unix.RLIMIT_AS, ResourceLocks: unix.RLIMIT_LOCKS, ResourceSigPending: unix.RLIMIT_SIGPENDING,
	ResourceMsgQueue: unix.RLIMIT_MSGQUEUE, ResourceNice: unix.RLIMIT_NICE, ResourceRTPrio: unix.RLIMIT_RTPRIO,
	ResourceRTTime: unix.RLIMIT_RTTIME,
}

func (h *linuxHandle) limit(r Resource) (Limit, error) {
	pid, err := h.syscallPID()
	if err != nil {
		return Limit{}, err
	}
	var got unix.Rlimit
	err = unix.Prlimit(pid, resourceNumbers[r], nil, &got)
	return Limit{Soft: got.Cur, Hard: got.Max}, err
}

func (h *linuxHandle) setLimit(r Resource, to Limit) error {
	pid, err := h.syscallPID()
	if err != nil {
		return err
	}
	err = unix.Prlimit(pid, resourceNumbers[r], &unix.Rlimit{Cur: to.Soft, Max: to.Hard}, nil)
	return invalidArgument(err, "the kernel does not accept the limits")
}

// affinity doubles the buffer until the CPU mask of the kernel fits.
func (h *linuxHandle) affinity() ([]int, error) {
	pid, err := h.syscallPID()
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
		return cpusInMask(mask[:n]), nil
	}
}

// cpusInMask returns the numbers of the bits that are set in a CPU mask.
func cpusInMask(mask []byte) []int {
	const word = unsafe.Sizeof(uintptr(0))
	var cpus []int
	for k := range len(mask) * 8 {
		if mask[maskByte(k, word)]>>(k%8)&1 != 0 {
			cpus = append(cpus, k)
		}
	}
	return cpus
}

// maskByte returns the index of the byte of a CPU mask that holds bit k. A mask is
// an array of words in the byte order of the machine.
func maskByte(k int, word uintptr) int {
	at, one := k/8, uint16(1)
	if *(*byte)(unsafe.Pointer(&one)) == 0 { // big endian
		at ^= int(word) - 1
	}
	return at
}

func (h *linuxHandle) setAffinity(cpus []int) error {
	pid, err := h.syscallPID()
	if err != nil {
		return err
	}
	mask := make([]byte, maxCPUs/8)
	for i := range mask {
		if len(cpus) == 0 {
			mask[i] = 0xff // the kernel clears CPUs that do not exist or are not allowed
		}
	}
	for _, cpu := range cpus {
		mask[maskByte(cpu, unsafe.Sizeof(uintptr(0)))] |= 1 << (cpu % 8)
	}
	_, _, errno := unix.Syscall(unix.SYS_SCHED_SETAFFINITY, uintptr(pid), uintptr(len(mask)), uintptr(unsafe.Pointer(&mask[0])))
	if errno != 0 {
		return invalidArgument(errno, "none of the CPUs exists in the cpuset of the process")
	}
	return nil
}

// invalidArgument returns ErrInvalid with a reason in place of EINVAL.
func invalidArgument(err error, reason string) error {
	if errors.Is(err, syscall.EINVAL) {
		return because(ErrInvalid, reason)
	}
	return err
}

// signal sends a signal through the open directory, which pidfd_send_signal(2)
// accepts as a pidfd. It does not accept the directory of a thread, or one that
// this process may not list. Then signal opens a pidfd: if the process exists
// afterwards, the pidfd belongs to it.
func (h *linuxHandle) signal(s syscall.Signal) error {
	err := unix.EBADF
	if !h.PathOnly() {
		err = asErrno(unix.PidfdSendSignal(h.FD(), unix.Signal(s), nil, 0))
	}
	switch {
	case err == unix.EBADF && h.inOwnPIDNamespace:
		err = h.signalByPID(s)
	case err == unix.ENOSYS && h.inOwnPIDNamespace: // before Linux 5.1
		err = h.kill(s)
	}
	switch err {
	case 0:
		return nil
	case unix.EINVAL:
		if !h.inOwnPIDNamespace { // the process is in a PID namespace above this one
			return ErrUnsupported
		}
		return because(ErrInvalid, fmt.Sprintf("the kernel has no signal %d", int(s)))
	}
	return err
}

// signalByPID sends a signal through a new pidfd.
func (h *linuxHandle) signalByPID(s syscall.Signal) syscall.Errno {
	fd, err := unix.PidfdOpen(h.pid, 0)
	if err == nil {
		defer unix.Close(fd)
	}
	switch {
	case h.gone(): // takes precedence over the error of pidfd_open
		return unix.ESRCH
	case err == unix.ENOSYS: // before Linux 5.3
		return h.kill(s)
	case err != nil:
		return asErrno(err)
	}
	return asErrno(unix.PidfdSendSignal(fd, unix.Signal(s), nil, 0))
}

// kill sends a signal to the PID if the process exists immediately before.
func (h *linuxHandle) kill(s syscall.Signal) syscall.Errno {
	if h.gone() {
		return unix.ESRCH
	}
	return asErrno(unix.Kill(h.pid, s))
}

// asErrno returns the errno of a system call error, or 0.
func asErrno(err error) syscall.Errno {
	var errno syscall.Errno
	if err != nil && !errors.As(err, &errno) {
		return unix.EIO
	}
	return errno
}
