package platform

import (
	"errors"
	"syscall"

	"github.com/seed57308aee/process_exporter/platform/internal/host"
	"github.com/seed57308aee/process_exporter/procfs"
)

// updateSmaps sets the proportional and unique memory of a process. To compute it the
// kernel walks the page tables of the process, and blocks its mmap calls during that. Each
// process is read when it is first seen. Later reads are limited by a budget of CPU time
// per walk: the next walk continues where the budget was exhausted, and processes that
// take long are read less often. Between reads a process keeps its last values.
func (w *worker) updateSmaps(s, prev *procfsSample) {
	known := prev != nil && prev.Have&FieldSmaps != 0 && prev.ExecID == s.ExecID && (prev.State != 'Z' || zombieMainThread(&prev.Sample))
	s.state.smaps.stale = known && w.smapsStale(s, prev)
	switch {
	case s.KernelThread:
		s.Have |= FieldSmaps
		return
	case s.State == 'Z' && !zombieMainThread(&s.Sample):
		// It has released its memory: 0 is correct. Its file cannot be read, which counts
		// as a partial error.
		s.Have |= FieldSmaps
		s.Unreadable |= FieldSmaps
		return
	case w.src.smapsMaxRSS > 0 && s.ResidentBytes > w.src.smapsMaxRSS:
		s.Skipped |= FieldSmaps
		return
	case w.skipSmaps && !known:
		return
	case known && (w.skipSmaps || !w.smapsDue(s, prev)):
		s.PSSBytes, s.SwapPSSBytes, s.USSBytes, s.SmapsReadAt = prev.PSSBytes, prev.SwapPSSBytes, prev.USSBytes, prev.SmapsReadAt
		s.state.smaps.cost, s.state.smaps.walk = prev.state.smaps.cost, prev.state.smaps.walk
		s.Have |= FieldSmaps
		return
	}
	start := host.ThreadCPUTime()
	var err error
	if zombieMainThread(&s.Sample) {
		err = w.viaLiveThread(s.PID, func() error { return w.readSmaps(&s.Sample) })
	} else {
		err = w.readSmaps(&s.Sample)
	}
	if !errors.Is(err, syscall.ESRCH) || !w.processExiting(s.PID) {
		w.setResult(s, FieldSmaps, err)
	}
	s.SmapsReadAt = w.walkStart
	s.state.smaps = smapsState{cost: host.ThreadCPUTime() - start, walk: uint32(w.walkNumber)}
	if known {
		w.scratch.smapsTime += s.state.smaps.cost
	}
}

// smapsStale reports whether smaps is to be read again although its last read is recent.
func (w *worker) smapsStale(s, prev *procfsSample) bool {
	return prev.state.smaps.stale || memoryChanged(&s.Sample, &prev.Sample) || w.skipSmaps && w.refreshDue(s.PID)
}

// memoryChanged reports whether a process has faulted, or gained or lost memory. If not, its
// proportional memory changes only with that of processes that share pages with it.
func memoryChanged(s, prev *Sample) bool {
	return s.ResidentBytes != prev.ResidentBytes || s.MinorFaults != prev.MinorFaults || s.MajorFaults != prev.MajorFaults
}

// smapsDue reports whether this walk reads smaps again. A process whose memory has not
// changed is due only every refreshInterval walks.
func (w *worker) smapsDue(s, prev *procfsSample) bool {
	pid, last, budget := prev.PID, prev.state.smaps, w.src.smapsBudget
	if budget == 0 {
		return true
	}
	age := int64(uint32(w.walkNumber) - last.walk) // walks
	if pid < w.smapsFirst || !s.state.smaps.stale && !w.refreshDue(pid) && age < refreshInterval {
		return false
	}
	// A read that takes an eighth of the budget is due in every walk, a read that takes
	// the whole budget in every eighth.
	if age < int64(8*last.cost/budget) {
		return false
	}
	if w.scratch.smapsTime+last.cost > budget && w.scratch.smapsTime > 0 {
		w.src.smapsFirstPID.CompareAndSwap(0, int64(pid))
		return false
	}
	return true
}

// takeSmapsFirst returns the PID from which the walk of snap reads smaps again.
func (s *procfsSource) takeSmapsFirst(snap *Snapshot) int {
	if snap.SkipSmaps {
		return 0
	}
	return int(s.smapsFirstPID.Swap(0))
}

// readSmaps reads smaps_rollup, or smaps on kernels before 4.14, which lack it.
func (w *worker) readSmaps(s *Sample) error {
	text, err := w.reader.ReadAll(s.PID, "smaps_rollup")
	if errors.Is(err, syscall.ENOENT) {
		text, err = w.reader.ReadAll(s.PID, "smaps")
	}
	if err != nil {
		return err
	}
	m := &w.scratch.smaps
	if err := procfs.ParseSmaps(text, m); err != nil {
		return err
	}
	s.PSSBytes, s.SwapPSSBytes, s.USSBytes = m.PSSBytes, m.SwapPSSBytes, m.USSBytes
	return nil
}

// processExiting reports whether a process is exiting and has released its memory since
// it was listed. That is not an error of the read. A zombie main thread alone does not count.
func (w *worker) processExiting(pid int) bool {
	text, err := w.reader.Read(pid, "stat")
	if err != nil {
		return false
	}
	var st procfs.Stat
	return procfs.ParseStat(text, &st) == nil && exiting(&st) && st.Threads <= 1
}
