package process

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/seed57308aee/process_exporter/procfs"
)

// Sentinels that an [*Error] matches with [errors.Is].
var (
	// ErrGone means that there is no such process: it never existed, or it has
	// exited and was reaped.
	// The error for a value that a zombie lacks matches too: see ErrZombie.
	ErrGone = procfs.ErrGone
	// ErrZombie means that the process has exited and is not reaped: the value was
	// released with its memory. It matches ErrGone too, so test for ErrZombie first.
	// Cmdline, Exe, Cwd, Environ and MemoryMaps return it, and on some kernels Rlimit
	// and SetRlimit. The memory use and the descriptors of a zombie are 0 or empty
	// without an error. To find a zombie, test Status for [StatusZombie].
	ErrZombie error = zombieError{}
	// ErrAccessDenied means that the kernel denied the operation: a capability is
	// missing, the process belongs to another user, or a security module refused.
	ErrAccessDenied = procfs.ErrAccessDenied
	// ErrTooLarge means that the text of a file is longer than the read limit. A
	// process can make its command line and environment appear to be gigabytes.
	ErrTooLarge = procfs.ErrTooLarge
	// ErrNoParent means that no parent is visible: the process is the first of its
	// PID namespace, or its parent is hidden or has just exited.
	ErrNoParent = errors.New("process has no parent")
	// ErrTimeout means that the deadline of a wait passed before the process exited.
	ErrTimeout = errors.New("timed out")
	// ErrUnsupported means that the operating system, the kernel or the mounted
	// process file system lacks the value or the operation.
	ErrUnsupported = errors.ErrUnsupported
	// ErrInvalid means that an argument is never valid. The error states the reason.
	ErrInvalid = fs.ErrInvalid
)

type zombieError struct{}

func (zombieError) Error() string { return "process is a zombie" }

// Is makes ErrZombie match ErrGone.
func (zombieError) Is(target error) bool { return target == ErrGone }

// An Error records a failed operation on a process.
type Error struct {
	PID  int
	Name string // when the error occurred, or the last known one; "" if unknown
	Op   string // the method or attribute, such as "environ" or "set nice"
	Kind error  // one of the sentinels, or nil
	Err  error  // the cause; nil if Kind is enough
}

func (e *Error) Error() string {
	process := fmt.Sprintf("%d", e.PID)
	if e.Name != "" {
		process = fmt.Sprintf("%d (%q)", e.PID, e.Name)
	}
	failed := "process: " + e.Op + preposition(e.Op) + " process " + process
	switch {
	case e.Kind == nil:
		return fmt.Sprintf("%s: %v", failed, e.Err)
	case e.Err == nil:
		return fmt.Sprintf("%s: %v", failed, e.Kind)
	}
	return fmt.Sprintf("%s: %v: %v", failed, e.Kind, e.Err)
}

// preposition returns the preposition between an operation and its process, after a
// space, or "" if there is none.
func preposition(op string) string {
	switch op {
	case "open", "close", "dup", opTerminate, opKill, opSuspend, opResume:
		return ""
	case opSendSignal:
		return " to"
	case "wait":
		return " for"
	}
	return " of"
}

// Unwrap returns the sentinel and the cause.
func (e *Error) Unwrap() []error {
	var all []error
	for _, err := range [...]error{e.Kind, e.Err} {
		if err != nil {
			all = append(all, err)
		}
	}
	return all
}

// wrap returns the Error of an operation on p. ESRCH and ENOENT mean that the
// process is gone only if it is: files that need the memory of a process return
// them for kernel threads and zombies too.
func (p *Process) wrap(op string, err error) error {
	e := &Error{PID: p.shared.id.PID, Name: p.currentName(), Op: op, Err: err}
	var known *Error
	var reason *reasonError
	switch {
	case errors.As(err, &known):
		e.Kind, e.Err = known.Kind, known.Err
	case errors.As(err, &reason):
		e.Kind = reason.kind
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		e.Kind = ErrAccessDenied
	case errors.Is(err, ErrUnsupported), errors.Is(err, ErrInvalid):
		e.Kind, e.Err = kindOf(err), nil
	case errors.Is(err, ErrTooLarge):
		e.Kind, e.Err = ErrTooLarge, nil
	case errors.Is(err, syscall.ESRCH), errors.Is(err, syscall.ENOENT):
		e.Kind = p.missingKind()
	case errors.Is(err, ErrGone), errors.Is(err, ErrAccessDenied), errors.Is(err, ErrNoParent):
		e.Kind, e.Err = kindOf(err), nil
	}
	return e
}

// withOperation returns err as the Error of another operation, on p.
func (p *Process) withOperation(op string, err error) error {
	var known *Error
	if !errors.As(err, &known) {
		return err
	}
	e := *known
	if e.PID != p.PID() {
		e.PID, e.Name = p.PID(), p.shared.lastName()
	}
	e.Op = op
	return &e
}

// kindOf returns the most specific sentinel that err matches, or nil.
func kindOf(err error) error {
	for _, kind := range [...]error{ErrZombie, ErrGone, ErrAccessDenied, ErrTooLarge, ErrNoParent, ErrTimeout, ErrUnsupported, ErrInvalid} {
		if errors.Is(err, kind) {
			return kind
		}
	}
	return nil
}

// missingKind returns why a file of the process does not exist.
func (p *Process) missingKind() error {
	h, ok := p.shared.borrow()
	if !ok {
		return nil
	}
	defer p.release()
	if h.gone() {
		return ErrGone
	}
	state, err := p.state(h)
	switch {
	case err == nil && (state == 'Z' || state == 'X'):
		return ErrZombie
	case h.gone(): // it exited after the first check
		return ErrGone
	}
	return ErrUnsupported
}

// A reasonError states why an operation fails with a sentinel.
type reasonError struct {
	kind   error
	reason string
}

func because(kind error, reason string) error { return &reasonError{kind, reason} }

func (e *reasonError) Error() string { return e.reason }

func (e *reasonError) Unwrap() error { return e.kind }

// invalid returns the Error of an operation on p with an argument that is never
// valid.
func (p *Process) invalid(op, format string, args ...any) error {
	return p.wrap(op, because(ErrInvalid, fmt.Sprintf(format, args...)))
}
