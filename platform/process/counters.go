package process

import "github.com/seed57308aee/process_exporter/procfs"

// PageFaults counts page faults of all threads of a process.
type PageFaults struct {
	Minor, Major                 uint64 // Major faults read from storage
	ChildrenMinor, ChildrenMajor uint64 // of reaped children
}

// PageFaults returns the page fault counts of the process. It reads /proc/PID/stat.
//
// System calls: 1 (3 in the first call).
func (p *Process) PageFaults() (PageFaults, error) {
	stat, err := p.readStat("page faults")
	if err != nil {
		return PageFaults{}, err
	}
	return PageFaults{
		Minor: stat.MinorFaults, Major: stat.MajorFaults,
		ChildrenMinor: stat.ChildMinorFaults, ChildrenMajor: stat.ChildMajorFaults,
	}, nil
}

// IOCounters counts the I/O of a process, including reaped children.
type IOCounters struct {
	ReadCount, WriteCount uint64 // read and write system calls
	ReadBytes, WriteBytes uint64 // bytes from and to storage
	ReadChars, WriteChars uint64 // bytes of read and write system calls
	CancelledWriteBytes   uint64 // part of WriteBytes: truncated before writeback
}

// IOCounters returns the I/O counts of the process. It reads /proc/PID/io, which
// requires the same user, or CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, and a kernel with
// CONFIG_TASK_IO_ACCOUNTING.
//
// System calls: 1 (3 in the first call).
func (p *Process) IOCounters() (IOCounters, error) {
	const op = "io counters"
	io, err := parseFile(p, nil, op, "io", procfs.ParseIO)
	if err != nil {
		return IOCounters{}, err
	}
	if io.Have != procfs.IOAll {
		return IOCounters{}, p.wrap(op, ErrUnsupported)
	}
	return IOCounters{
		ReadCount: io.ReadSyscalls, WriteCount: io.WriteSyscalls,
		ReadBytes: io.ReadBytes, WriteBytes: io.WriteBytes,
		ReadChars: io.ReadChars, WriteChars: io.WriteChars,
		CancelledWriteBytes: io.CancelledWriteBytes,
	}, nil
}

// ContextSwitches counts context switches.
type ContextSwitches struct {
	Voluntary   uint64 // the thread blocked
	Involuntary uint64 // the scheduler preempted the thread
}

// ContextSwitches returns the context switches of the main thread. It reads
// /proc/PID/status. Its psutil counterpart is num_ctx_switches.
//
// System calls: 1 (3 in the first call).
func (p *Process) ContextSwitches() (ContextSwitches, error) {
	const op = "context switches"
	st, err := p.readStatus(op)
	if err != nil {
		return ContextSwitches{}, err
	}
	if st.Have&procfs.StatusSwitches != procfs.StatusSwitches {
		return ContextSwitches{}, p.wrap(op, ErrUnsupported)
	}
	return ContextSwitches{Voluntary: st.VoluntarySwitches, Involuntary: st.NonvoluntarySwitches}, nil
}

// ThreadsContextSwitches returns the sum of the context switches of all live
// threads. It reads /proc/PID/task/TID/status. The sum decreases when a thread
// exits.
//
// System calls: 5, and 3 per thread.
func (p *Process) ThreadsContextSwitches() (ContextSwitches, error) {
	const op = "context switches of threads"
	if p.ctx != nil {
		return within(p, op, (*Process).ThreadsContextSwitches)
	}
	var sum ContextSwitches
	err := p.eachThread(op, "status", func(_ int, text []byte) error {
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
