package process

import (
	"bytes"
	"sync"

	"github.com/seed57308aee/process_exporter/procfs"
)

// oneshot keeps what a view has read.
type oneshot struct {
	stat   kept[procfs.Stat]
	status kept[procfs.Status]
	statm  kept[procfs.Statm]
	smaps  kept[procfs.Smaps]
}

// kept is what one file says. Each has a lock of its own, so that a file that
// does not answer holds up nobody who asks for another.
type kept[T any] struct {
	mu    sync.Mutex // guards value, and is held while the file is read
	value *T         // nil until it was read
}

// get returns what is kept, or what read returns. A nil k keeps nothing.
func (k *kept[T]) get(read func() (*T, error)) (*T, error) {
	if k == nil {
		return read()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.value != nil {
		return k.value, nil
	}
	value, err := read()
	if err == nil {
		k.value = value
	}
	return value, err
}

// Oneshot returns a view of p that reads the files behind most methods only
// once: what it answers is as of the first call that needed the file. To ask
// for much at once costs a few reads this way, and the answers fit together. The
// view needs no Close of its own and ends with p. A view of a view is itself.
func (p *Process) Oneshot() *Process {
	if p.once != nil {
		return p
	}
	return &Process{shared: p.shared, once: new(oneshot)}
}

// text returns what a file of one record says, in a buffer for [Process.done].
func (p *Process) text(op, file string) (*[]byte, error) {
	return p.fill(op, func(h handle, buf []byte) ([]byte, error) { return h.read(buf, file) })
}

// wholeText returns what a file of any length says.
func (p *Process) wholeText(op, file string) (*[]byte, error) {
	return p.fill(op, func(h handle, buf []byte) ([]byte, error) { return h.readAll(buf, file) })
}

// fill reads into a buffer of the table.
func (p *Process) fill(op string, read func(handle, []byte) ([]byte, error)) (*[]byte, error) {
	h, err := p.acquire(op)
	if err != nil {
		return nil, err
	}
	defer p.release()
	buf := p.shared.table.buffers.Get().(*[]byte)
	text, err := read(h, *buf)
	if err != nil {
		p.done(buf)
		return nil, p.failure(op, err)
	}
	*buf = text
	return buf, nil
}

// done gives back a buffer. One that a huge file has blown up is not kept.
func (p *Process) done(buf *[]byte) {
	const keep = 256 << 10
	if cap(*buf) <= keep {
		p.shared.table.buffers.Put(buf)
	}
}

// stat returns /proc/PID/stat.
func (p *Process) stat(op string) (*procfs.Stat, error) {
	var slot *kept[procfs.Stat]
	if p.once != nil {
		slot = &p.once.stat
	}
	return fact(p, slot, op, "stat", func(text []byte, to *procfs.Stat) error {
		err := procfs.ParseStat(text, to)
		to.Comm = bytes.Clone(to.Comm)
		return err
	})
}

// status returns /proc/PID/status.
func (p *Process) status(op string) (*procfs.Status, error) {
	var slot *kept[procfs.Status]
	if p.once != nil {
		slot = &p.once.status
	}
	return fact(p, slot, op, "status", procfs.ParseStatus)
}

// statm returns /proc/PID/statm.
func (p *Process) statm(op string) (*procfs.Statm, error) {
	var slot *kept[procfs.Statm]
	if p.once != nil {
		slot = &p.once.statm
	}
	return fact(p, slot, op, "statm", procfs.ParseStatm)
}

// fact returns what a file says: what slot keeps of it, if anything, or else
// what it says now.
func fact[T any](p *Process, slot *kept[T], op, file string, parse func([]byte, *T) error) (*T, error) {
	return slot.get(func() (*T, error) {
		text, err := p.text(op, file)
		if err != nil {
			return nil, err
		}
		defer p.done(text)
		got := new(T)
		if err := parse(*text, got); err != nil {
			return nil, p.failure(op, err)
		}
		return got, nil
	})
}

// state returns the state letter of the process. It reads without the help of
// what would ask for it again in trouble, and the caller holds the handle.
func (p *Process) state() (byte, error) {
	buf := p.shared.table.buffers.Get().(*[]byte)
	defer p.done(buf)
	text, err := p.shared.handle.read(*buf, "stat")
	if err != nil {
		return 0, err
	}
	var st procfs.Stat
	if err := procfs.ParseStat(text, &st); err != nil {
		return 0, err
	}
	return st.State, nil
}
