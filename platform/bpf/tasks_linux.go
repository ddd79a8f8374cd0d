//go:build amd64 || arm64

package bpf

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The records, as the kernel lays them out.
type (
	Process = tasksProcessRecord // a process, with what its main thread and the dead ones have used
	Thread  = tasksThreadRecord  // a thread of a process of at least two
	Words   = tasksWordsRecord   // what a process is called
	Freed   = tasksFreeRecord    // a process that has been reaped
	Usage   = tasksUsage         // what a process or thread has used
)

// The kinds of records, and the flags that go with a usage (records.h).
const (
	kindProcess = iota + 1
	kindThread
	KindExit
	KindExec
	kindFree
)

// The flags of a record with a usage: what the kernel counts and, of a Freed,
// that there was no room for what the process was called.
const (
	HasIO = 1 << iota
	HasRunDelay
	HasBlockDelay
	Untold
)

// A Scanner goes through the threads of the machine, ascending by the number
// that our PID namespace gives them. Its records stay where the kernel wrote
// them until the next [Programs.Tasks], so that a look copies nothing.
type Scanner struct {
	file    io.ReadCloser
	fd      int
	pieces  [][]byte // the memory of looks; what was read in this one is in the first
	used    int      // of pieces, in this look
	buf     []byte   // what was read into the last of these
	at      int      // in buf, where the next record begins
	process *Process
	thread  *Thread
	err     error
}

// Records are read into pieces of memory, which stay where they are however many
// there are. A read has at least half of a piece for itself, which is what the
// kernel hands out at once.
const pieceSize = 64 << 10

func (s *Scanner) start(file io.ReadCloser) {
	if len(s.pieces) > 2*s.used { // there were more threads once
		s.pieces = slices.Clone(s.pieces[:s.used])
	}
	s.file, s.fd, s.used, s.buf, s.at, s.err = file, -1, 0, nil, 0, nil
	if f, ok := file.(interface{ Fd() uintptr }); ok {
		s.fd = int(f.Fd())
	}
}

// read reads without a word to Go's scheduler, since nothing of it ever waits:
// the kernel works until its buffer of 32 KiB is full. A read that is announced
// costs a handover of the processor to a thread with nothing to do.
func (s *Scanner) read(p []byte) (int, error) {
	if s.fd < 0 {
		return s.file.Read(p)
	}
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(s.fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN && n == 0: // more tasks than it looks at in one go were not ours
		case errno != 0:
			return 0, errno
		case n == 0:
			return 0, io.EOF
		default:
			return int(n), nil
		}
	}
}

// Scan goes to the next record, which is valid until the next look. At the end,
// or after an error, it ends the look and returns false.
func (s *Scanner) Scan() bool {
	s.process, s.thread = nil, nil
	for s.err == nil {
		kind, size := s.kind()
		if size > 0 && len(s.buf)-s.at >= size {
			record := unsafe.Pointer(&s.buf[s.at])
			if kind == kindProcess {
				s.process = (*Process)(record)
			} else {
				s.thread = (*Thread)(record)
			}
			s.at += size
			return true
		}
		s.fill()
	}
	s.Stop()
	return false
}

// kind returns the kind of the next record and its size in bytes, both 0 while
// nothing of it is here.
func (s *Scanner) kind() (kind uint32, size int) {
	if len(s.buf)-s.at < 4 {
		return 0, 0
	}
	switch kind = *(*uint32)(unsafe.Pointer(&s.buf[s.at])); kind {
	case kindProcess:
		return kind, int(unsafe.Sizeof(Process{}))
	case kindThread:
		return kind, int(unsafe.Sizeof(Thread{}))
	}
	s.err = fmt.Errorf("bpf: a record of unknown kind %d", kind)
	return kind, 0
}

// fill reads on, if need be into another piece, which then begins with the part
// of a record that has been read.
func (s *Scanner) fill() {
	if s.err != nil {
		return
	}
	if cap(s.buf)-len(s.buf) < pieceSize/2 {
		if s.used == len(s.pieces) {
			s.pieces = append(s.pieces, make([]byte, pieceSize))
		}
		s.buf, s.at = append(s.pieces[s.used][:0], s.buf[s.at:]...), 0
		s.used++
	}
	n, err := s.read(s.buf[len(s.buf):cap(s.buf)])
	s.buf = s.buf[:len(s.buf)+n]
	switch {
	case err == nil, n > 0 && errors.Is(err, io.EOF): // which comes again
	case !errors.Is(err, io.EOF):
		s.err = fmt.Errorf("bpf: read tasks: %w", err)
	case s.at == len(s.buf):
		s.err = io.EOF
	default:
		s.err = fmt.Errorf("bpf: read tasks: %w", io.ErrUnexpectedEOF)
	}
}

// Process returns the process that the last Scan found, or nil.
func (s *Scanner) Process() *Process { return s.process }

// Thread returns the thread that the last Scan found, or nil.
func (s *Scanner) Thread() *Thread { return s.thread }

// Stop ends a look before its end.
func (s *Scanner) Stop() {
	if s.file != nil {
		s.file.Close()
		s.file = nil
	}
}

// Err returns what kept Scan from reaching the end.
func (s *Scanner) Err() error {
	if errors.Is(s.err, io.EOF) {
		return nil
	}
	return s.err
}
