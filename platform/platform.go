package platform

import (
	"context"
	"errors"
	"time"

	"github.com/seed57308aee/process_exporter/procfs"
)

// An ID names a process for as long as the machine is up. A PID alone does
// not: the kernel gives it to another process as soon as the first is reaped.
type ID struct {
	PID   int
	Start uint64 // clock ticks after boot

	// Serial tells apart processes that had the PID in the same clock tick, which
	// lasts a hundredth of a second. It means something only beside that of
	// another ID from the same place. A [Process] has the number of the inode that
	// its pidfd has in pidfs (fs/pidfs.c), which is never used again, since Linux
	// 6.9; before, and in the file system of another PID namespace, it is 0. A
	// Source that asks the kernel has the nanoseconds after boot at which the
	// process was born; one that reads /proc counts those that it met.
	Serial uint64
}

// Fields is a set of the parts of a [Sample] that are read together.
type Fields uint16

// The parts of a Sample. Every Sample has FieldStat unless its process hides it, or
// does not answer: FieldMemory, FieldFDs and FieldFDLimit can be told of it even then.
const (
	FieldStat      Fields = 1 << iota // CPU, faults, memory, thread count: /proc/PID/stat
	FieldStatus                       // swap, effective user, context switches of the leader: /proc/PID/status
	FieldIO                           // bytes read and written: /proc/PID/io
	FieldFDs                          // open file descriptors: /proc/PID/fd
	FieldFDLimit                      // the soft limit on them: prlimit(2) or /proc/PID/limits
	FieldWChan                        // the kernel function a thread sleeps in: /proc/PID/wchan
	FieldSmaps                        // shared memory by halves: /proc/PID/smaps_rollup
	FieldTasks                        // state and context switches of every thread: /proc/PID/task
	FieldTaskUsage                    // name, CPU, faults, I/O of every thread: /proc/PID/task
	FieldSwitches                     // the context switches are those of all threads, dead ones too
	FieldRunWait                      // time spent waiting for a CPU
	FieldBlockWait                    // time spent waiting for block devices
	FieldMemory                       // without FieldStat, of which they are part: memory, thread count, state, by status and statm
)

// A Sample is what one process looked like at one moment. A value is
// meaningful only where its part is in Have: what could not be read is not
// zero, it is unknown.
type Sample struct {
	ID
	PPID int

	// Want is set by whoever owns the Snapshot: the parts to read of this
	// process from the next walk on. A walk carries it over from the last
	// Sample of the same ID; a process it meets for the first time has none,
	// and costs one read of stat.
	Want Fields
	Have Fields // the parts that were read
	Lost Fields // the wanted parts that exist but could not be read

	// Skipped are the wanted parts that were left out on purpose, such as the
	// smaps of a process above [Options.SmapsMaxRSS].
	Skipped Fields

	Comm   string // name of the main thread, as the kernel has it
	State  byte   // R, S, D, Z, T and so on
	Kernel bool   // a kernel thread: it has no memory, no command line and no files of its own
	EUID   uint32 // comes with FieldStatus
	ExecID uint64 // differs after an execve(2), or after the process moved its arguments
	Cgroup uint64 // id of its control group (v2); 0 where that takes a read of its own

	UserNanos, SystemNanos   uint64 // CPU time of all threads, dead ones too
	MinorFaults, MajorFaults uint64
	Threads                  int
	VirtualBytes             uint64
	ResidentBytes            uint64

	SwapBytes                               uint64
	VoluntarySwitches, NonvoluntarySwitches uint64 // of the main thread only, without FieldSwitches

	// Of all threads; those of a dead thread only if it exited while we watched.
	RunWaitNanos, BlockWaitNanos uint64

	ReadBytes, WriteBytes uint64 // fetched from and sent to storage
	FDs                   uint64 // open file descriptors
	FDLimit               uint64 // soft RLIMIT_NOFILE; math.MaxUint64 is unlimited
	WChan                 string // where the main thread sleeps, "" if nowhere

	PSSBytes, SwapPSSBytes, USSBytes uint64
	SmapsTicks                       uint64        // when these were read, in clock ticks after boot
	smapsCost                        time.Duration // CPU time that took
	smapsWalk                        uint32        // the walk that did it
	smapsStale                       bool          // it may hold other memory since

	// Tasks holds every thread, the main one included, ascending by TID. It is
	// empty for a process of one thread, of which the Sample says it all, and
	// valid until the next walk.
	Tasks []Task

	pulse        pulse
	limitSettled bool // FDLimit was asked for when the process had had its time to set it

	inode uint64 // of its directory, if the next process may have its PID and its Start; else 0
}

