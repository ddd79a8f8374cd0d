package process

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// An ID identifies a process for as long as the machine is up. A PID alone does
// not: the kernel reuses it as soon as the process is reaped. IDs are comparable.
type ID struct {
	PID   int
	Start uint64 // clock ticks after boot

	// Serial distinguishes processes that had the same PID within one clock tick
	// (10 ms). It is the inode number of the pidfd of the process in pidfs
	// (fs/pidfs.c), which the kernel never reuses, since Linux 6.9. It is 0 on
	// older kernels and in the process file system of another PID namespace.
	Serial uint64
}

// A Process is one process of this machine, held open. It can never turn into
// another: after the process has exited and its parent has waited for it, every
// method fails with an error that matches [ErrGone], even if another process
// has the same PID by then. Until that moment a process that has exited is a
// zombie; what it no longer has fails with [ErrZombie].
//
// The methods may be called from several goroutines. They read afresh each
// time; [Process.Oneshot] returns a view that reads each file once. Those that
// read the memory of the process (Cmdline, Environ, MemoryMaps, Footprint, and
// Name where it is long) wait while the process holds its own memory map locked.
//
// A Process costs one file descriptor, and a few more if the same is asked again
// and again, up to 256 for all processes together. Close gives them back.
type Process struct {
	shared *shared
	once   *oneshot // nil unless this is a view
}

// shared is what a Process and its views have in common.
type shared struct {
	table   *Table
	id      ID
	name    string // for errors
	cleanup runtime.Cleanup
	cpu     cpuMeter

	mu     sync.Mutex // guards what follows
	handle handle
	users  int // calls that use the handle now
	closed bool
	status *ExitStatus // known once the process was waited for
}

// Open opens the process that has this PID, or this thread id, now.
func Open(pid int) (*Process, error) {
	t, err := systemTable()
	if err != nil {
		return nil, err
	}
	return t.Open(pid)
}

// systemTable returns the [Table] of /proc, which is never closed.
var systemTable = sync.OnceValues(func() (*Table, error) { return OpenTable("") })

// Process opens the process that has this PID, or this thread id, now.
func (t *Table) Open(pid int) (*Process, error) {
	const op = "open"
	if pid < 0 {
		return nil, &Error{PID: pid, Op: op, Kind: ErrInvalid}
	}
	h, err := t.system.open(pid)
	if err != nil {
		return nil, &Error{PID: pid, Op: op, Kind: kindAtOpen(err), Err: err}
	}
	s := &shared{table: t, handle: h, id: ID{PID: pid}}
	p := &Process{shared: s}
	if err := p.identify(op); err != nil {
		h.close()
		return nil, err
	}
	s.cleanup = runtime.AddCleanup(s, handle.close, h)
	return p, nil
}

// identify finds out what p is. The serial number is asked for by PID: it is of
// this process if that is still there afterwards.
func (p *Process) identify(op string) (err error) {
	s := p.shared
	if s.id.Serial, err = s.handle.serial(); err != nil {
		return p.failure(op, err)
	}
	stat, err := p.stat(op)
	switch {
	case err == nil:
		s.id.Start, s.name = stat.StartTicks, string(stat.Comm)
	case !errors.Is(err, ErrAccessDenied):
		return err
	case s.handle.gone(): // it may hide everything but that it exists
		return p.failure(op, ErrGone)
	}
	return nil
}

// kindAtOpen returns the sentinel of an error of opening a process: there is no
// such directory, or no such number.
func kindAtOpen(err error) error {
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ESRCH):
		return ErrGone
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return ErrAccessDenied
	}
	return nil
}

// Close gives back what p and its views hold open. Calls in progress end as if
// it had come after them.
func (p *Process) Close() error {
	s := p.shared
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return p.failure("close", os.ErrClosed)
	}
	s.closed = true
	s.cleanup.Stop()
	if s.users == 0 {
		s.handle.close()
	}
	return nil
}

