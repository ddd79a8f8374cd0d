package process

import (
	"bytes"
	"sync"
	"time"

	"github.com/seed57308aee/process_exporter/procfs"
)

// A oneshotCache holds the files that a view has read.
type oneshotCache struct {
	stat   cached[statRead]
	status cached[procfs.Status]
	statm  cached[procfs.Statm]
	smaps  cached[procfs.Smaps]
	tree   cached[Tree]
}

// A statRead is the contents of /proc/PID/stat and the time of the read.
type statRead struct {
	procfs.Stat
	at time.Time
}

// cached holds the parsed contents of one file. Each file has its own mutex, so
// that a blocked read does not delay reads of other files.
type cached[T any] struct {
	mu    sync.Mutex // guards value; held during the read
	value *T         // nil until a read succeeds
}

// get returns the cached value, or the result of read. A nil c caches nothing.
func (c *cached[T]) get(read func() (*T, error)) (*T, error) {
	if c == nil {
		return read()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.value != nil {
		return c.value, nil
	}
	value, err := read()
	if err == nil {
		c.value = value
	}
	return value, err
}

// Oneshot returns a view of p that reads stat, status, statm and smaps_rollup once
// each, at the first call that needs the file. ChildPIDs and DescendantPIDs of the
// view share one list of all processes. Other files are read in each call. Values
// from one file are from the same read; values from different files are not. A view
// needs no Close and ends with p. A view of a view is the view itself.
func (p *Process) Oneshot() *Process {
	if p.cache != nil {
		return p
	}
	return &Process{shared: p.shared, cache: new(oneshotCache), ctx: p.ctx, view: true}
}

// uncached returns p without the files that a view has read.
func (p *Process) uncached() *Process { return &Process{shared: p.shared, ctx: p.ctx, view: true} }

// readFile returns the text of a file that one read returns whole. The caller
// passes the buffer to putBuffer.
func (p *Process) readFile(op, file string) (*[]byte, error) {
	if p.ctx != nil {
		return within(p, op, func(p *Process) (*[]byte, error) { return p.readFile(op, file) })
	}
	return p.readWith(op, func(h handle, buf []byte) ([]byte, error) { return h.read(buf, file) })
}

// readAll returns the text of a file of any length. The caller passes the buffer
// to putBuffer.
func (p *Process) readAll(op, file string) (*[]byte, error) {
	if p.ctx != nil {
		return within(p, op, func(p *Process) (*[]byte, error) { return p.readAll(op, file) })
	}
	return p.readWith(op, func(h handle, buf []byte) ([]byte, error) { return h.readAll(buf, file) })
}

// readWith reads into a buffer of the table.
func (p *Process) readWith(op string, read func(handle, []byte) ([]byte, error)) (*[]byte, error) {
	h, err := p.acquire(op)
	if err != nil {
		return nil, err
	}
	defer p.release()
	buf := p.getBuffer()
	text, err := read(h, *buf)
	if err != nil {
		p.putBuffer(buf)
		return nil, p.wrap(op, err)
	}
	*buf = text
	return buf, nil
}

func (p *Process) getBuffer() *[]byte { return p.shared.table.buffers.Get().(*[]byte) }

// putBuffer makes a buffer available for reuse, unless a large file has grown it.
func (p *Process) putBuffer(buf *[]byte) {
	const maxReused = 256 << 10
	if cap(*buf) <= maxReused {
		p.shared.table.buffers.Put(buf)
	}
}

// readStat returns /proc/PID/stat.
func (p *Process) readStat(op string) (*statRead, error) {
	var cache *cached[statRead]
	if p.cache != nil {
		cache = &p.cache.stat
	}
	stat, err := parseFile(p, cache, op, "stat", func(text []byte, dst *statRead) error {
		dst.at = time.Now()
		err := procfs.ParseStat(text, &dst.Stat)
		dst.Comm = bytes.Clone(dst.Comm)
		return err
	})
	if err == nil {
		p.shared.setComm(stat.Comm)
	}
	return stat, err
}

// readStatus returns /proc/PID/status.
func (p *Process) readStatus(op string) (*procfs.Status, error) {
	var cache *cached[procfs.Status]
	if p.cache != nil {
		cache = &p.cache.status
	}
	return parseFile(p, cache, op, "status", procfs.ParseStatus)
}

// readStatm returns /proc/PID/statm.
func (p *Process) readStatm(op string) (*procfs.Statm, error) {
	var cache *cached[procfs.Statm]
	if p.cache != nil {
		cache = &p.cache.statm
	}
	return parseFile(p, cache, op, "statm", procfs.ParseStatm)
}

// parseFile returns the parsed contents of a file, from the cache if it has them.
func parseFile[T any](p *Process, cache *cached[T], op, file string, parse func([]byte, *T) error) (*T, error) {
	if p.ctx != nil {
		return within(p, op, func(p *Process) (*T, error) { return parseFile(p, cache, op, file, parse) })
	}
	return cache.get(func() (*T, error) {
		text, err := p.readFile(op, file)
		if err != nil {
			return nil, err
		}
		defer p.putBuffer(text)
		got := new(T)
		if err := parse(*text, got); err != nil {
			return nil, p.wrap(op, err)
		}
		return got, nil
	})
}

// state returns the state letter of the process of h, which the caller has acquired.
// It does not use parseFile, because wrap calls it.
func (p *Process) state(h handle) (byte, error) {
	buf := p.getBuffer()
	defer p.putBuffer(buf)
	text, err := h.read(*buf, "stat")
	if err != nil {
		return 0, err
	}
	var st procfs.Stat
	if err := procfs.ParseStat(text, &st); err != nil {
		return 0, err
	}
	return st.State, nil
}
