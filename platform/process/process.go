package process

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// An ID identifies a process for as long as the machine is up. A PID alone does
// not: the kernel reuses it as soon as the process is reaped. IDs are comparable.
//
// Start is 0 if a mount option such as hidepid=1 hides the start time. PidfdInode
// then still distinguishes processes with the same PID. If both are 0, the ID is no
// more than the PID: a Process from [All] can refer to another process after its
// iteration. One from [Open] cannot.
type ID struct {
	PID   int
	Start uint64 // clock ticks after boot; 0 if the process hides it, or started at boot

	// PidfdInode distinguishes processes that had the same PID within one clock tick
	// (10 ms). It is the inode number of the pidfd of the process in pidfs
	// (fs/pidfs.c), which the kernel never reuses, since Linux 6.9. It is 0 on
	// older kernels and in the process file system of another PID namespace.
	PidfdInode uint64
}

// A Process is one open process. It never refers to another process: after the
// process has exited and was reaped, every method fails with an error that
// matches [ErrGone], even if its PID is in use again.
//
// Between exit and reaping the process is a zombie: test Status for [StatusZombie].
// With NumThreads greater than 1, only its main thread has exited.
// Cmdline, Exe, Cwd, Environ and MemoryMaps of a zombie fail with [ErrZombie]. Its
// memory use, OpenFiles, Connections and NumFDs are 0 or empty without an error. The
// files of a zombie belong to root: for other users OpenFiles, Connections, Environ and
// IOCounters can fail with [ErrAccessDenied].
//
// Each call reads the current value, except on a view of [Process.Oneshot], which
// reads each file once, and except ChildPIDs and DescendantPIDs of a Process from
// [All]. The methods are safe for concurrent use. Cmdline, Environ, MemoryMaps,
// Footprint, and a Name of 15 bytes or more, block while the process holds its
// memory map locked.
//
// A Process uses one file descriptor. Repeated reads keep a few more open, up to
// 256 for all processes of a [Table]. Close closes them. A Process from [All] uses
// none after its iteration.
//
// The functions and methods of this package make Processes: the zero value is not
// usable.
type Process struct {
	shared *shared
	cache  *oneshotCache   // nil unless Oneshot returned it
	ctx    context.Context // of WithContext; nil for none
	view   bool            // another Process closes it
}

// shared is the state that a Process shares with its views.
type shared struct {
	table *Table
	id    ID
	tree  *sharedTree // of the iteration that returned the process, or nil

	reopening sync.Mutex // held while the process is opened again

	mu      sync.Mutex // guards the fields below; not held during a read
	handle  handle     // nil between the calls of a Process that reopens
	cleanup runtime.Cleanup
	calls   int    // calls that use the handle now
	reopens bool   // each call opens the process again
	closed  bool   // no call may open it
	name    string // last known
	meter   *cpuMeter
	status  *ExitStatus // nil until the process was waited for
}

// Open opens the process that has this PID or thread ID now. If there is none, the
// error matches [ErrGone], and so does that for PID 0, which /proc does not have. The
// error for a negative PID matches [ErrInvalid]. The psutil counterpart is
// Process(pid).
//
// With the ID of a thread other than the main one, PID returns that ID, and ID and
// Equal differ from those of the process. CPU times are those of the whole process,
// and signals go to it. Name, Status, Nice and CPUAffinity are those of the thread.
// [Exists] distinguishes the two kinds of ID.
//
// System calls: 8.
func Open(pid int) (*Process, error) {
	t, err := systemTable()
	if err != nil {
		return nil, err
	}
	return t.Open(pid)
}

// systemTable returns the [Table] of /proc, which is never closed.
var systemTable = sync.OnceValues(func() (*Table, error) { return OpenTable("") })

// Open opens the process that has this PID or thread ID now, as the function [Open]
// does.
func (t *Table) Open(pid int) (*Process, error) {
	const op = "open"
	if pid < 0 {
		return nil, &Error{PID: pid, Op: op, Kind: ErrInvalid, Err: because(ErrInvalid, "negative PID")}
	}
	if t.ctx != nil {
		p, err, ok := await(t.ctx, func() (*Process, error) { return t.plain.Open(pid) })
		switch {
		case !ok:
			return nil, interruptedError(pid, op, t.ctx)
		case err == nil:
			p.ctx = t.ctx
		}
		return p, err
	}
	h, err := t.system.open(pid)
	if err != nil {
		return nil, &Error{PID: pid, Op: op, Kind: openErrorKind(err), Err: err}
	}
	s := &shared{table: t.plain, handle: h, id: ID{PID: pid}}
	p := &Process{shared: s}
	if err := p.readID(op); err != nil {
		h.close()
		return nil, err
	}
	s.cleanup = runtime.AddCleanup(s, handle.close, h)
	return p, nil
}