// A Task is one thread of a process of at least two.
type Task struct {
	TID   int
	State byte
	Have  Fields // of FieldStatus, FieldWChan, FieldTaskUsage and FieldIO

	VoluntarySwitches, NonvoluntarySwitches uint64
	WChan                                   string

	Comm                     string
	Start                    uint64 // clock ticks after boot; 0 without FieldTaskUsage
	UserNanos, SystemNanos   uint64
	MinorFaults, MajorFaults uint64
	ReadBytes, WriteBytes    uint64

	pulse pulse
	moved bool // it has run since WChan was read
}

// A Snapshot is what a walk found. Its owner hands the same one to every walk:
// the memory is reused, and what was found last time is how a walk knows a
// process again.
type Snapshot struct {
	Samples []Sample // one per live process, ascending by PID

	Now            uint64 // clock ticks after boot when the walk began
	TicksPerSecond uint64
	BootTime       time.Time // when the machine booted, steady under small clock steps
	Hidden         int       // processes that could not be read, now or ever before, and have no Sample
	HidePID        bool      // the process file system keeps those of others from us (hidepid)
	Unresponsive   int       // processes whose files did not answer and are left alone until they do
	Partial        bool      // the deadline came first: the Samples not reached have nothing in Have

	Source         string // what was asked: "procfs" or "bpf"
	Exits          []Exit // processes that were reaped since the last walk, in that order, where the Source can tell
	LostExitEvents uint64 // since the start, processes whose end the kernel found no room to report

	tasks [2][]Task // what Samples points into, of this walk and the one before, in turn
	turn  int       // which of tasks the newest walk uses
	walks uint64
	renew int // how many of the next walks must take new memory
}

// An Exit is the end of a process, which may have lived from one walk to the
// next or a thousandth of a second in between. The Sample holds what all its
// threads have used when it was reaped; its ExecID, Comm, PPID and EUID are as of
// the moment its last thread ended.
type Exit struct {
	Sample
	Status            uint32 // as wait(2) tells it
	OOMKilled         bool   // by the kernel, for lack of memory
	PeakResidentBytes uint64
	EventLost         bool // the exit event was lost, see LostExitEvents: only the counters are known

	// Args is the command line in the format of /proc/PID/cmdline: a NUL byte
	// follows each argument. Only the first 2 KiB are kept.
	Args []byte
}

// IdentityFields is a set of the parts of an [Identity] that cost a read of their own.
type IdentityFields uint8

// The parts of an Identity beside its ID, Comm and StartTime.
const (
	IdentityArgs      IdentityFields = 1 << iota // Args: /proc/PID/cmdline
	IdentityUser                                 // EUID and Username: /proc/PID/status
	IdentityCgroups                              // Cgroups: /proc/PID/cgroup
	IdentityExe                                  // Exe: /proc/PID/exe
	IdentityAncestors                            // Ancestors, which a Source leaves to whoever knows the other processes
)

// An Identity is what a process is called: the words that groups are made of.
type Identity struct {
	ID
	Comm      string
	StartTime time.Time // in UTC

	// Args is the command line, split. It is empty for kernel threads and
	// zombies. Arguments of more than 128 KiB are cut there.
	Args     []string
	EUID     uint32
	Username string   // of EUID; its number where it has no name
	Cgroups  []string // the path of every line of /proc/PID/cgroup, in order

	// Exe is the path of the program's file, without the " (deleted)" of one
	// that has been replaced. It is empty for kernel threads and zombies, for
	// processes that have ended, and, without CAP_SYS_PTRACE, for those of other
	// users.
	Exe string

	Ancestors []string // Comm of its parent, of the parent of that, and so on

	// Fingerprint differs if one of the words read differs: see [Source.Fingerprints]. It is 0
	// of a process that has ended.
	Fingerprint uint64
}

