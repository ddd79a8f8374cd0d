// Package procfs turns the text that Linux serves under /proc into Go values.
//
// The parsers take bytes and fill a caller's struct: they keep nothing between
// calls, allocate nothing unless they fail or their comment says so, log
// nothing and know nothing of metrics. They build and are tested on every
// operating system; only files named *_linux.go make system calls.
//
// # Missing is not zero
//
// A kernel may be too old for a line, be built without it, or hide it for a
// process that has no memory of its own. Structs whose lines come and go name
// those that were really read in a Have set; fields outside of it are zero and
// mean nothing.
//
// # Errors
//
// The failed read of a file is a [*ReadError]. It matches [ErrGone] if the
// process has exited, [ErrAccessDenied] if the kernel refuses the reader, and
// [ErrTooLarge] if there is more text than anybody needs.
//
// Text that a parser does not understand is a [*ParseError], and the caller's
// struct is then as it was. The kernel ends every line with a newline, so a
// line that lacks it has lost its end: where its key is known that is an error
// too, because a number without its last digits looks like any other number.
package procfs
