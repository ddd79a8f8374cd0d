package process

import (
	"errors"
	"fmt"
)

// Nice returns the nice value of the main thread, from -20 (highest priority) to
// 19. It reads /proc/PID/stat, or uses getpriority(2) if the file is hidden.
//
// System calls: 1 (3 in the first call).
func (p *Process) Nice() (int, error) {
	const op = "nice"
	stat, err := p.readStat(op)
	if err == nil {
		return stat.Nice, nil
	}
	if !errors.Is(err, ErrAccessDenied) {
		return 0, err
	}
	return query(p, op, handle.nice)
}

// SetNice sets the nice value of the main thread with setpriority(2). The kernel
// clamps it to -20..19. A lower value requires CAP_SYS_NICE.
//
// System calls: 2.
func (p *Process) SetNice(n int) error {
	return p.change("set nice", func(h handle) error { return h.setNice(n) })
}

// An IOClass is a class of I/O scheduling.
type IOClass int

// The classes of ioprio_set(2).
const (
	IOClassNone       IOClass = iota // derived from the nice value
	IOClassRealtime                  // served first; requires CAP_SYS_NICE
	IOClassBestEffort                // served after realtime
	IOClassIdle                      // served when the device is idle
)

// String returns the name that ionice(1) uses.
func (c IOClass) String() string {
	names := [...]string{"none", "realtime", "best-effort", "idle"}
	if c < 0 || int(c) >= len(names) {
		return fmt.Sprintf("IOClass(%d)", int(c))
	}
	return names[c]
}

// An IOPriority is the I/O scheduling priority of a thread.
type IOPriority struct {
	Class IOClass
	Level int // from 0 (highest) to 7; 0 for IOClassNone and IOClassIdle
}

// The layout of a packed I/O priority. Since Linux 6.5 there are hints for the
// device between class and level; they do not affect the priority.
const (
	ioClassShift = 13
	ioLevelMask  = 7
)

// IONice returns the I/O priority of the main thread, by ioprio_get(2).
//
// System calls: 2.
func (p *Process) IONice() (IOPriority, error) {
	packed, err := query(p, "ionice", handle.ioPriority)
	if err != nil {
		return IOPriority{}, err
	}
	return IOPriority{Class: IOClass(packed >> ioClassShift), Level: packed & ioLevelMask}, nil
}

// SetIONice sets the I/O priority of the main thread with ioprio_set(2).
//
// System calls: 2.
func (p *Process) SetIONice(to IOPriority) error {
	const op = "set ionice"
	switch hasLevels := to.Class == IOClassRealtime || to.Class == IOClassBestEffort; {
	case to.Class < IOClassNone || to.Class > IOClassIdle:
		return p.invalid(op, "class %d is not one of the constants", int(to.Class))
	case to.Level < 0 || to.Level > ioLevelMask:
		return p.invalid(op, "level %d is not from 0 to %d", to.Level, ioLevelMask)
	case !hasLevels && to.Level != 0:
		return p.invalid(op, "class %v has no levels, got level %d", to.Class, to.Level)
	}
	return p.change(op, func(h handle) error {
		return h.setIOPriority(int(to.Class)<<ioClassShift | to.Level)
	})
}

// CPUAffinity returns the CPUs on which the main thread may run, ascending, by
// sched_getaffinity(2).
//
// System calls: 2.
func (p *Process) CPUAffinity() ([]int, error) {
	return query(p, "cpu affinity", handle.affinity)
}

// SetCPUAffinity sets the CPUs on which the main thread may run with
// sched_setaffinity(2). Without arguments it allows all CPUs of the cpuset. The
// kernel ignores CPUs that do not exist or are not in the cpuset; if none is left,
// the error matches [ErrInvalid].
//
// System calls: 2.
func (p *Process) SetCPUAffinity(cpus ...int) error {
	const op = "set cpu affinity"
	for _, cpu := range cpus {
		if cpu < 0 || cpu >= maxCPUs {
			return p.invalid(op, "CPU %d is not from 0 to %d", cpu, maxCPUs-1)
		}
	}
	return p.change(op, func(h handle) error { return h.setAffinity(cpus) })
}

// maxCPUs is the greatest CONFIG_NR_CPUS of Linux.
const maxCPUs = 8192
