package procfs

import (
	"errors"
	"fmt"
	"syscall"
)

// Errors that a [*ReadError] matches with [errors.Is].
var (
	// ErrGone matches if the process has exited.
	ErrGone = errors.New("process is gone")
	// ErrAccessDenied matches if the process exists and the kernel denies access,
	// because of its user, a missing capability or a security module.
	ErrAccessDenied = errors.New("access denied")
	// ErrTooLarge matches if a file exceeds the size limit of the method. With
	// prctl(PR_SET_MM) a process can make its command line and environment
	// gigabytes long without using that memory.
	ErrTooLarge = errors.New("file is too large")
)

// A ReadError reports a failed read of one file of a process, a thread or the machine.
type ReadError struct {
	PID  int    // or the TID of [Reader.ReadTask]; 0 for a file of the machine
	File string // relative to /proc/PID, such as "task/7/stat"; "" for /proc/PID itself
	Err  error
}

func (e *ReadError) Error() string {
	if e.File == "" {
		return fmt.Sprintf("procfs: read %d: %v", e.PID, e.Err)
	}
	return fmt.Sprintf("procfs: read %d/%s: %v", e.PID, e.File, e.Err)
}

// Unwrap returns the error of the system call.
func (e *ReadError) Unwrap() error { return e.Err }

// Is reports whether target is [ErrGone], [ErrAccessDenied] or [ErrTooLarge], and the error of the
// system call has this meaning. ESRCH always means that the process is gone. ENOENT
// means it only for the directory and stat, which every process has; the kernel may be
// built without other files.
func (e *ReadError) Is(target error) bool {
	switch target {
	case ErrGone:
		always := e.File == "" || e.File == "stat"
		return errors.Is(e.Err, syscall.ESRCH) || always && errors.Is(e.Err, syscall.ENOENT)
	case ErrAccessDenied:
		return errors.Is(e.Err, syscall.EACCES) || errors.Is(e.Err, syscall.EPERM)
	case ErrTooLarge:
		return errors.Is(e.Err, syscall.EFBIG) // set by this package; read(2) of a procfs file does not return it
	}
	return false
}

// A ParseError reports text that does not have the documented format.
type ParseError struct {
	File  string // such as "status"
	Field string // key of the line, or field name in proc(5); "" if unknown
	Text  string // the unexpected text, truncated to 64 bytes
}

func (e *ParseError) Error() string {
	return fmt.Sprintf("procfs: parse %s, field %q: unexpected text %q", e.File, e.Field, e.Text)
}

// newParseError copies the text, because the buffer of the reader is reused.
func newParseError(file, field string, text []byte) *ParseError {
	const maxText = 64 // a hostile file must not flood the log
	return &ParseError{File: file, Field: field, Text: string(text[:min(len(text), maxText)])}
}
