package process

import (
	"errors"
	"iter"
	"sync"
	"time"

	"github.com/seed57308aee/process_exporter/platform/internal/host"
	"github.com/seed57308aee/process_exporter/procfs"
)

// A Table is a process file system held open, in which [Process] values are
// found. The package's functions use the one at /proc; a Table is for another
// place, such as a host's file system inside a container. There, what takes a
// system call by number fails with [ErrUnsupported], for the numbers differ.
// Its methods may be called from several goroutines. Processes opened from a
// Table must not be used after it was closed, but to close them.
type Table struct {
	system  system
	buffers sync.Pool // of *[]byte
	users   host.UserNames
}

// OpenTable opens the process file system that o names. On systems that this
// package does not know, the error matches [ErrUnsupported].
func OpenTable(root string) (*Table, error) {
	s, err := openSystem(root)
	if err != nil {
		return nil, err
	}
	return newTable(s), nil
}

func newTable(s system) *Table {
	const usual = 16 << 10 // nearly every file of a process is smaller
	return &Table{
		system:  s,
		buffers: sync.Pool{New: func() any { b := make([]byte, usual); return &b }},
	}
}

// Close gives back what t holds open.
func (t *Table) Close() error { return t.system.close() }

// PIDs returns the PIDs of all processes, ascending.
func (t *Table) PIDs() ([]int, error) { return t.system.pids() }

// PIDs returns the PIDs of all processes, ascending.
func PIDs() ([]int, error) {
	t, err := systemTable()
	if err != nil {
		return nil, err
	}
	return t.PIDs()
}

// BootTime returns when the machine booted, by the clock as it is now.
func (t *Table) BootTime() time.Time { return t.system.bootTime() }

// MemoryBytes returns how much memory the machine has.
func (t *Table) MemoryBytes() (uint64, error) { return t.system.memory() }

// Exists reports whether a process has this PID. A thread's number is none.
func (t *Table) Exists(pid int) (bool, error) {
	if pid <= 0 {
		return false, nil
	}
	p, err := t.Open(pid)
	if errors.Is(err, ErrGone) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer p.Close()
	main, err := p.mainThread()
	switch {
	case err == nil:
		return main == pid, nil
	case errors.Is(err, ErrGone):
		return false, nil
	}
	return t.listed(pid)
}

// listed looks for a process that hides everything but its existence.
func (t *Table) listed(pid int) (bool, error) {
	pids, err := t.PIDs()
	for _, other := range pids {
		if other == pid {
			return true, nil
		}
	}
	return false, err
}

// Exists reports whether a process has this PID. A thread's number is none.
func Exists(pid int) (bool, error) {
	t, err := systemTable()
	if err != nil {
		return false, err
	}
	return t.Exists(pid)
}

// mainThread returns the PID of the process that p is a thread of.
func (p *Process) mainThread() (int, error) {
	const op = "thread group"
	text, err := p.text(op, "status")
	if err != nil {
		return 0, err
	}
	defer p.done(text)
	pid, err := procfs.ParseTGID(*text)
	if err != nil {
		return 0, p.failure(op, err)
	}
	return pid, nil
}

// All yields every process, ascending by PID. One that exits before its
// turn is left out. The Process is closed when the loop goes on: [Process.Dup]
// keeps it. An error ends the loop, and comes with a nil Process.
func (t *Table) All() iter.Seq2[*Process, error] {
	return func(yield func(*Process, error) bool) {
		pids, err := t.PIDs()
		if err != nil {
			yield(nil, err)
			return
		}
		for _, pid := range pids {
			p, err := t.Open(pid)
			if errors.Is(err, ErrGone) {
				continue
			}
			if err != nil {
				yield(nil, err)
				return
			}
			more := yield(p, nil)
			_ = p.Close() // fails if the loop has closed it, which it may
			if !more {
				return
			}
		}
	}
}

// All yields every process of this machine, as [Table.All] does.
func All() iter.Seq2[*Process, error] {
	return func(yield func(*Process, error) bool) {
		t, err := systemTable()
		if err != nil {
			yield(nil, err)
			return
		}
		t.All()(yield)
	}
}
