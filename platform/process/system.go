package process

import (
	"context"
	"syscall"
	"time"
)

// A system is what a [Table] asks of the operating system. It is the one seam
// below which code differs between systems, and at which tests put a kernel of
// their own. All methods may be called from several goroutines. Errors wrap the
// [syscall.Errno] that the kernel gave.
type system interface {
	open(pid int) (handle, error)
	pids() ([]int, error)
	kin() ([]kinship, error)               // of all processes
	bootTime() time.Time                   // by the wall clock as it is now
	nanos(ticks uint64) time.Duration      // what clock ticks last
	memory() (bytes uint64, err error)     // of the machine
	terminal(device uint32) (path string)  // "" if there is none such
	sameFile(path string, like entry) bool // whether path leads to that very file
	exists(path string) bool
	pageBytes() uint64
	close() error
}

// kinship is what a process says of its descent.
type kinship struct {
	id   ID
	ppid int
}

// An entry is what a path below /proc/PID leads to.
type entry struct {
	device, inode uint64
	regular       bool
}

// A handle is one process held open. Methods fail with an error that wraps
// ESRCH once it is gone, whoever has its PID then.
type handle interface {
	read(buf []byte, file string) ([]byte, error)    // a file of one record
	readAll(buf []byte, file string) ([]byte, error) // a file of any length
	numbers(buf []byte, dir string) ([]int, error)
	link(buf []byte, file string) ([]byte, error)
	stat(file string) (entry, error)
	countFDs(buf []byte) (int, error)
	gone() bool
	serial() (uint64, error) // see ID; what is not told is 0
	dup() (handle, error)
	close()
	control
}

// A control is what the kernel does to, or tells of, a process by its number
// only. Where the file system in use numbers processes unlike our own system
// calls, every method fails with [ErrUnsupported].
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

	// wait returns when the process has exited and was waited for, by us if it
	// is our child, or when ctx ends.
	wait(ctx context.Context) (ExitStatus, error)
}
