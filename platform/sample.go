package platform

// An ID identifies a process until the next boot. A PID alone does not: the kernel
// reuses the PID of a process that has been reaped.
type ID struct {
	PID   int
	Start uint64 // clock ticks after boot

	// Serial distinguishes processes that had the same PID in one clock tick, which is
	// a hundredth of a second. It is comparable only between IDs of the same source:
	//   - source bpf: start time in nanoseconds after boot
	//   - source procfs: number of processes seen before with the same PID and Start
	//
	// process.ID has PidfdInode for the same purpose.
	Serial uint64
}

// Fields is a set of fields of a [Sample]. A field is one value, or several that are read
// together.
type Fields uint16

// The fields of a Sample. FieldStat is missing only if the kernel hides the process or if
// the process is unresponsive. An unresponsive process can have FieldMemory, FieldFDs and
// FieldFDLimit, whose reads do not block.
const (
	FieldStat                 Fields = 1 << iota // CPU, faults, memory, thread count: /proc/PID/stat
	FieldStatus                                  // swap, effective user, context switches of the main thread: /proc/PID/status
	FieldIO                                      // bytes read and written: /proc/PID/io
	FieldFDs                                     // open file descriptors: /proc/PID/fd
	FieldFDLimit                                 // soft limit of open file descriptors: prlimit(2) or /proc/PID/limits
	FieldWChan                                   // kernel function in which a thread sleeps: /proc/PID/wchan
	FieldSmaps                                   // proportional and unique memory: /proc/PID/smaps_rollup
	FieldTasks                                   // state and context switches of every thread: /proc/PID/task
	FieldTaskUsage                               // name, CPU, faults, I/O of every thread: /proc/PID/task
	FieldSwitchesOfAllThreads                    // the context switches are the sum of all threads, including exited ones (bpf)
	FieldRunWait                                 // time spent waiting for a CPU (bpf)
	FieldBlockWait                               // time spent waiting for block devices (bpf)
	FieldMemory                                  // without FieldStat: memory, swap, thread count and state, from status and statm
)

// A Sample holds the measurements of one process in one walk. A value is valid only if
// its field is in Have: a value that could not be read is unknown, not zero.
type Sample struct {
	ID
	PPID int

	// Want holds the fields to read in the next walk. The owner of the Snapshot sets it.
	// A walk copies it from the previous Sample of the same ID. It is 0 for a new
	// process, of which the source procfs reads only stat. After [Source.Complete],
	// Have, Unreadable and Skipped contain only fields in Want, FieldStat, FieldMemory,
	// FieldSwitchesOfAllThreads, FieldRunWait and FieldBlockWait.
	Want       Fields
	Have       Fields // fields that were read
	Unreadable Fields // wanted fields that exist but could not be read

	// Skipped holds wanted fields that were not read on purpose, such as FieldSmaps of a
	// process above [Options.SmapsMaxRSS].
	Skipped Fields

	Comm         string // name of the main thread, which the kernel calls thread group leader
	State        byte   // R, S, D, Z, T and so on
	KernelThread bool   // kernel thread: without user memory, command line and open files
	EUID         uint32 // belongs to FieldStatus
	Idle         bool   // no thread has run since the last walk; false if unknown
	ExecID       uint64 // changes at execve(2), and when the process moves its arguments in memory
	Cgroup       uint64 // ID of the cgroup (v2), or 0 if the source does not read it

	UserNanos, SystemNanos   uint64 // CPU time of all threads, including exited ones
	MinorFaults, MajorFaults uint64
	NumThreads               int
	VirtualBytes             uint64
	ResidentBytes            uint64

	SwapBytes                               uint64
	VoluntarySwitches, NonvoluntarySwitches uint64 // of the main thread only, unless Have contains FieldSwitchesOfAllThreads

	// Sum of all threads, including threads that exited since the source was opened.
	RunWaitNanos, BlockWaitNanos uint64

	ReadBytes, WriteBytes uint64 // read from and written to storage, also by threads that exited and children that were reaped
	FDs                   uint64 // open file descriptors
	FDLimit               uint64 // soft RLIMIT_NOFILE; math.MaxUint64 is unlimited
	WChan                 string // kernel function in which the main thread sleeps, "" if it runs

	PSSBytes, SwapPSSBytes, USSBytes uint64
	SmapsReadAt                      uint64 // time of the last read of FieldSmaps, in clock ticks after boot

	// Tasks holds all threads including the main thread, ascending by TID. It is empty for a
	// process with one thread, and valid until the next walk. It belongs to FieldTasks.
	Tasks []Task
}

// A Task holds the measurements of one thread of a process with at least two threads.
type Task struct {
	TID   int
	State byte
	Have  Fields // subset of FieldStatus, FieldWChan, FieldTaskUsage and FieldIO

	VoluntarySwitches, NonvoluntarySwitches uint64
	WChan                                   string

	Comm                     string
	Start                    uint64 // clock ticks after boot; 0 if it was not read
	UserNanos, SystemNanos   uint64
	MinorFaults, MajorFaults uint64
	ReadBytes, WriteBytes    uint64
}

// readWithStat are the fields that a Sample can have although they are not in Want.
const readWithStat = FieldStat | FieldMemory | FieldSwitchesOfAllThreads | FieldRunWait | FieldBlockWait

// dropUnwanted removes the fields that are not in Want. A source can read more than it must:
// the BPF programs report every field, and Want may have changed since the walk.
func (s *Sample) dropUnwanted() {
	wanted := s.Want | readWithStat
	unwanted := (s.Have | s.Unreadable | s.Skipped) &^ wanted
	if unwanted == 0 {
		return
	}
	s.Have &= wanted
	s.Unreadable &= wanted
	s.Skipped &= wanted
	if unwanted&FieldTaskUsage == 0 || s.Have&FieldTasks == 0 {
		return
	}
	for i := range s.Tasks {
		s.Tasks[i].Have &^= FieldTaskUsage | FieldIO
	}
}

// blank reports whether nothing was ever read about the process.
func (s *Sample) blank() bool { return s.Have|s.Unreadable == 0 }

// unread returns the Sample of a process of which this walk read nothing: identity and
// Want of s, and no measurement.
func (s *Sample) unread() Sample {
	u := *s
	u.Have, u.Unreadable, u.Skipped, u.Idle, u.Tasks = 0, s.Want|FieldStat, 0, false, nil
	return u
}
