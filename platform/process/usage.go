package process

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"syscall"
	"time"

	"github.com/seed57308aee/process_exporter/procfs"
)

// Status is what the main thread of a process does.
type Status byte

// What a main thread may do. The values are the letters of the kernel.
const (
	StatusRunning     Status = 'R'
	StatusSleeping    Status = 'S'
	StatusDiskSleep   Status = 'D' // cannot be interrupted
	StatusStopped     Status = 'T'
	StatusTracingStop Status = 't'
	StatusZombie      Status = 'Z' // has exited; other threads may live on
	StatusDead        Status = 'X'
	StatusDeadOld     Status = 'x' // the same on old kernels
	StatusWakeKill    Status = 'K'
	StatusWaking      Status = 'W'
	StatusIdle        Status = 'I' // of kernel threads
	StatusParked      Status = 'P'
)

// String returns the word that psutil uses, "?" for a state it does not know.
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

// Status returns what the main thread does.
func (p *Process) Status() (Status, error) {
	stat, err := p.stat("status")
	if err != nil {
		return 0, err
	}
	return Status(stat.State), nil
}

// CPUTimes is how long a process has kept CPUs busy, its threads that have
// exited included.
type CPUTimes struct {
	User, System                 time.Duration
	ChildrenUser, ChildrenSystem time.Duration // of children that it waited for
	IOWait                       time.Duration // waited for block I/O; 0 unless kernel.task_delayacct is set
}

// CPUTimes returns how long the process has kept CPUs busy.
func (p *Process) CPUTimes() (CPUTimes, error) {
	stat, err := p.stat("cpu times")
	if err != nil {
		return CPUTimes{}, err
	}
	nanos := p.shared.table.system.nanos
	return CPUTimes{
		User:           nanos(stat.UserTicks),
		System:         nanos(stat.SystemTicks),
		ChildrenUser:   nanos(stat.ChildUserTicks),
		ChildrenSystem: nanos(stat.ChildSystemTicks),
		IOWait:         nanos(stat.BlockIOTicks),
	}, nil
}

// cpuMeter is what CPUPercent measures from.
type cpuMeter struct {
	mu    sync.Mutex // guards the rest
	begun bool
	at    time.Time
	used  time.Duration
}

// CPUPercent returns how busy the process has kept CPUs since the last call on
// p or one of its views, 0 at the first. One CPU kept busy is 100 percent.
func (p *Process) CPUPercent() (float64, error) {
	times, err := p.CPUTimes()
	if err != nil {
		return 0, err
	}
	now, used := time.Now(), times.User+times.System
	m := &p.shared.cpu
	m.mu.Lock()
	defer m.mu.Unlock()
	percent := 0.0
	if m.begun {
		percent = busyPercent(used-m.used, now.Sub(m.at))
	}
	m.begun, m.at, m.used = true, now, used
	return percent, nil
}

// CPUPercentOver returns how busy the process keeps CPUs from now on for a
// time, or until ctx ends, which is an error that matches that of ctx.
func (p *Process) CPUPercentOver(ctx context.Context, interval time.Duration) (float64, error) {
	const op = "cpu percent"
	if interval <= 0 {
		return 0, p.failure(op, ErrInvalid)
	}
	fresh := &Process{shared: p.shared} // a view would answer twice the same
	before, err := fresh.CPUTimes()
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	timer := time.NewTimer(interval)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return 0, p.failure(op, fmt.Errorf("interrupted: %w", ctx.Err()))
	case <-timer.C:
	}
	after, err := fresh.CPUTimes()
	if err != nil {
		return 0, err
	}
	return busyPercent(after.User+after.System-before.User-before.System, time.Since(begun)), nil
}

// busyPercent is rounded to a tenth, for the kernel counts in hundredths of a
// second.
func busyPercent(busy, wall time.Duration) float64 {
	if wall <= 0 || busy <= 0 {
		return 0
	}
	return math.Round(float64(busy)/float64(wall)*1000) / 10
}

// CPUNum returns the CPU that the main thread ran on last.
func (p *Process) CPUNum() (int, error) {
	stat, err := p.stat("cpu num")
	if err != nil {
		return 0, err
	}
	return stat.CPU, nil
}

// PageFaults counts accesses to memory that was not mapped in, of all threads.
type PageFaults struct {
	Minor, Major                 uint64 // Major had to wait for storage
	ChildrenMinor, ChildrenMajor uint64 // of children that it waited for
}

// PageFaults returns how often the process touched memory that was not there.
func (p *Process) PageFaults() (PageFaults, error) {
	stat, err := p.stat("page faults")
	if err != nil {
		return PageFaults{}, err
	}
	return PageFaults{
		Minor: stat.MinorFaults, Major: stat.MajorFaults,
		ChildrenMinor: stat.ChildMinorFaults, ChildrenMajor: stat.ChildMajorFaults,
	}, nil
}

