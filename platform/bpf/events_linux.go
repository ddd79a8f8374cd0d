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

// maxHeld is how many bytes of events are held for Take. When nobody takes
// them the ring buffer fills up next, and then the kernel drops and counts.
const maxHeld = 3 << 19

// Events collects what the programs tell of processes that end. The kernel wakes
// it up when its buffer is half full, and so seldom if ever.
type Events struct {
	reader *ringbuf.Reader
	ready  chan struct{}
	done   chan struct{}

	mu      sync.Mutex
	room    sync.Cond // held has been taken
	flushed sync.Cond // a flush has come through
	flushes int       // that have come through
	taking  bool      // somebody waits for all there is
	held    []byte    // records, each after its length
	closed  bool
	err     error
}

func newEvents(reader *ringbuf.Reader) *Events {
	e := &Events{reader: reader, ready: make(chan struct{}, 1), done: make(chan struct{})}
	e.room.L, e.flushed.L = &e.mu, &e.mu
	go e.run()
	return e
}

// Ready receives when so much is held that somebody should Take it.
func (e *Events) Ready() <-chan struct{} { return e.ready }

// run moves records from the ring to held.
func (e *Events) run() {
	defer close(e.done)
	var record ringbuf.Record
	for {
		err := e.reader.ReadInto(&record)
		e.mu.Lock()
		if err == nil && !whole(record.RawSample) {
			err = fmt.Errorf("an event that is not whole, of %d bytes", len(record.RawSample))
		}
		switch {
		case err == nil:
			e.hold(record.RawSample)
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

// whole reports whether a record has all that its kind has, as Batch takes for
// granted.
func whole(record []byte) bool {
	if len(record) < 8 {
		return false
	}
	kind, argsLen := *(*uint32)(unsafe.Pointer(&record[0])), *(*uint32)(unsafe.Pointer(&record[4]))
	switch kind {
	case kindFree:
		return len(record) == int(unsafe.Sizeof(Freed{}))
	case KindExit, KindExec:
		const args = int(unsafe.Offsetof(Words{}.Args))
		return argsLen <= uint32(len(Words{}.Args)) && len(record) == args+int(argsLen)
	}
	return false
}

// lengthSize keeps the records behind it aligned.
const lengthSize = 8

func (e *Events) hold(record []byte) {
	for len(e.held) > maxHeld && !e.taking && !e.closed {
		e.notify()
		e.room.Wait()
	}
	padded := (len(record) + 7) &^ 7
	at := len(e.held)
	e.held = append(e.held, make([]byte, lengthSize+padded)...)
	*(*uint64)(unsafe.Pointer(&e.held[at])) = uint64(len(record))
	copy(e.held[at+lengthSize:], record)
	if len(e.held) > maxHeld/2 {
		e.notify()
	}
}

func (e *Events) notify() {
	select {
	case e.ready <- struct{}{}:
	default:
	}
}

// Take returns all events up to now, in the order in which they happened. The
// memory of old, of an earlier call, is used again.
func (e *Events) Take(old Batch) (Batch, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	want := e.flushes + 1
	e.taking = true
	e.room.Broadcast()
	defer func() { e.taking = false }()
	if !e.closed {
		if err := e.reader.Flush(); err != nil {
			return Batch{}, fmt.Errorf("bpf: read events: %w", err)
		}
	}
	for e.flushes < want && !e.closed {
		e.flushed.Wait()
	}
	taken := Batch{all: e.held, rest: e.held}
	e.held = old.all[:0]
	return taken, e.err
}

func (e *Events) close() error {
	e.mu.Lock()
	e.closed = true
	e.room.Broadcast()
	e.mu.Unlock()
	err := e.reader.Close()
	<-e.done
	return err
}

// A Batch holds events.
type Batch struct {
	all, rest []byte
	freed     *Freed
	words     *Words
	last      Words // what words points to
}

// Next goes to the next event, and returns false after the last.
func (b *Batch) Next() bool {
	b.freed, b.words = nil, nil
	if len(b.rest) == 0 {
		return false
	}
	length := *(*uint64)(unsafe.Pointer(&b.rest[0]))
	record := b.rest[lengthSize : lengthSize+length]
	b.rest = b.rest[lengthSize+(length+7)&^7:]
	if *(*uint32)(unsafe.Pointer(&record[0])) == kindFree {
		b.freed = (*Freed)(unsafe.Pointer(&record[0]))
		return true
	}
	// The record stops where its arguments do, short of what Words has room for.
	copy((*[unsafe.Sizeof(b.last)]byte)(unsafe.Pointer(&b.last))[:], record)
	b.words = &b.last
	return true
}

// Freed returns the event if it is that of a process that was reaped, or nil.
func (b *Batch) Freed() *Freed { return b.freed }

// Words returns the event if it tells what a process is called, or nil. Only
// as many bytes of Args as ArgsLen says are there.
func (b *Batch) Words() *Words { return b.words }
