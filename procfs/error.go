package procfs

import (
	"errors"
	"fmt"
	"syscall"
)

// Sentinels that a [*ReadError] matches by [errors.Is].
var (
	// ErrGone says that the process has exited.
	ErrGone = errors.New("process is gone")
	// ErrAccessDenied says that the process lives and the kernel lets us not
	// look: a missing capability, another user, or a security module.
	ErrAccessDenied = errors.New("access denied")
	// ErrTooLarge says that a file has more text than is read of it. A process
	// can let its command line and its environment seem to be gigabytes without
	// having the memory.
	ErrTooLarge = errors.New("too much text")
)

// A ReadError records a failed read of one file of one process.
type ReadError struct {
	PID  int
	File string // below /proc/PID, such as "task/7/stat"; "" is /proc/PID itself
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

// Is reports whether target is the sentinel of this error. ESRCH always means
// that the process is gone. ENOENT means it only of what every process has, its
// directory and stat; of another file it may say that this kernel was built
// without it.
func (e *ReadError) Is(target error) bool {
	switch target {
	case ErrGone:
		always := e.File == "" || e.File == "stat"
		return errors.Is(e.Err, syscall.ESRCH) || always && errors.Is(e.Err, syscall.ENOENT)
	case ErrAccessDenied:
		return errors.Is(e.Err, syscall.EACCES) || errors.Is(e.Err, syscall.EPERM)
	case ErrTooLarge:
		return errors.Is(e.Err, syscall.EFBIG) // which no read returns
	}
	return false
}

// A ParseError records text that is not what the kernel documents.
type ParseError struct {
	File  string // the kernel's name of it, such as "status"
	Field string // the line's key or the field's name in proc(5); "" if none was found
	Text  string // what stands in its place, cut to 64 bytes
}

func (e *ParseError) Error() string {
	return fmt.Sprintf("procfs: parse %s, field %q: unexpected text %q", e.File, e.Field, e.Text)
}

// newParseError copies what it keeps, for the reader's buffer lives on.
func newParseError(file, field string, text []byte) *ParseError {
	const enough = 64 // a hostile or huge file must not flood a log
	return &ParseError{File: file, Field: field, Text: string(text[:min(len(text), enough)])}
}
