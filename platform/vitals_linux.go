package platform

import (
	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/procfs"
)

// vitals is what a process shows that does not answer: of its files status, statm
// and the size of fd never wait, nor does prlimit(2).
type vitals struct {
	status procfs.Status
	statm  procfs.Statm
	limit  unix.Rlimit
}

// read adds to held, the Sample of a process of which nothing was read, its memory,
// its threads, its state and its open files. What counters would say stays unknown:
// nothing here tells of whose they are, if the PID has gone to another. A file system
// that is not the kernel's may let any file wait.
func (v *vitals) read(s *source, r *procfs.Reader, held *Sample) {
	if !s.vital || held.Kernel {
		return
	}
	text, err := r.Read(held.PID, "status")
	const lines = procfs.StatusState | procfs.StatusThreads
	if err != nil || procfs.ParseStatus(text, &v.status) != nil || v.status.Have&lines != lines {
		return
	}
	text, err = r.Read(held.PID, "statm")
	if err != nil || procfs.ParseStatm(text, &v.statm) != nil {
		return
	}
	held.State, held.Threads, held.SwapBytes = v.status.State, v.status.Threads, v.status.SwapBytes
	held.VirtualBytes, held.ResidentBytes = v.statm.Size*s.page, v.statm.Resident*s.page
	held.Have |= FieldMemory
	if held.Want&FieldFDs != 0 && s.mount.SizedFDs() { // else the directory would be listed
		if fds, err := r.CountFDs(held.PID); err == nil {
			held.FDs = fds
			held.Have |= FieldFDs
		}
	}
	if held.Want&FieldFDLimit != 0 && s.mount.OwnPIDs() && unix.Prlimit(held.PID, unix.RLIMIT_NOFILE, nil, &v.limit) == nil {
		held.FDLimit = v.limit.Cur
		held.Have |= FieldFDLimit
	}
	held.Lost &^= held.Have
}

// hold is [Snapshot.hold] of a process that does not answer, which is asked for its
// vitals.
func (s *source) hold(snap *Snapshot, i int) {
	snap.hold(i)
	if p := &snap.Samples[i]; p.PID != 0 {
		s.vitals.read(s, s.lister, p)
	}
}
