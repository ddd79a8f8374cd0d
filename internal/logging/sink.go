package logging

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// QueueLength is the number of lines that a [Sink] queues while a write
	// blocks.
	QueueLength = 256

	// closeTimeout limits each write during [Sink.Close], which delays the end
	// of the program.
	closeTimeout = 80 * time.Millisecond
)

// A Sink writes lines to a writer that may block, such as a pipe without a
// reader, or fail, such as a file on a full disk. Callers of Write never wait.
// Lines that do not fit into the queue are dropped and counted.
type Sink struct {
	w          io.Writer
	program    string
	lines      chan []byte
	dropped    atomic.Int64
	writeStart atomic.Int64 // start of the current write in nanoseconds since the epoch, 0 for none
	done       chan struct{}

	mu     sync.RWMutex // guards closed, and the closing of lines
	closed bool
}

// NewSink returns a Sink that writes to w. It starts a goroutine that ends
// after Close. The line about dropped lines begins with program.
func NewSink(w io.Writer, program string) *Sink {
	s := &Sink{w: w, program: program, lines: make(chan []byte, QueueLength), done: make(chan struct{})}
	go s.run()
	return s
}

// Write queues p, which must consist of whole lines. It never blocks and never
// returns an error.
func (s *Sink) Write(p []byte) (int, error) {
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

func (s *Sink) run() {
	defer close(s.done)
	for line := range s.lines {
		s.writeStart.Store(time.Now().UnixNano())
		_, err := s.w.Write(line)
		// An error of the log has no other place where it could be reported.
		if n := s.dropped.Swap(0); n > 0 && err == nil {
			_, _ = fmt.Fprintf(s.w, "%s: dropped %d log lines because writing the log blocked\n", s.program, n)
		}
		s.writeStart.Store(0)
	}
}

// Close writes the queued lines. It returns early if one write takes longer
// than closeTimeout. Later lines are discarded.
func (s *Sink) Close() {
	s.mu.Lock()
	s.closed = true
	close(s.lines)
	s.mu.Unlock()
	ticker := time.NewTicker(closeTimeout / 8)
	defer ticker.Stop()
	for {
		select {
		case <-s.done:
			return
		case now := <-ticker.C:
			if start := s.writeStart.Load(); start != 0 && now.UnixNano()-start > int64(closeTimeout) {
				return
			}
		}
	}
}
