//go:build amd64 || arm64

package bpf

import (
	"fmt"
	"sync"
	"unsafe"
)

// maxPending is the size in bytes of the events that wait for Take, above which the ring
// buffer is no longer read. When the ring buffer is full, the programs drop and count events.
const maxPending = 3 << 19

// Events buffers the exit events of the programs.
type Events struct {
	flush func() error // of the ring buffer
	ready chan struct{}

	mu      sync.Mutex // guards what follows
	drained sync.Cond  // pending was taken
	taking  bool       // Take waits for all events
	pending []byte     // records, each preceded by its length
	closed  bool
}

func newEvents() *Events {
	e := &Events{ready: make(chan struct{}, 1)}
	e.drained.L = &e.mu
	return e
}

// Ready receives when Take should be called soon: many events are pending.
func (e *Events) Ready() <-chan struct{} { return e.ready }

// handle adds a record of the ring buffer.
func (e *Events) handle(record []byte) error {
	if !complete(record) {
		return fmt.Errorf("truncated event of %d bytes", len(record))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.add(record)
	return nil
}

// complete reports whether a record has the size that its kind requires. Batch does
// not check it again.
func complete(record []byte) bool {
	if len(record) < 8 {
		return false
	}
	kind, argsLen := *(*uint32)(unsafe.Pointer(&record[0])), *(*uint32)(unsafe.Pointer(&record[4]))
	switch kind {
	case kindReaped:
		return len(record) == int(unsafe.Sizeof(ReapedRecord{}))
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
	e.setTaking(true)
	defer e.setTaking(false)
	err := e.flush()
	e.mu.Lock()
	defer e.mu.Unlock()
	taken := Batch{all: e.pending, rest: e.pending}
	e.pending = old.all[:0]
	return taken, err
}

// setTaking sets whether add must not wait.
func (e *Events) setTaking(taking bool) {
	e.mu.Lock()
	e.taking = taking
	e.drained.Broadcast()
	e.mu.Unlock()
}

// close makes add not wait any more.
func (e *Events) close() {
	e.mu.Lock()
	e.closed = true
	e.drained.Broadcast()
	e.mu.Unlock()
}

// A Batch iterates over events.
type Batch struct {
	all, rest []byte
	free      *ReapedRecord
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
	if *(*uint32)(unsafe.Pointer(&record[0])) == kindReaped {
		b.free = (*ReapedRecord)(unsafe.Pointer(&record[0]))
		return true
	}
	// The record ends after its arguments and is shorter than an IdentityRecord.
	copy((*[unsafe.Sizeof(b.buffer)]byte)(unsafe.Pointer(&b.buffer))[:], record)
	b.identity = &b.buffer
	return true
}

// ReapedRecord returns the event if it reports a reaped process, else nil.
func (b *Batch) ReapedRecord() *ReapedRecord { return b.free }

// IdentityRecord returns the event if it reports the identity of a process, else nil.
// Only the first ArgsLen bytes of Args are valid.
func (b *Batch) IdentityRecord() *IdentityRecord { return b.identity }
