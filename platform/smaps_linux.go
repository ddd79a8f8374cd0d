package platform

import (
	"errors"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/platform/internal/host"
	"github.com/seed57308aee/process_exporter/procfs"
)

// smapsInTurn sees to the shares of memory. To add them up the kernel walks the
// page tables of the process and keeps it from mapping memory meanwhile, so a
// walk spends no more than a budget on it. Each process is read once when it is
// met, the others again in turns: one walk goes on where the budget of the walk
// before ran out, and a process that took long waits longer.
func (w *worker) smapsInTurn(s, prev *Sample) {
	known := prev != nil && prev.Have&FieldSmaps != 0 && prev.ExecID == s.ExecID && (prev.State != 'Z' || headless(prev))
	s.smapsStale = known && (prev.smapsStale || s.ResidentBytes != prev.ResidentBytes ||
		s.MinorFaults != prev.MinorFaults || s.MajorFaults != prev.MajorFaults)
	switch {
	case s.Kernel:
		s.Have |= FieldSmaps
		return
	case s.State == 'Z' && !headless(s):
		// Its memory is gone: none is the truth, and still the file could not
		// be read, which counts as a partial error.
		s.Have |= FieldSmaps
		s.Lost |= FieldSmaps
		return
	case w.src.smapsMaxRSS > 0 && s.ResidentBytes > w.src.smapsMaxRSS:
		s.Skipped |= FieldSmaps
		return
	case known && !w.smapsTurn(s, prev):
		s.PSSBytes, s.SwapPSSBytes, s.USSBytes = prev.PSSBytes, prev.SwapPSSBytes, prev.USSBytes
		s.SmapsTicks, s.smapsCost, s.smapsWalk = prev.SmapsTicks, prev.smapsCost, prev.smapsWalk
		s.Have |= FieldSmaps
		return
	}
	start := threadTime()
	var err error
	if headless(s) {
		err = w.throughVoice(s.PID, func() error { return w.readSmaps(s) })
	} else {
		err = w.readSmaps(s)
	}
	if !errors.Is(err, syscall.ESRCH) || !w.ends(s.PID) {
		w.judge(s, FieldSmaps, err)
	}
	s.smapsCost = threadTime() - start
	s.SmapsTicks, s.smapsWalk, s.smapsStale = w.now, uint32(w.turn), false
	if known {
		w.read.spent += s.smapsCost
	}
}

// smapsTurn reports whether a process whose shares are known is read again in
// this walk. One that has not faulted, nor gained or lost memory, has the shares
// that it had, but for what those do with whom it shares: it has less often
// a turn, as one that sleeps.
func (w *worker) smapsTurn(s, prev *Sample) bool {
	budget := w.src.smapsBudget
	if budget == 0 {
		return true
	}
	if prev.PID < w.smaps || !s.smapsStale && !w.due(prev.PID) && w.smapsAge(prev) < refresh {
		return false
	}
	// A read that takes an eighth of the budget comes at every walk, one of
	// the whole budget at every eighth.
	if w.smapsAge(prev) < int64(8*prev.smapsCost/budget) {
		return false
	}
	if w.read.spent+prev.smapsCost > budget && w.read.spent > 0 {
		w.src.smapsFrom.CompareAndSwap(0, int64(prev.PID))
		return false
	}
	return true
}

// smapsAge returns how many walks ago the shares were read.
func (w *worker) smapsAge(prev *Sample) int64 { return int64(uint32(w.turn) - prev.smapsWalk) }

// readSmaps reads the shares. Kernels before 4.14 have no smaps_rollup.
func (w *worker) readSmaps(s *Sample) error {
	text, err := w.reader.ReadAll(s.PID, "smaps_rollup")
	if errors.Is(err, syscall.ENOENT) {
		text, err = w.reader.ReadAll(s.PID, "smaps")
	}
	if err != nil {
		return err
	}
	m := &w.read.smaps
	if err := procfs.ParseSmaps(text, m); err != nil {
		return err
	}
	s.PSSBytes, s.SwapPSSBytes, s.USSBytes = m.PSSBytes, m.SwapPSSBytes, m.USSBytes
	return nil
}

// ends reports whether a process is on its way out, and so has given up its memory
// since it was met, which is no error. One whose main thread alone has ended is not.
func (w *worker) ends(pid int) bool {
	text, err := w.reader.Read(pid, "stat")
	if err != nil {
		return false
	}
	var st procfs.Stat
	return procfs.ParseStat(text, &st) == nil && exiting(&st) && st.Threads <= 1
}

// threadTime returns the CPU time of the calling thread.
func threadTime() time.Duration {
	return host.GetTime(unix.CLOCK_THREAD_CPUTIME_ID)
}
