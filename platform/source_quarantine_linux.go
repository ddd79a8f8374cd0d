package platform

import (
	"sync"
	"sync/atomic"

	"github.com/seed57308aee/process_exporter/procfs"
)

const (
	// maxBlockedReads is the maximum number of reads that block at the same time. Each
	// occupies an operating system thread until the kernel returns.
	maxBlockedReads = 12

	// checkFirstThreshold is a number of blocked reads. With so many or more, the source
	// checks each process before it reads a file that may block.
	checkFirstThreshold = 4

	// reservedForRoot is the number of reads reserved for processes of root, which other
	// users cannot make unresponsive. Without it, one user with many unresponsive
	// processes could stop the whole walk.
	reservedForRoot = 2
)

// A quarantine is the set of unresponsive processes, with their owners.
//
// A user who can make one process unresponsive can make hundreds. Once checkFirstThreshold
// reads block, the source checks every process by its status and statm, which never block,
// before it reads a file that may block.
type quarantine struct {
	count atomic.Int32 // len(processes), readable without mu

	mu        sync.Mutex // guards processes
	processes map[*worker]unresponsiveProcess
}

// An unresponsiveProcess is a process that an abandoned worker reads.
type unresponsiveProcess struct {
	pid   int
	inode uint64 // of its directory, which the reader holds open; 0 if unknown
	owner uint32 // effective user ID
}

func (q *quarantine) size() int { return int(q.count.Load()) }

// add adds the process that w reads. The caller holds mu.
func (q *quarantine) add(w *worker, p unresponsiveProcess) {
	q.processes[w] = p
	q.count.Store(int32(len(q.processes)))
}

// release removes the process that w read.
func (q *quarantine) release(w *worker) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.processes, w)
	q.count.Store(int32(len(q.processes)))
}

// contains reports whether a process is unresponsive. The inode distinguishes it from an
// earlier process with the same PID, unless it is 0.
func (q *quarantine) contains(pid int, inode uint64) bool {
	if q.size() == 0 {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, p := range q.processes {
		if p.pid == pid && !inodesDiffer(p.inode, inode) {
			return true
		}
	}
	return false
}

// countOf returns the number of unresponsive processes of a user.
func (q *quarantine) countOf(owner uint32) (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, p := range q.processes {
		if p.owner == owner {
			n++
		}
	}
	return n
}

// ownerOf returns the effective user ID of a process, or root if it is unknown.
func (s *procfsSource) ownerOf(pid int) uint32 {
	if !s.mount.IsProcfs() {
		return 0
	}
	var st procfs.Status
	text, err := s.reader.Read(pid, "status")
	if err != nil || procfs.ParseStatus(text, &st) != nil {
		return 0
	}
	return st.UIDs[1]
}

// skips reports whether this walk must not read a process, because a read of it blocks or
// may block. The inode is that of its directory, 0 if unknown.
func (w *worker) skips(pid int, inode uint64) bool {
	q := &w.src.quarantine
	return q.contains(pid, inode) || q.size() >= checkFirstThreshold && w.mayBlock(pid)
}

// mayBlock reports whether a read of a process may block, by files that never block. A
// thread that waits for a file system with the mmap lock held is in state D. A process
// that waits in execve(2) has no text in its memory yet. If a user has
// checkFirstThreshold unresponsive processes, every process of that user counts as one that
// may block. Once only the reads reservedForRoot are left, this applies to all users but root.
func (w *worker) mayBlock(pid int) bool {
	text, err := w.reader.Read(pid, "status")
	if err != nil {
		return false // exited, or another read returns the error
	}
	st := &w.scratch.checkStatus
	if procfs.ParseStatus(text, st) != nil || st.State == 'Z' || st.Have&procfs.StatusVM == 0 {
		return false // no memory to lock
	}
	if st.State == 'D' {
		return true
	}
	q := &w.src.quarantine
	if owner := st.UIDs[1]; owner != 0 && (q.countOf(owner) >= checkFirstThreshold || q.size() >= maxBlockedReads-reservedForRoot) {
		return true
	}
	if text, err = w.reader.Read(pid, "statm"); err != nil {
		return false
	}
	var sizes procfs.Statm
	return procfs.ParseStatm(text, &sizes) == nil && sizes.Size > 0 && sizes.Text == 0
}
