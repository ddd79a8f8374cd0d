//go:build amd64 || arm64

package bpf

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"unsafe"

	"github.com/cilium/ebpf/ringbuf"
)

// maxPending is the size in bytes of the events that wait for Take. Beyond it the
// ring buffer is no longer read; when that is full, the programs drop and count events.
const maxPending = 3 << 19

// Events buffers the exit events of the programs. The kernel wakes the reading
// goroutine only when the ring buffer is half full.
type Events struct {
	reader *ringbuf.Reader
	ready  chan struct{}
	done   chan struct{}

	mu      sync.Mutex
	drained sync.Cond // pending was taken
	flushed sync.Cond // flushes increased
	flushes int       // completed flushes of the ring buffer
	taking  bool      // Take waits for all events
	pending []byte    // records, each preceded by its length
	closed  bool
	err     error
}

func newEvents(reader *ringbuf.Reader) *Events {
	e := &Events{reader: reader, ready: make(chan struct{}, 1), done: make(chan struct{})}
	e.drained.L, e.flushed.L = &e.mu, &e.mu
	go e.run()
	return e
}

// Ready receives when Take should be called soon: many events are pending.
func (e *Events) Ready() <-chan struct{} { return e.ready }

// run moves records from the ring buffer to pending.
func (e *Events) run() {
	defer close(e.done)
	var record ringbuf.Record
	for {
		err := e.reader.ReadInto(&record)
		e.mu.Lock()
		if err == nil && !complete(record.RawSample) {
			err = fmt.Errorf("truncated event of %d bytes", len(record.RawSample))
		}
		switch {
		case err == nil:
			e.add(record.RawSample)
		case errors.Is(err, ringbuf.ErrFlushed):
			e.flushes++
			e.flushed.Broadcast()
		default:
			if !errors.Is(err, os.ErrClosed) && !e.closed {
				e.err = fmt.Errorf("bpf: read events: %w", err)
			}
			e.closed = true
			e.flushed.Broadcast()
			e.mu.Unlock()
			return
		}
		e.mu.Unlock()
	}
}

// complete reports whether a record has the size that its kind requires. Batch does
// not check it again.
func complete(record []byte) bool {
	if len(record) < 8 {
		return false
	}
	kind, argsLen := *(*uint32)(unsafe.Pointer(&record[0])), *(*uint32)(unsafe.Pointer(&record[4]))
	switch kind {
	case kindFree:
		return len(record) == int(unsafe.Sizeof(FreeRecord{}))
	case KindExit, KindExec:
		const args = int(unsafe.Offsetof(IdentityRecord{}.Args))
		return argsLen <= uint32(len(IdentityRecord{}.Args)) && len(record) == args+int(argsLen)
	}
	return false
}

// lengthSize is the size of the length before each record, which keeps records aligned.
const lengthSize = 8

func (e *Events) add(record []byte) {
	for len(e.pending) > maxPending && !e.taking && !e.closed {
		e.notify()
		e.drained.Wait()
	}
	padded := (len(record) + 7) &^ 7
	at := len(e.pending)
	e.pending = append(e.pending, make([]byte, lengthSize+padded)...)
	*(*uint64)(unsafe.Pointer(&e.pending[at])) = uint64(len(record))
	copy(e.pending[at+lengthSize:], record)
	if len(e.pending) > maxPending/2 {
		e.notify()
	}
}

func (e *Events) notify() {
	select {
	case e.ready <- struct{}{}:
	default:
	}
}

// Take flushes the ring buffer and returns all events in their order. It reuses the
// memory of old, the result of an earlier call.
func (e *Events) Take(old Batch) (Batch, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	want := e.flushes + 1
	e.taking = true
	e.drained.Broadcast()
	defer func() { e.taking = false }()
	if !e.closed {
		if err := e.reader.Flush(); err != nil {
			return Batch{}, fmt.Errorf("bpf: read events: %w", err)
		}
	}
	for e.flushes < want && !e.closed {
		e.flushed.Wait()
	}
	taken := Batch{all: e.pending, rest: e.pending}
	e.pending = old.all[:0]
	return taken, e.err
}

func (e *Events) close() error {
	e.mu.Lock()
	e.closed = true
	e.drained.Broadcast()
	e.mu.Unlock()
	err := e.reader.Close()
	<-e.done
	return err
}

// A Batch iterates over events.
type Batch struct {
	all, rest []byte
	free      *FreeRecord
	identity  *IdentityRecord
	buffer    IdentityRecord // target of identity
}

// Next advances to the next event. It returns false after the last one.
func (b *Batch) Next() bool {
	b.free, b.identity = nil, nil
	if len(b.rest) == 0 {
		return false
	}
	length := *(*uint64)(unsafe.Pointer(&b.rest[0]))
	record := b.rest[lengthSize : lengthSize+length]
	b.rest = b.rest[lengthSize+(length+7)&^7:]
	if *(*uint32)(unsafe.Pointer(&record[0])) == kindFree {
		b.free = (*FreeRecord)(unsafe.Pointer(&record[0]))
		return true
	}
	// The record ends after its arguments and is shorter than an IdentityRecord.
	copy((*[unsafe.Sizeof(b.buffer)]byte)(unsafe.Pointer(&b.buffer))[:], record)
	b.identity = &b.buffer
	return true
}

// FreeRecord returns the event if it reports a reaped process, else nil.
func (b *Batch) FreeRecord() *FreeRecord { return b.free }

// IdentityRecord returns the event if it reports the identity of a process, else nil.
// Only the first ArgsLen bytes of Args are valid.
func (b *Batch) IdentityRecord() *IdentityRecord { return b.identity }
