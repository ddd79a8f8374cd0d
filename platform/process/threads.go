package process

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/seed57308aee/process_exporter/procfs"
)

// NumThreads returns the thread count of the process. It reads /proc/PID/stat.
//
// System calls: 1 (3 in the first call).
func (p *Process) NumThreads() (int, error) {
	stat, err := p.readStat("num threads")
	if err != nil {
		return 0, err
	}
	return stat.Threads, nil
}

// A Thread is one thread of a process and its CPU time.
type Thread struct {
	TID          int
	Name         string
	User, System time.Duration
}

// Threads returns the threads of the process, ascending by TID. It omits threads
// that exit during the call. It reads /proc/PID/task/TID/stat.
//
// System calls: 5, and 3 per thread.
func (p *Process) Threads() ([]Thread, error) {
	const op = "threads"
	if p.ctx != nil {
		return within(p, op, (*Process).Threads)
	}
	var threads []Thread
	nanos := p.shared.table.system.nanos
	err := p.eachThread(op, "stat", func(tid int, text []byte) error {
		var st procfs.Stat
		if err := procfs.ParseStat(text, &st); err != nil {
			return err
		}
		threads = append(threads, Thread{
			TID: tid, Name: string(st.Comm), User: nanos(st.UserTicks), System: nanos(st.SystemTicks),
		})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return threads, nil
}

// eachThread calls use with the text of a file of every thread.
func (p *Process) eachThread(op, file string, use func(tid int, text []byte) error) error {
	h, err := p.acquire(op)
	if err != nil {
		return err
	}
	defer p.release()
	buf := p.getBuffer()
	defer p.putBuffer(buf)
	for range execRetries {
		read, err := readThreads(h, *buf, file, use)
		switch {
		case err != nil:
			return p.wrap(op, err)
		case h.gone():
			return p.wrap(op, syscall.ESRCH)
		case read > 0:
			return nil
		}
	}
	return p.wrap(op, syscall.ESRCH)
}

// readThreads calls use with the text of a file of every thread. It returns how many
// threads it has read: it skips a thread that exits after the listing.
func readThreads(h handle, buf []byte, file string, use func(tid int, text []byte) error) (read int, err error) {
	tids, err := h.numbers(buf, "task")
	if err != nil {
		return 0, err
	}
	for _, tid := range tids {
		text, err := h.read(buf, fmt.Sprintf("task/%d/%s", tid, file))
		if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ESRCH) {
			continue
		}
		if err == nil {
			err = use(tid, text)
		}
		if err != nil {
			return 0, err
		}
		read++
	}
	return read, nil
}
