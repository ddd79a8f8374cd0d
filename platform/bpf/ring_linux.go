//go:build amd64 || arm64

package bpf

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/cilium/ebpf/ringbuf"
)

// A ring reads the records of a ring buffer. The kernel wakes its goroutine only when the buffer
// is half full.
type ring struct {
	reader *ringbuf.Reader
	handle func(record []byte) error // an error ends the goroutine
	done   chan struct{}

	mu      sync.Mutex // guards what follows
	flushed sync.Cond  // flushes increased, or ended is true
	flushes int        // completed flushes
	ended   bool
	err     error
}

func newRing(reader *ringbuf.Reader, handle func(record []byte) error) *ring {
	r := &ring{reader: reader, handle: handle, done: make(chan struct{})}
	r.flushed.L = &r.mu
	go r.run()
	return r
}

// run calls handle for each record until the reader is closed.
func (r *ring) run() {
	defer close(r.done)
	var record ringbuf.Record
	for {
		err := r.reader.ReadInto(&record)
		if err == nil {
			err = r.handle(record.RawSample)
		}
		if err != nil && r.noteError(err) {
			return
		}
	}
}

// noteError handles an error of a read: the end of a flush, or the end of the goroutine.
func (r *ring) noteError(err error) (ended bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case errors.Is(err, ringbuf.ErrFlushed):
		r.flushes++
	case errors.Is(err, os.ErrClosed):
		r.ended = true
	default:
		r.ended, r.err = true, fmt.Errorf("bpf: read events: %w", err)
	}
	r.flushed.Broadcast()
	return r.ended
}

// flush returns when handle has been called for all records that were sent before.
func (r *ring) flush() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	want := r.flushes + 1
	if !r.ended {
		if err := r.reader.Flush(); err != nil {
			return fmt.Errorf("bpf: read events: %w", err)
		}
	}
	for r.flushes < want && !r.ended {
		r.flushed.Wait()
	}
	return r.err
}

func (r *ring) close() error {
	err := r.reader.Close()
	<-r.done
	return err
}