// execRetries is how often a read is attempted that finds no process, or no thread,
// while the process exists. This happens during an execve(2) by another thread than the
// main one: the main thread exits, and the other one continues with its ID.
const execRetries = 100

// readID reads the ID and the name of p. The serial number is read by PID, so it
// belongs to p only if p still exists afterwards.
func (p *Process) readID(op string) (err error) {
	s := p.shared
	for range execRetries {
		s.id.PidfdInode, err = s.handle.serial()
		if !errors.Is(err, syscall.ESRCH) || s.handle.gone() {
			break
		}
	}
	if err != nil {
		return p.wrap(op, err)
	}
	stat, err := p.readStat(op)
	switch {
	case err == nil:
		s.id.Start = stat.StartTicks
	case !errors.Is(err, ErrAccessDenied):
		return err
	case s.handle.gone(): // with hidepid=1 a process may hide all but its existence
		return p.wrap(op, ErrGone)
	}
	return nil
}

// openErrorKind returns the sentinel for an error of opening a process directory.
func openErrorKind(err error) error {
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ESRCH):
		return ErrGone
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return ErrAccessDenied
	}
	return nil
}

// Close releases the file descriptors of p and its views. Calls in progress finish
// first: Close does not wait, and the last of them releases the descriptors. Close of
// a view does nothing.
//
// After Close, PID, ID, Equal, String and Running still work. So does Wait if it has
// returned a status before, and so do values that a view of [Process.Oneshot] has
// read. Other methods, and a second Close, fail with an error that matches
// [os.ErrClosed]. This is also true for a Process from [All].
func (p *Process) Close() error {
	if p.view {
		return nil
	}
	if !p.shared.close() {
		return p.wrap("close", errProcessClosed)
	}
	return nil
}

// Dup returns another Process of the same process, with the last measurement of
// [Process.CPUPercent]. The caller closes it.
//
// System calls: 1.
func (p *Process) Dup() (*Process, error) {
	h, err := p.acquire("dup")
	if err != nil {
		return nil, err
	}
	defer p.release()
	dup, err := h.dup()
	if err != nil {
		return nil, p.wrap("dup", err)
	}
	s := &shared{table: p.shared.table, handle: dup, id: p.shared.id, name: p.shared.lastName(), meter: p.meter().clone()}
	s.cleanup = runtime.AddCleanup(s, handle.close, dup)
	return &Process{shared: s, ctx: p.ctx}, nil
}

// ID returns the identity of the process. IDs of different processes differ, unless Start and
// PidfdInode are 0: see [ID].
func (p *Process) ID() ID { return p.shared.id }

// PID returns the process ID.
func (p *Process) PID() int { return p.shared.id.PID }

// Equal reports whether p and q are the same process. Before Linux 6.9 it cannot
// distinguish two processes that had one PID within one clock tick: see [ID].
func (p *Process) Equal(q *Process) bool { return p.shared.id == q.shared.id }

// String returns the PID and the last name that a method of p has read. It makes no
// system call.
func (p *Process) String() string {
	return fmt.Sprintf("process %d (%q)", p.shared.id.PID, p.shared.lastName())
}

// Running reports whether the process exists, also if p is closed. A zombie exists.
// A closed p, and one from [All], is opened again. Running returns true if that fails
// for another reason than [ErrGone], such as a closed [Table] or a lack of file
// descriptors, and if the context of p ends first. Its psutil counterpart is
// is_running.
//
// System calls: 1, and 10 more to open p again.
func (p *Process) Running() bool {
	s := p.shared
	if h, err := s.acquireOpen(); err == nil {
		defer s.release()
		return !h.gone()
	}
	if p.ctx == nil {
		return s.exists()
	}
	exists, _, known := await(p.ctx, func() (bool, error) { return s.exists(), nil })
	return exists || !known
}

// CreateTime returns the start time of the process, by the wall clock as it is
// set now. Its resolution is one clock tick (10 ms). It reads /proc/PID/stat.
//
// System calls: 3.
func (p *Process) CreateTime() (time.Time, error) {
	const op = "create time"
	stat, err := p.readStat(op)
	if err != nil {
		return time.Time{}, err
	}
	boot, err := p.shared.table.system.bootTime()
	if err != nil {
		return time.Time{}, p.wrap(op, err)
	}
	return boot.Add(p.shared.table.system.nanos(stat.StartTicks)), nil
}