// A Source reads processes. It serves one goroutine at a time.
//
// A file of one process may block for as long as a local user likes. No method
// waits for it much longer than a twentieth of a second: the process is left
// alone until its file answers, and counted in [Snapshot.Unresponsive].
type Source interface {
	// Walk finds all live processes. A process that exits meanwhile is left
	// out; that is no error. When ctx ends, Walk returns what it has with
	// Partial set. An error means that no process could be listed.
	Walk(ctx context.Context, snap *Snapshot) error

	// Complete reads, of the processes that the last Walk found, the parts that
	// Want names and the walk did not know of yet. It stops when ctx ends.
	Complete(ctx context.Context, snap *Snapshot)

	// Identify reads the names of a process that the last Walk found. What
	// cannot be read for want of permission stays empty. The error matches
	// [ErrGone] if the process is gone, and [ErrUnresponsive] if a file of it did
	// not answer.
	Identify(ctx context.Context, s *Sample, want IdentityFields) (Identity, error)

	// Fingerprints finds out what [Identity.Fingerprint] would be now for the process of
	// snap.Samples[at[i]]: sums[i] is what it was, and becomes what it is, or 0 if
	// the process is gone or does not answer. It allocates nothing for each of
	// them, and stops when ctx ends.
	Fingerprints(ctx context.Context, snap *Snapshot, at []int, want IdentityFields, sums []uint64)

	// ExitIdentity returns the requested fields of the identity that a process of
	// [Snapshot.Exits] had when it exited. Exe and Ancestors stay empty.
	ExitIdentity(e *Exit, want IdentityFields) Identity

	// Kind returns what is being asked, KindBPF or KindProcfs. If that is /proc
	// although [Options.Kind] allowed the other, why says what was in the way.
	Kind() (kind Kind, why error)

	// ExitsPending receives when so many processes have exited since the last Walk
	// that another should come soon, lest the next Exits be lost. It is nil
	// where the Source tells of none.
	ExitsPending() <-chan struct{}

	// Close releases what the Source holds open.
	Close() error
}

// A Kind is a way to read processes.
type Kind string

// The kinds of a Source. Both tell the same; one of them costs a hundredth, and
// tells of exits.
const (
	KindAuto   Kind = "auto"   // bpf where it can be, else procfs
	KindBPF    Kind = "bpf"    // programs inside the kernel, and procfs for what those do not tell
	KindProcfs Kind = "procfs" // /proc
)

// ErrUnresponsive matches the error of reading a process whose files do not answer.
var ErrUnresponsive = errors.New("process does not answer")

// ErrGone matches the error of reading a process that has exited.
var ErrGone = procfs.ErrGone

// ErrTooLarge matches the error of reading what is more than any process has.
var ErrTooLarge = procfs.ErrTooLarge

// ErrAccessDenied matches the error of reading what the kernel keeps from us.
var ErrAccessDenied = procfs.ErrAccessDenied

// Options says where and how to read processes.
type Options struct {
	Root string // where the process file system is mounted; "" is /proc

	Kind Kind // "" is KindProcfs

	// SmapsBudget is the CPU time that one walk may spend on reading
	// FieldSmaps again; 0 is no bound. The processes take turns, and keep the
	// values of their last. Each is read once when it is met first.
	SmapsBudget time.Duration

	// SmapsMaxRSS is the resident memory in bytes above which FieldSmaps is
	// not read: the kernel locks the memory of the process meanwhile, for
	// about 15 ms a GiB. 0 is no bound.
	SmapsMaxRSS uint64
}

// Open returns the Source of this operating system. Where there is none, the
// error matches [errors.ErrUnsupported].
func Open(o Options) (Source, error) { return open(o) }
