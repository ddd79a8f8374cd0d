package process

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/seed57308aee/process_exporter/procfs"
)

// Sentinels that a [*Error] matches by [errors.Is], beside [ErrGone],
// [ErrAccessDenied] and [ErrTooLarge].
var (
	// ErrGone matches the error of reading a process that has exited.
	ErrGone = procfs.ErrGone
	// ErrAccessDenied matches the error of a read or a system call for which this
	// process lacks permission.
	ErrAccessDenied = procfs.ErrAccessDenied
	// ErrTooLarge matches the error of reading a command line or an environment
	// of more than 8 MiB, or another file of more than 256 MiB.
	ErrTooLarge = procfs.ErrTooLarge
	// ErrZombie says that the process has exited and only waits for its parent
	// to take note: what was asked for went with its memory. It matches ErrGone
	// too, so that callers who care ask for ErrZombie first.
	ErrZombie error = zombieError{}
	// ErrTimeout says that a wait ended before its process did.
	ErrTimeout = errors.New("timed out")
	// ErrUnsupported says that this operating system, this kernel, or the
	// process file system in use does not have what was asked for.
	ErrUnsupported = errors.ErrUnsupported
	// ErrInvalid says that an argument can never be right.
	ErrInvalid = fs.ErrInvalid
)

type zombieError struct{}

func (zombieError) Error() string { return "process is a zombie" }

// Is makes a zombie count as gone.
func (zombieError) Is(target error) bool { return target == ErrGone }

// A Error says what failed on which process.
type Error struct {
	PID  int
	Name string // of its main thread when it was opened; "" if that was not readable
	Op   string // what was asked for, such as "environ" or "set nice"
	Kind error  // one of the sentinels, or nil for another trouble
	Err  error  // the cause; nil if Kind says it all
}

func (e *Error) Error() string {
	process := fmt.Sprintf("%d", e.PID)
	if e.Name != "" {
		process = fmt.Sprintf("%d (%q)", e.PID, e.Name)
	}
	switch {
	case e.Kind == nil:
		return fmt.Sprintf("platform: %s of process %s: %v", e.Op, process, e.Err)
	case e.Err == nil:
		return fmt.Sprintf("platform: %s of process %s: %v", e.Op, process, e.Kind)
	}
	return fmt.Sprintf("platform: %s of process %s: %v: %v", e.Op, process, e.Kind, e.Err)
}

// Unwrap returns what the error matches: the sentinel and the cause.
func (e *Error) Unwrap() []error {
	var all []error
	for _, err := range [...]error{e.Kind, e.Err} {
		if err != nil {
			all = append(all, err)
		}
	}
	return all
}
