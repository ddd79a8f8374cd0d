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

// The records of the programs, in the memory layout of records.h.
type (
	Process        = tasksProcessRecord  // a process with the usage of its main thread and its exited threads
	Thread         = tasksThreadRecord   // a thread of a process with at least two threads
	IdentityRecord = tasksIdentityRecord // the identity of a process at execve or exit
	ReapedRecord   = tasksReapedRecord   // a reaped process
	Usage          = tasksUsage          // the counters of a process or thread
)

// The kinds of records (records.h).
const (
	kindProcess = iota + 1
	kindThread
	KindExit
	KindExec
	kindReaped
)

// The flags of a record (records.h): the counters that the kernel has and, in a
// ReapedRecord, that the IdentityRecord of the process was dropped.
const (
	HasIO = 1 << iota
	HasRunDelay
	HasBlockDelay
	EventLost
)

// ResidentPages returns the resident memory in pages. Since Linux 6.2 it is exact: it includes
// the parts of the counters per CPU, which rss in /proc/PID/stat omits. On older kernels both
// omit up to 63 pages per thread.
func (p *Process) ResidentPages() uint64 {
	const file, anon, shmem = 0, 1, 3 // MM_FILEPAGES, MM_ANONPAGES and MM_SHMEMPAGES (linux/mm_types_task.h)
	return uint64(max(p.Rss[file], 0) + max(p.Rss[anon], 0) + max(p.Rss[shmem], 0))
}

// SwapPages returns the swapped memory in pages, without shared memory.
func (p *Process) SwapPages() uint64 {
	const swap = 2 // MM_SWAPENTS
	return uint64(max(p.Rss[swap], 0))
}

// A Scanner iterates over the threads of the machine, ascending by their TID in our PID
// namespace. It does not copy records: they are valid until the next call of
// [Programs.ScanTasks].
type Scanner struct {
	file    io.ReadCloser
	fd      int
	blocks  [][]byte // memory of all iterations; this one uses the first blocks
	used    int      // blocks used in this iteration
	buf     []byte   // bytes read into the last used block
	pos     int      // offset of the next record in buf
	process *Process
	thread  *Thread
	err     error
}

// blockSize is the size in bytes of a block of Scanner memory. Blocks never move, so
// that pointers to records stay valid. The Scanner starts a new block when less than half
// of one is free, because the kernel returns up to 32 KiB per read.
const blockSize = 64 << 10

// Start starts an iteration over the records in file, which the Scanner closes at the end.
func (s *Scanner) Start(file io.ReadCloser) {
	if len(s.blocks) > 2*s.used { // an earlier iteration had many more threads
		s.blocks = slices.Clone(s.blocks[:s.used])
	}
	s.file, s.fd, s.used, s.buf, s.pos, s.err = file, -1, 0, nil, 0, nil
	if f, ok := file.(interface{ Fd() uintptr }); ok {
		s.fd = int(f.Fd())
	}
}

// read reads with a raw system call, which does not notify the Go scheduler: the read never
// blocks. During other system calls the scheduler may hand the P to another thread.
func (s *Scanner) read(p []byte) (int, error) {
	if s.fd < 0 {
		return s.file.Read(p)
	}
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(s.fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN: // the read passed many tasks of other PID namespaces, and no other
		case errno != 0:
			return 0, errno
		case n == 0:
			return 0, io.EOF
		default:
			return int(n), nil
		}
	}
}

// Scan advances to the next record. At the end, or after an error, it closes the
// iteration and returns false.
func (s *Scanner) Scan() bool {
	s.process, s.thread = nil, nil
	for s.err == nil {
		kind, size := s.kind()
		if size > 0 && len(s.buf)-s.pos >= size {
			record := unsafe.Pointer(&s.buf[s.pos])
			if kind == kindProcess {
				s.process = (*Process)(record)
			} else {
				s.thread = (*Thread)(record)
			}
			s.pos += size
			return true
		}
		s.fill()
	}
	s.Stop()
	return false
}

// kind returns the kind of the next record and its size in bytes. Both are 0 if the kind
// has not been read yet.
func (s *Scanner) kind() (kind uint32, size int) {
	if len(s.buf)-s.pos < 4 {
		return 0, 0
	}
	switch kind = *(*uint32)(unsafe.Pointer(&s.buf[s.pos])); kind {
	case kindProcess:
		return kind, int(unsafe.Sizeof(Process{}))
	case kindThread:
		return kind, int(unsafe.Sizeof(Thread{}))
	}
	s.err = fmt.Errorf("bpf: record of unknown kind %d", kind)
	return kind, 0
}

// fill reads more bytes. If the block is more than half full it continues in another
// block, to which it copies the incomplete record.
func (s *Scanner) fill() {
	if s.err != nil {
		return
	}
	if cap(s.buf)-len(s.buf) < blockSize/2 {
		if s.used == len(s.blocks) {
			s.blocks = append(s.blocks, make([]byte, blockSize))
		}
		s.buf, s.pos = append(s.blocks[s.used][:0], s.buf[s.pos:]...), 0
		s.used++
	}
	n, err := s.read(s.buf[len(s.buf):cap(s.buf)])
	s.buf = s.buf[:len(s.buf)+n]
	switch {
	case err == nil, n > 0 && errors.Is(err, io.EOF): // the next read returns EOF again
	case !errors.Is(err, io.EOF):
		s.err = fmt.Errorf("bpf: read tasks: %w", err)
	case s.pos == len(s.buf):
		s.err = io.EOF
	default:
		s.err = fmt.Errorf("bpf: read tasks: %w", io.ErrUnexpectedEOF)
	}
}

// Process returns the current record if it is a process, else nil.
func (s *Scanner) Process() *Process { return s.process }

// Thread returns the current record if it is a thread, else nil.
func (s *Scanner) Thread() *Thread { return s.thread }

// Stop closes the iteration early.
func (s *Scanner) Stop() {
	if s.file != nil {
		s.file.Close()
		s.file = nil
	}
}

// Err returns the error that ended the iteration early, if any.
func (s *Scanner) Err() error {
	if errors.Is(s.err, io.EOF) {
		return nil
	}
	return s.err
}
