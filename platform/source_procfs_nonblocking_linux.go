package platform

import (
	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/procfs"
)

// nonBlockingStats reads the values of an unresponsive process that never block: the
// files status and statm, the size of fd, and prlimit(2).
type nonBlockingStats struct {
	status procfs.Status
	statm  procfs.Statm
	limit  unix.Rlimit
}

// read adds memory, threads, state and open files to s, the Sample of a process of which
// nothing was read. Counters stay unknown: these files do not contain the start time, and
// the PID may belong to another process. In a file system other than the kernel's, any
// read may block, so nothing is read.
func (n *nonBlockingStats) read(src *procfsSource, r *procfs.Reader, s *Sample) {
	if !src.statusNeverBlocks || s.KernelThread {
		return
	}
	text, err := r.Read(s.PID, "status")
	const lines = procfs.StatusState | procfs.StatusThreads
	if err != nil || procfs.ParseStatus(text, &n.status) != nil || n.status.Have&lines != lines {
		return
	}
	text, err = r.Read(s.PID, "statm")
	if err != nil || procfs.ParseStatm(text, &n.statm) != nil {
		return
	}
	s.State, s.NumThreads, s.SwapBytes = n.status.State, n.status.Threads, n.status.SwapBytes
	s.VirtualBytes, s.ResidentBytes = n.statm.Size*src.pageSize, n.statm.Resident*src.pageSize
	s.Have |= FieldMemory
	if s.Want&FieldFDs != 0 && src.mount.CountsFDsWithoutListing() { // otherwise the directory must be listed
		if fds, err := r.CountFDs(s.PID); err == nil {
			s.FDs = fds
			s.Have |= FieldFDs
		}
	}
	if s.Want&FieldFDLimit != 0 && src.mount.InOwnPIDNamespace() && unix.Prlimit(s.PID, unix.RLIMIT_NOFILE, nil, &n.limit) == nil {
		s.FDLimit = n.limit.Cur
		s.Have |= FieldFDLimit
	}
	s.Unreadable &^= s.Have
}

// keepUnresponsive keeps the Sample of an unresponsive process, with its non-blocking
// values.
func (s *procfsSource) keepUnresponsive(snap *Snapshot, i int) {
	s.states.keepUnread(i)
	if p := &snap.Samples[i]; p.PID != 0 {
		s.nonBlocking.read(s, s.reader, p)
	}
}
