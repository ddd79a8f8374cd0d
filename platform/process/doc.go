// Package process reads and controls single processes. It is psutil's Process
// class for Go.
//
// A [Process] holds the /proc directory of one process open, so it never refers
// to another process that the kernel gave the same PID. A [Table] opens processes
// of another mount, such as the /proc of a host inside a container.
//
// Read one process:
//
//	p, err := process.Open(pid)
//	if err != nil {
//		return err
//	}
//	defer p.Close()
//	times, err := p.CPUTimes()
//
// Read several values with one read of each file:
//
//	view := p.Oneshot()
//	name, err := view.Name()
//	memory, err := view.MemoryInfo()
//
// Iterate over all processes:
//
//	for p, err := range process.All() {
//		if err != nil {
//			return err
//		}
//		fmt.Println(p.PID())
//	}
//
// # Errors
//
// An error about one process is an [*Error] with the PID, the name and the
// operation. With [errors.Is] it matches one of:
//
//   - [ErrGone]: the process has exited and was reaped.
//   - [ErrZombie]: the process has exited and is not reaped. It matches ErrGone too.
//   - [ErrAccessDenied]: the kernel denied the operation.
//   - [ErrNoParent]: no parent is visible.
//   - [ErrTimeout]: the deadline of a wait passed before the process exited.
//   - [ErrTooLarge]: a file has more text than any program can be started with.
//   - [ErrUnsupported]: this kernel or operating system lacks the value.
//   - [ErrInvalid]: an argument is never valid. The error states the reason.
//
// # Concurrency
//
// All methods are safe for concurrent use. Reads of Cmdline, Environ, MemoryMaps,
// Footprint, and of a Name of 15 bytes or more, block while the process holds its
// memory map locked. No read of /proc can be interrupted, so the methods take no
// context: call them in a goroutine if the caller must continue.
//
// # Systems
//
// The package supports Linux. On other systems opening a process fails with an
// error that matches [errors.ErrUnsupported].
package process
