package process

// Status is the state of the main thread of a process: one of the state letters of
// proc_pid_stat(5). A letter without a constant prints "?".
type Status byte

// The states of a thread.
const (
	StatusRunning     Status = 'R'
	StatusSleeping    Status = 'S'
	StatusDiskSleep   Status = 'D' // uninterruptible sleep
	StatusStopped     Status = 'T'
	StatusTracingStop Status = 't'
	StatusZombie      Status = 'Z' // exited and not reaped; other threads may still run
	StatusDead        Status = 'X'
	StatusDeadOld     Status = 'x' // StatusDead on old kernels
	StatusWakeKill    Status = 'K'
	StatusWaking      Status = 'W'
	StatusIdle        Status = 'I' // idle kernel thread
	StatusParked      Status = 'P'
)

// String returns the psutil name of the state, or "?" for an unknown one.
func (s Status) String() string {
	switch s {
	case StatusRunning:
		return "running"
	case StatusSleeping:
		return "sleeping"
	case StatusDiskSleep:
		return "disk-sleep"
	case StatusStopped:
		return "stopped"
	case StatusTracingStop:
		return "tracing-stop"
	case StatusZombie:
		return "zombie"
	case StatusDead, StatusDeadOld:
		return "dead"
	case StatusWakeKill:
		return "wake-kill"
	case StatusWaking:
		return "waking"
	case StatusIdle:
		return "idle"
	case StatusParked:
		return "parked"
	}
	return "?"
}

// Status returns the state of the main thread. It reads /proc/PID/stat.
//
// System calls: 1 (3 in the first call).
func (p *Process) Status() (Status, error) {
	stat, err := p.readStat("status")
	if err != nil {
		return 0, err
	}
	return Status(stat.State), nil
}
