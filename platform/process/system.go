package process

import (
	"context"
	"syscall"
	"time"
)

// A system is the operating system below a [Table]. All code that differs between
// systems implements it, and tests replace it. Its methods are safe for concurrent
// use. Errors wrap the [syscall.Errno] of the kernel.
type system interface {
	open(pid int) (handle, error)
	pids() ([]int, error)
	relations() ([]relation, error)       // of all processes
	bootTime() (time.Time, error)         // by the wall clock as it is set now
	nanos(ticks uint64) time.Duration     // converts clock ticks
	memory() (bytes uint64, err error)    // of the machine
	terminal(device uint32) (path string) // "" if there is no such terminal
	sameFile(path string, as fileID) bool // whether path leads to the same inode
	exists(path string) bool
	pageBytes() uint64

	// close releases the system after the calls in progress. Calls that need the
	// system then fail with errTableClosed, and so does a second close.
	close() error
}

// A relation is a process and its parent.
type relation struct {
	id   ID
	ppid int
}

// A fileID identifies the file that a path below /proc/PID leads to.
type fileID struct {
	device, inode uint64
	regular       bool
}

// A handle is one open process. After the process is reaped its methods fail with
// an error that wraps ESRCH, even if the PID is in use again.
type handle interface {
	read(buf []byte, file string) ([]byte, error)      // a file that one read returns whole
	readAll(buf []byte, file string) ([]byte, error)   // a file of any length
	readStart(buf []byte, file string) ([]byte, error) // as much as fits into buf
	numbers(buf []byte, dir string) ([]int, error)
	link(buf []byte, file string) ([]byte, error)
	stat(file string) (fileID, error)
	countFDs(buf []byte) (int, error)
	gone() bool
	serial() (uint64, error) // ID.PidfdInode; 0 if the kernel has none
	dup() (handle, error)
	close()
	control
}

// A control reads and changes a process through system calls that take a PID. If
// the PIDs of the mounted process file system differ from those of system calls,
// every method fails with [ErrUnsupported].
type control interface {
	nice() (int, error)
	setNice(n int) error
	ioPriority() (int, error)
	setIOPriority(packed int) error
	limit(r Resource) (Limit, error)
	setLimit(r Resource, l Limit) error
	affinity() ([]int, error)
	setAffinity(cpus []int) error
	signal(s syscall.Signal) error

	// wait returns when the process has exited and was reaped, or when ctx ends.
	// It reaps the process if that is a child of this one.
	wait(ctx context.Context) (ExitStatus, error)
}