// Dup returns another Process of the same process, to be closed on its own.
func (p *Process) Dup() (*Process, error) {
	h, err := p.acquire("dup")
	if err != nil {
		return nil, err
	}
	defer p.release()
	twin, err := h.dup()
	if err != nil {
		return nil, p.failure("dup", err)
	}
	s := &shared{table: p.shared.table, handle: twin, id: p.shared.id, name: p.shared.name}
	s.cleanup = runtime.AddCleanup(s, handle.close, twin)
	return &Process{shared: s}, nil
}

// acquire returns the handle, which stays open until release.
func (p *Process) acquire(op string) (handle, error) {
	s := p.shared
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, p.failure(op, os.ErrClosed)
	}
	s.users++
	return s.handle, nil
}

func (p *Process) release() {
	s := p.shared
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.closed && s.users == 0 {
		s.handle.close()
	}
}

// ID returns what names the process for as long as the machine is up. Its Start
// is 0 if the process hides it. IDs are comparable.
func (p *Process) ID() ID { return p.shared.id }

// PID returns the number of the process.
func (p *Process) PID() int { return p.shared.id.PID }

// Equal reports whether p and q are the same process. Before Linux 6.9, two that
// had the same PID within a hundredth of a second seem to be one: see [ID].
func (p *Process) Equal(q *Process) bool { return p.shared.id == q.shared.id }

// String names the process as it was when it was opened.
func (p *Process) String() string {
	return fmt.Sprintf("process %d (%q)", p.shared.id.PID, p.shared.name)
}

// Running reports whether the process is still there, if only as a zombie.
func (p *Process) Running() bool {
	h, err := p.acquire("running")
	if err != nil {
		return false
	}
	defer p.release()
	return !h.gone()
}

// CreateTime returns when the process was started. It is as exact as the kernel
// tells, and moves when somebody sets the clock.
func (p *Process) CreateTime() (time.Time, error) {
	stat, err := p.stat("create time")
	if err != nil {
		return time.Time{}, err
	}
	t := p.shared.table.system
	return t.bootTime().Add(t.nanos(stat.StartTicks)), nil
}

// failure returns the error of an operation on p. ESRCH and ENOENT say that the
// process is gone only if it is: of kernel threads and zombies they are what
// files give that need memory.
func (p *Process) failure(op string, err error) error {
	e := &Error{PID: p.shared.id.PID, Name: p.shared.name, Op: op, Err: err}
	var known *Error
	switch {
	case errors.As(err, &known):
		e.Kind, e.Err = known.Kind, known.Err
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		e.Kind = ErrAccessDenied
	case errors.Is(err, ErrUnsupported), errors.Is(err, ErrInvalid):
		e.Kind, e.Err = kindOf(err), nil
	case errors.Is(err, ErrTooLarge):
		e.Kind, e.Err = ErrTooLarge, nil
	case errors.Is(err, syscall.ESRCH), errors.Is(err, syscall.ENOENT):
		e.Kind = p.absence()
	case errors.Is(err, ErrGone), errors.Is(err, ErrAccessDenied):
		e.Kind, e.Err = kindOf(err), nil
	}
	return e
}

// kindOf returns the sentinel that err matches, most telling first.
func kindOf(err error) error {
	for _, kind := range [...]error{ErrZombie, ErrGone, ErrAccessDenied, ErrTooLarge, ErrTimeout, ErrUnsupported, ErrInvalid} {
		if errors.Is(err, kind) {
			return kind
		}
	}
	return nil
}

// absence tells why something of the process is not there.
func (p *Process) absence() error {
	s := p.shared
	if s.handle.gone() {
		return ErrGone
	}
	state, err := p.state()
	switch {
	case err == nil && (state == 'Z' || state == 'X'):
		return ErrZombie
	case s.handle.gone(): // went while we asked
		return ErrGone
	}
	return ErrUnsupported
}
