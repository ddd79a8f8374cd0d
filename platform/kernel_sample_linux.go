//go:build amd64 || arm64

package platform

import (
	"bytes"
	"math"
	"math/bits"
	"unsafe"

	"github.com/seed57308aee/process_exporter/platform/bpf"
)

// sample turns what the kernel says of a process into a Sample, but for what its
// threads have used. prev is its Sample of the walk before, or nil.
func (k *kernelSource) sample(p *bpf.Process, prev *Sample) Sample {
	s := Sample{
		ID:   k.ticks.id(p.Pid, p.Start),
		PPID: int(p.Ppid),
		Have: FieldStat | FieldStatus | FieldFDs | FieldFDLimit | FieldTasks | FieldTaskUsage,

		State:         stateLetter(p.State, p.ExitState),
		Kernel:        p.TaskFlags&flagKernel != 0,
		ExecID:        p.ExecId + 1,
		Cgroup:        p.Cgroup,
		Threads:       int(p.Threads),
		VirtualBytes:  p.Virt * k.ticks.page,
		ResidentBytes: (p.RssFile + p.RssAnon + p.RssShmem) * k.ticks.page,
		SwapBytes:     p.Swap * k.ticks.page,
		EUID:          p.Uid,
		FDs:           uint64(p.Fds),
		FDLimit:       p.FdLimit,
	}
	if s.State == 'Z' && p.HasMm == 0 {
		s.FDLimit = math.MaxUint64 // it opens no file any more
	}
	if prev != nil {
		s.Want = prev.Want
		s.Comm = commOf(&p.Comm, prev.Comm)
	} else {
		s.Comm = commOf(&p.Comm, "")
	}
	return s
}

// use takes over what the threads of a process have used.
func (s *Sample) use(u *bpf.Usage, flags uint32, prev *Sample) {
	s.Have |= FieldSwitches | haveOf(flags)
	s.MinorFaults, s.MajorFaults = u.MinorFaults, u.MajorFaults
	s.VoluntarySwitches, s.NonvoluntarySwitches = u.Voluntary, u.Nonvoluntary
	s.ReadBytes, s.WriteBytes = u.ReadBytes, u.WriteBytes
	s.RunWaitNanos, s.BlockWaitNanos = u.RunDelay, u.BlockDelay
	var user, system uint64
	if prev != nil && prev.Have&FieldSwitches != 0 {
		user, system = prev.UserNanos, prev.SystemNanos
	}
	s.UserNanos, s.SystemNanos = cpuTimes(u, user, system)
}

// keepHighest takes over what s has less of than prev. A thread that ended while
// those of its process were looked at may be missing from the sums.
func (s *Sample) keepHighest(prev *Sample) {
	s.UserNanos, s.SystemNanos = max(s.UserNanos, prev.UserNanos), max(s.SystemNanos, prev.SystemNanos)
	s.MinorFaults, s.MajorFaults = max(s.MinorFaults, prev.MinorFaults), max(s.MajorFaults, prev.MajorFaults)
	s.VoluntarySwitches = max(s.VoluntarySwitches, prev.VoluntarySwitches)
	s.NonvoluntarySwitches = max(s.NonvoluntarySwitches, prev.NonvoluntarySwitches)
	s.ReadBytes, s.WriteBytes = max(s.ReadBytes, prev.ReadBytes), max(s.WriteBytes, prev.WriteBytes)
}

// haveOf returns the fields that only some kernels count.
func haveOf(flags uint32) (have Fields) {
	if flags&bpf.HasIO != 0 {
		have |= FieldIO
	}
	if flags&bpf.HasRunDelay != 0 {
		have |= FieldRunWait
	}
	if flags&bpf.HasBlockDelay != 0 {
		have |= FieldBlockWait
	}
	return have
}

// cpuTimes divides the CPU time of a task, which the kernel knows to the
// nanosecond, into user and system time, as the kernel does it for /proc
// (cputime_adjust in kernel/sched/cputime.c): by the clock ticks that met it in
// either mode, and so that neither falls below what was told last, to others or
// to us.
func cpuTimes(u *bpf.Usage, lastUser, lastSystem uint64) (user, system uint64) {
	lastUser, lastSystem = max(lastUser, u.PrevUtime), max(lastSystem, u.PrevStime)
	switch {
	case lastUser+lastSystem >= u.Runtime:
		return lastUser, lastSystem
	case u.Stime == 0:
	case u.Utime == 0:
		system = u.Runtime
	default:
		hi, lo := bits.Mul64(u.Stime, u.Runtime)
		if sum := u.Stime + u.Utime; hi < sum {
			system, _ = bits.Div64(hi, lo, sum)
		}
		system = min(system, u.Runtime)
	}
	system = max(system, lastSystem)
	user = u.Runtime - system
	if user < lastUser {
		user = lastUser
		system = u.Runtime - user
	}
	return user, system
}

// The bits of a task's state (linux/sched.h). The numbers have been the same
// since Linux 4.14.
const (
	taskReport      = 0x7f
	taskUninterrupt = 0x002
	taskNoLoad      = 0x400
	taskRTLockWait  = 0x1000
	taskFrozen      = 0x8000
)

// stateLetter returns the state as /proc shows it (get_task_state in
// fs/proc/array.c).
func stateLetter(state, exitState uint32) byte {
	const letters = "RSDTtXZP"
	both := state | exitState
	switch report := both & taskReport; {
	case state == taskUninterrupt|taskNoLoad:
		return 'I'
	case state&taskRTLockWait != 0, state&taskFrozen != 0:
		return 'D'
	default:
		return letters[bits.Len32(report)]
	}
}

// commOf returns the name of a task without allocating where it still is last.
func commOf(raw *[16]int8, last string) string {
	name := (*[16]byte)(unsafe.Pointer(raw))[:]
	if end := bytes.IndexByte(name, 0); end >= 0 {
		name = name[:end]
	}
	return reuse(last, name)
}
