package process

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/seed57308aee/process_exporter/platform/internal/host"
	"github.com/seed57308aee/process_exporter/procfs"
)

// A Table is the process table of a kernel: an open process file system. It holds no list
// of processes; each call reads them. The functions of this package use the one at /proc.
// A Table opens another one, such as the /proc of a host inside a container. If its PIDs
// differ from those of system calls, methods that need such a call fail with
// [ErrUnsupported]. Its methods are safe for concurrent use. Only [OpenTable] makes a usable
// Table: the zero value is not one.
type Table struct {
	*tableState
	ctx context.Context // of WithContext; nil for none
}

// A tableState is the state that a Table shares with its views.
type tableState struct {
	plain   *Table // the Table without a context
	system  system
	buffers sync.Pool // of *[]byte
	users   host.UserCache
	meters  meters
}

// OpenTable opens the process file system at root; "" is /proc. On systems other
// than Linux the error matches [ErrUnsupported]. Its psutil counterpart is
// PROCFS_PATH.
func OpenTable(root string) (*Table, error) {
	s, err := openSystem(root)
	if err != nil {
		return nil, fmt.Errorf("process: %w", err)
	}
	return newTable(s), nil
}

func newTable(s system) *Table {
	const bufferBytes = 16 << 10 // more than nearly every file of a process
	t := &Table{tableState: &tableState{
		system:  s,
		buffers: sync.Pool{New: func() any { b := make([]byte, bufferBytes); return &b }},
	}}
	t.plain = t
	return t
}

// Close closes the process file system. Calls in progress finish first: Close does
// not wait, and the last of them releases the file descriptor. Close of a view of
// [Table.WithContext] does nothing.
//
// After Close, the methods of t and a second Close fail with an error that matches
// [os.ErrClosed]. A Process that is open stays usable and needs its own Close. Its
// methods that need the Table fail with the same error: Parent, Parents, Children,
// Descendants, their variants that return PIDs, CreateTime and MemoryPercent. So do
// all methods of a Process of [Table.All] that read a value, because they open the
// process again.
func (t *Table) Close() error {
	if t != t.plain {
		return nil
	}
	if err := t.system.close(); err != nil {
		return fmt.Errorf("process: close: %w", err)
	}
	return nil
}

// PIDs returns the PIDs of all processes, ascending.
func (t *Table) PIDs() ([]int, error) {
	return tableWithin(t, "list processes", func(s system) ([]int, error) { return s.pids() })
}

// PIDs returns the PIDs of all processes, ascending.
func PIDs() ([]int, error) {
	t, err := systemTable()
	if err != nil {
		return nil, err
	}
	return t.PIDs()
}

// BootTime returns when the machine booted, by the wall clock as it is set now.
func (t *Table) BootTime() (time.Time, error) {
	return tableWithin(t, "boot time", func(s system) (time.Time, error) { return s.bootTime() })
}

// MemoryBytes returns the memory of the machine in bytes: MemTotal of
// /proc/meminfo.
func (t *Table) MemoryBytes() (uint64, error) {
	return tableWithin(t, "memory of the machine", func(s system) (uint64, error) { return s.memory() })
}

// Exists reports whether a process has this PID. A thread ID of another thread than
// the main one is not a PID.
//
// System calls: 12.
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
	main, err := p.threadGroup()
	switch {
	case err == nil:
		return main == pid, nil
	case errors.Is(err, ErrGone):
		return false, nil
	}
	return t.listed(pid)
}

// listed reports whether a PID is in the listing, for a process that hides its
// files.
func (t *Table) listed(pid int) (bool, error) {
	pids, err := t.PIDs()
	for _, other := range pids {
		if other == pid {
			return true, nil
		}
	}
	return false, err
}

// Exists reports whether a process has this PID, as [Table.Exists] does. Its psutil
// counterpart is pid_exists.
func Exists(pid int) (bool, error) {
	t, err := systemTable()
	if err != nil {
		return false, err
	}
	return t.Exists(pid)
}

// threadGroup returns the PID of the thread group that p belongs to.
func (p *Process) threadGroup() (int, error) {
	const op = "thread group"
	text, err := p.readFile(op, "status")
	if err != nil {
		return 0, err
	}
	defer p.putBuffer(text)
	pid, err := procfs.ParseTGID(*text)
	if err != nil {
		return 0, p.wrap(op, err)
	}
	return pid, nil
}

// All iterates over all processes, ascending by PID. It omits processes that exit
// before they are opened. An error ends the iteration, with a nil Process.
//
// A Process needs no Close and stays usable after its iteration. It then holds no
// file descriptor: each call opens the process again and verifies its [ID], with 10
// system calls more. [Process.Dup] and [Open] return one that stays open.
//
// System calls: 9 per process.
func (t *Table) All() iter.Seq2[*Process, error] {
	return func(yield func(*Process, error) bool) {
		pids, err := t.PIDs()
		if err != nil {
			yield(nil, err)
			return
		}
		t.meters.retain(pids)
		tree := new(sharedTree)
		for _, pid := range pids {
			p, err := t.Open(pid)
			if errors.Is(err, ErrGone) {
				continue
			}
			if err != nil {
				yield(nil, err)
				return
			}
			p.shared.tree = tree
			more := yield(p, nil)
			p.shared.reopenInCalls()
			if !more {
				return
			}
		}
	}
}

// All iterates over all processes of this machine, as [Table.All] does. Its psutil
// counterpart is process_iter.
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
