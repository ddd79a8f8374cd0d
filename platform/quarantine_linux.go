package platform

import (
	"sync"
	"sync/atomic"

	"github.com/seed57308aee/process_exporter/procfs"
)

const (
	// maxStuck is how many reads may hang at once. Each costs a thread of the
	// operating system until the kernel lets go of it.
	maxStuck = 12

	// waryAt is how many make us look twice before another file is opened that
	// may hang.
	waryAt = 4

	// reserved readers are for processes of root alone, which nobody else can
	// make hang. Without them a user with many would blank the whole machine.
	reserved = 2
)

// A quarantine holds the processes whose files do not answer, with their
// owners.
//
// Whoever makes one process hang can make hundreds. So once a few do, all others
// are looked at before a file of theirs is read that may hang: status and statm
// never do.
type quarantine struct {
	count atomic.Int32 // len(stuck), for a look without the mutex

	mu    sync.Mutex // guards stuck
	stuck map[*worker]captive
}

// A captive is a process that a reader hangs at.
type captive struct {
	pid   int
	inode uint64 // of its directory, which the reader holds open; 0 if unknown
	owner uint32
}

func (q *quarantine) size() int { return int(q.count.Load()) }

// add takes in the process that w hangs at. Its caller holds mu.
func (q *quarantine) add(w *worker, c captive) {
	q.stuck[w] = c
	q.count.Store(int32(len(q.stuck)))
}

// release forgets that w hangs.
func (q *quarantine) release(w *worker) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.stuck, w)
	q.count.Store(int32(len(q.stuck)))
}

// has reports whether a process hangs. An inode tells it from one that has had its
// PID before; 0 does not.
func (q *quarantine) has(pid int, inode uint64) bool {
	if q.size() == 0 {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, c := range q.stuck {
		if c.pid == pid && !differs(c.inode, inode) {
			return true
		}
	}
	return false
}

// hangingOf returns how many processes of a user hang.
func (q *quarantine) hangingOf(owner uint32) (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, c := range q.stuck {
		if c.owner == owner {
			n++
		}
	}
	return n
}

// ownerOf returns the effective user of a process, root if that cannot be told.
func (s *source) ownerOf(pid int) uint32 {
	if !s.mount.IsProcfs() {
		return 0
	}
	var st procfs.Status
	text, err := s.lister.Read(pid, "status")
	if err != nil || procfs.ParseStatus(text, &st) != nil {
		return 0
	}
	return st.UIDs[1]
}

// avoids reports whether to leave a process alone in this walk: it hangs, or
// looks as if it would. The inode is that of its directory, 0 if unknown.
func (w *worker) avoids(pid int, inode uint64) bool {
	q := &w.src.quarantine
	return q.has(pid, inode) || q.size() >= waryAt && w.looksStuck(pid)
}

// looksStuck reports whether reading a process may hang, by what never hangs. A
// thread that waits for a file system with the memory locked is in a sleep that
// no signal ends. One that waits in execve(2) has no program in its memory yet.
// Who has made several hang may find other ways, but only to hide what is theirs.
func (w *worker) looksStuck(pid int) bool {
	text, err := w.reader.Read(pid, "status")
	if err != nil {
		return false // gone, or another read will say
	}
	st := &w.read.wary
	if procfs.ParseStatus(text, st) != nil || st.State == 'Z' || st.Have&procfs.StatusVM == 0 {
		return false // no memory to lock
	}
	if st.State == 'D' {
		return true
	}
	q := &w.src.quarantine
	if owner := st.UIDs[1]; owner != 0 && (q.hangingOf(owner) >= waryAt || q.size() >= maxStuck-reserved) {
		return true
	}
	if text, err = w.reader.Read(pid, "statm"); err != nil {
		return false
	}
	var sizes procfs.Statm
	return procfs.ParseStatm(text, &sizes) == nil && sizes.Size > 0 && sizes.Text == 0
}