// IOCounters is what a process has read and written. When it waits for a child,
// what the child has done is added to its own.
type IOCounters struct {
	ReadCount, WriteCount uint64 // system calls
	ReadBytes, WriteBytes uint64 // fetched from and sent to storage
	ReadChars, WriteChars uint64 // passed through system calls
	CancelledWriteBytes   uint64 // of WriteBytes, truncated before they were sent
}

// IOCounters returns what the process has read and written.
func (p *Process) IOCounters() (IOCounters, error) {
	const op = "io counters"
	io, err := fact(p, nil, op, "io", procfs.ParseIO)
	if err != nil {
		return IOCounters{}, err
	}
	if io.Have != procfs.IOAll {
		return IOCounters{}, p.failure(op, ErrUnsupported)
	}
	return IOCounters{
		ReadCount: io.ReadSyscalls, WriteCount: io.WriteSyscalls,
		ReadBytes: io.ReadBytes, WriteBytes: io.WriteBytes,
		ReadChars: io.ReadChars, WriteChars: io.WriteChars,
		CancelledWriteBytes: io.CancelledWriteBytes,
	}, nil
}

// ContextSwitches counts how often threads gave up a CPU.
type ContextSwitches struct {
	Voluntary   uint64 // to wait
	Involuntary uint64 // because others had to run
}

// ContextSwitches returns how often the main thread gave up its CPU.
func (p *Process) ContextSwitches() (ContextSwitches, error) {
	const op = "context switches"
	st, err := p.status(op)
	if err != nil {
		return ContextSwitches{}, err
	}
	if st.Have&procfs.StatusSwitches != procfs.StatusSwitches {
		return ContextSwitches{}, p.failure(op, ErrUnsupported)
	}
	return ContextSwitches{Voluntary: st.VoluntarySwitches, Involuntary: st.NonvoluntarySwitches}, nil
}

// ThreadsContextSwitches returns how often all threads that live now gave up
// their CPUs. Those of a thread that exits are lost from the sum.
func (p *Process) ThreadsContextSwitches() (ContextSwitches, error) {
	var sum ContextSwitches
	err := p.eachThread("context switches of threads", "status", func(_ int, text []byte) error {
		var st procfs.Status
		if err := procfs.ParseStatus(text, &st); err != nil {
			return err
		}
		if st.Have&procfs.StatusSwitches != procfs.StatusSwitches {
			return ErrUnsupported
		}
		sum.Voluntary += st.VoluntarySwitches
		sum.Involuntary += st.NonvoluntarySwitches
		return nil
	})
	return sum, err
}

// NumFDs returns how many file descriptors the process has open. From Linux 6.2
// on anybody may ask.
func (p *Process) NumFDs() (int, error) {
	const op = "num fds"
	h, err := p.acquire(op)
	if err != nil {
		return 0, err
	}
	defer p.release()
	buf := p.shared.table.buffers.Get().(*[]byte)
	defer p.done(buf)
	n, err := h.countFDs(*buf)
	if err != nil {
		return 0, p.failure(op, err)
	}
	return n, nil
}

// NumHandles fails with [ErrUnsupported]: only Windows has handles.
func (p *Process) NumHandles() (int, error) { return 0, p.failure("num handles", ErrUnsupported) }

// NumThreads returns how many threads the process has.
func (p *Process) NumThreads() (int, error) {
	stat, err := p.stat("num threads")
	if err != nil {
		return 0, err
	}
	return stat.Threads, nil
}

// A Thread is one thread of a process.
type Thread struct {
	TID          int
	Name         string
	User, System time.Duration
}

// Threads returns the threads of the process, ascending by TID. One that exits
// meanwhile is left out.
func (p *Process) Threads() ([]Thread, error) {
	var threads []Thread
	nanos := p.shared.table.system.nanos
	err := p.eachThread("threads", "stat", func(tid int, text []byte) error {
		var st procfs.Stat
		if err := procfs.ParseStat(text, &st); err != nil {
			return err
		}
		threads = append(threads, Thread{
			TID: tid, Name: string(st.Comm), User: nanos(st.UserTicks), System: nanos(st.SystemTicks),
		})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return threads, nil
}

// eachThread calls use with a file of every thread.
func (p *Process) eachThread(op, file string, use func(tid int, text []byte) error) error {
	h, err := p.acquire(op)
	if err != nil {
		return err
	}
	defer p.release()
	buf := p.shared.table.buffers.Get().(*[]byte)
	defer p.done(buf)
	tids, err := h.numbers(*buf, "task")
	if err != nil {
		return p.failure(op, err)
	}
	read := 0
	for _, tid := range tids {
		text, err := h.read(*buf, fmt.Sprintf("task/%d/%s", tid, file))
		if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ESRCH) {
			continue
		}
		if err == nil {
			err = use(tid, text)
		}
		if err != nil {
			return p.failure(op, err)
		}
		read++
	}
	if read == 0 || h.gone() {
		return p.failure(op, syscall.ESRCH)
	}
	return nil
}
