package main

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxQueued is how many lines wait for a log that is slow to take them.
	maxQueued = 256

	// writeTime is how long one line may take at the end of the program, when
	// somebody waits for that.
	writeTime = 80 * time.Millisecond
)

// A logSink hands lines to a writer that may block for ever, as a pipe does that
// nobody reads, or fail, as a full disk does. Who logs waits for neither: lines
// for which there is no room are dropped and counted.
type logSink struct {
	w       io.Writer
	lines   chan []byte
	dropped atomic.Int64
	began   atomic.Int64 // when the write under way began, in nanoseconds since the epoch; 0 if none is
	done    chan struct{}

	mu     sync.RWMutex // held for writing by the one that closes lines
	closed bool
}

func newLogSink(w io.Writer) *logSink {
	s := &logSink{w: w, lines: make(chan []byte, maxQueued), done: make(chan struct{})}
	go s.run()
	return s
}

// Write implements [io.Writer] for whole lines. It never fails and never waits.
func (s *logSink) Write(p []byte) (int, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return len(p), nil
	}
	select {
	case s.lines <- append([]byte(nil), p...):
	default:
		s.dropped.Add(1)
	}
	return len(p), nil
}

func (s *logSink) run() {
	defer close(s.done)
	for line := range s.lines {
		s.began.Store(time.Now().UnixNano())
		_, err := s.w.Write(line)
		// A log that cannot be written to has no place to say so.
		if n := s.dropped.Swap(0); n > 0 && err == nil {
			_, _ = fmt.Fprintf(s.w, "%s: %d log lines were dropped because the log did not take them\n", program, n)
		}
		s.began.Store(0)
	}
}

// close writes what is queued, and gives up at a line that is not taken.
func (s *logSink) close() {
	s.mu.Lock()
	s.closed = true
	close(s.lines)
	s.mu.Unlock()
	ticker := time.NewTicker(writeTime / 8)
	defer ticker.Stop()
	for {
		select {
		case <-s.done:
			return
		case now := <-ticker.C:
			if began := s.began.Load(); began != 0 && now.UnixNano()-began > int64(writeTime) {
				return
			}
		}
	}
}
