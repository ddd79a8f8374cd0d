// Package procfs reads the files of Linux under /proc and parses their text.
//
// The parsers take bytes and fill a struct of the caller. They keep no state,
// do not allocate unless they fail or their comment says so, do not log, and do
// not depend on metrics. They build and are tested on every operating system;
// only files named *_linux.go make system calls.
//
// # Missing is not zero
//
// A kernel may be too old for a line, be built without it, or omit it for a
// process without memory. Structs with optional lines have a Have set of the
// lines that were read. The other fields are zero and have no meaning.
//
// # Errors
//
// A failed read of a file returns a [*ReadError]. It matches [ErrGone] if the
// process has exited, [ErrAccessDenied] if the kernel denies access, and
// [ErrTooLarge] if the file exceeds the size limit.
//
// Unexpected text returns a [*ParseError] and leaves the caller's struct
// unchanged. The kernel ends every line with a newline. A line without it is
// truncated, and this is an error if the key of the line is known: a number
// that has lost its last digits is still a valid number.
package procfs
