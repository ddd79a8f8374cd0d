//go:build amd64 || arm64

package platform

import (
	"bytes"
	"math"
	"math/bits"
	"unsafe"

	"github.com/seed57308aee/process_exporter/platform/bpf"
)

// sample converts a process record to a Sample without usage. prev is its Sample of the
// last walk, or nil.
func (b *bpfSource) sample(p *bpf.Process, prev *Sample) Sample {
	s := Sample{
		ID:   b.times.id(p.Pid, p.Start),
		PPID: int(p.Ppid),
		Have: FieldStat | FieldStatus | FieldFDs | FieldFDLimit | FieldTasks | FieldTaskUsage,

		State:         stateLetter(p.State, p.ExitState),
		KernelThread:  p.TaskFlags&flagKernel != 0,
		ExecID:        p.ExecId + 1,
		Cgroup:        p.Cgroup,
		NumThreads:    int(p.Threads),
		VirtualBytes:  p.Virt * b.pageSize,
		ResidentBytes: p.ResidentPages() * b.pageSize,
		SwapBytes:     p.SwapPages() * b.pageSize,
		EUID:          p.Uid,
		FDs:           uint64(p.Fds),
		FDLimit:       p.FdLimit,
	}
	if s.State == 'Z' && p.HasMm == 0 {
		s.FDLimit = math.MaxUint64 // it cannot open files
	}
	if prev != nil {
		s.Want = prev.Want
		s.Comm = commString(&p.Comm, prev.Comm)
	} else {
		s.Comm = commString(&p.Comm, "")
	}
	return s
}

// setUsage sets the counters of all threads of a process.
func (s *Sample) setUsage(u *bpf.Usage, flags uint32, prev *Sample) {
	s.Have |= FieldSwitchesOfAllThreads | usageFields(flags)
	s.MinorFaults, s.MajorFaults = u.MinorFaults, u.MajorFaults
	s.VoluntarySwitches, s.NonvoluntarySwitches = u.Voluntary, u.Nonvoluntary
	s.ReadBytes, s.WriteBytes = u.ReadBytes, u.WriteBytes
	s.RunWaitNanos, s.BlockWaitNanos = u.RunDelay, u.BlockDelay
	var user, system uint64
	if prev != nil && prev.Have&FieldSwitchesOfAllThreads != 0 {
		user, system = prev.UserNanos, prev.SystemNanos
	}
	s.UserNanos, s.SystemNanos = cpuTimes(u, user, system)
	s.Idle = prev != nil && prev.Have&FieldSwitchesOfAllThreads != 0 && s.State != 'R' && s.UserNanos+s.SystemNanos == user+system &&
		s.VoluntarySwitches == prev.VoluntarySwitches && s.NonvoluntarySwitches == prev.NonvoluntarySwitches
}

// keepHighest replaces each counter that is lower than in prev. A thread that exited during
// the scan may be missing from the sums.
func (s *Sample) keepHighest(prev *Sample) {
	s.UserNanos, s.SystemNanos = max(s.UserNanos, prev.UserNanos), max(s.SystemNanos, prev.SystemNanos)
	s.MinorFaults, s.MajorFaults = max(s.MinorFaults, prev.MinorFaults), max(s.MajorFaults, prev.MajorFaults)
	s.VoluntarySwitches = max(s.VoluntarySwitches, prev.VoluntarySwitches)
	s.NonvoluntarySwitches = max(s.NonvoluntarySwitches, prev.NonvoluntarySwitches)
	s.ReadBytes, s.WriteBytes = max(s.ReadBytes, prev.ReadBytes), max(s.WriteBytes, prev.WriteBytes)
}

// usageFields returns the fields of a record that only some kernels have.
func usageFields(flags uint32) (have Fields) {
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

// cpuTimes divides the CPU time of a task into user and system time. It does so like
// cputime_adjust (kernel/sched/cputime.c) for /proc: in the ratio of the clock ticks that
// were sampled in each mode. Neither time falls below its last value, as shown in /proc or
// returned before.
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

// The bits of the state of a task (linux/sched.h), which are the same since Linux 4.14.
const (
	taskReport      = 0x7f
	taskUninterrupt = 0x002
	taskNoLoad      = 0x400
	taskRTLockWait  = 0x1000
	taskFrozen      = 0x8000
)

// stateLetter returns the state letter of /proc (get_task_state in fs/proc/array.c).
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

// commString returns the name of a task. It returns last without an allocation if equal.
func commString(raw *[16]int8, last string) string {
	name := (*[16]byte)(unsafe.Pointer(raw))[:]
	if end := bytes.IndexByte(name, 0); end >= 0 {
		name = name[:end]
	}
	return reuseString(last, name)
}
