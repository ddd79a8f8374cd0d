package platform

import (
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/procfs"
)

// Most threads of a machine sleep between two walks. A thread that has not run has used
// no CPU time, no faults, no context switches and no I/O. The activity marker of a process
// shows whether any of its threads has run. It is read before all other values.
//
// The marker is the CPU clock of the process: the CPU time in nanoseconds of all its
// threads, including exited ones. clock_gettime(2) returns it to every user, at a fiftieth
// of the cost of the files. Sleeping, starting and exiting all take CPU time. If the
// clock has not changed, the process has the same threads in the same places. The clock
// of a thread that runs during the call may lag by one scheduler tick; its values then
// belong to the next walk.
//
// If the main thread switched context in each of the last four walks, the clock is not read:
// the process is expected to have run. The clock is read again once the main thread has slept.
//
// In another PID namespace the clock is not available. There the marker is a hash of the
// schedstat of each thread: the time that it ran and waited, and how often. It is read only
// for processes and threads that did not run between the last two walks. Everywhere it is also the
// marker of the sleeping threads of a process that has run.
//
// Other processes can change a sleeping process. statm shows if another process takes its
// memory. The full read every refreshInterval walks finds the rest: changed limits, files
// opened in a shared descriptor table, freezing, and a process with the same PID and, by
// chance, the same clock.

// refreshInterval is the number of walks after which an idle process is read in full.
const refreshInterval = 16

// alwaysActiveWalks is a number of walks. A process whose main thread has run before each of
// so many walks in a row is expected to run before the next walk too.
const alwaysActiveWalks = 4

// An activity shows whether a process has run between two walks.
type activity struct {
	// marker is the CPU clock of the process plus 1, or a hash of its schedstat. It is
	// read before all other values; 0 if unknown.
	marker uint64

	residentPages uint32 // resident memory, up to 16 TiB
	idle          bool   // it did not run between the last two walks; used only without CPU clock
	activeWalks   uint8  // walks in a row in which the main thread has run, at most alwaysActiveWalks
}

// A threadActivity shows whether a thread has run between two walks.
type threadActivity struct {
	marker  uint64 // hash of its schedstat, read before all other values; 0 if unknown
	wasIdle bool   // it did not run between the last two walks
}

// cpuClock returns the CPU time in nanoseconds of all threads of a process, including
// exited ones, plus 1. It returns 0 if the kernel does not provide it.
func cpuClock(pid int) uint64 {
	const cpuClockSched = 2 // CPUCLOCK_SCHED, combined with the complement of the PID (linux/posix-timers.h)
	var t unix.Timespec
	_, _, errno := unix.RawSyscall(unix.SYS_CLOCK_GETTIME, uintptr(^pid<<3|cpuClockSched), uintptr(unsafe.Pointer(&t)), 0)
	if errno != 0 {
		return 0
	}
	return uint64(t.Nano()) + 1
}

// hasPreciseCPUClock reports whether CPU clocks have a resolution of nanoseconds. On
// machines whose only clock is the timer interrupt, they do not change for milliseconds.
func hasPreciseCPUClock() bool {
	pid := os.Getpid()
	first := cpuClock(pid)
	for range 1000 { // half a millisecond
		if now := cpuClock(pid); now != first {
			return first != 0 && now-first < uint64(time.Millisecond)
		}
	}
	return false
}

// schedstatHash returns a hash of schedstat. A kernel without it shows zeros, for which the
// hash is 0.
func schedstatHash(st *procfs.Schedstat) uint64 {
	if st.Slices == 0 {
		return 0
	}
	const multiplier = 0x9e3779b97f4a7c15 // 2^64 / golden ratio
	n := st.RunNanoseconds
	n = (n ^ n>>29) * multiplier
	n = (n ^ n>>32 ^ st.WaitNanoseconds) * multiplier
	n = (n ^ n>>29 ^ st.Slices) * multiplier
	return n | 1
}

// readActivity returns the activity of a process with its current marker. It is called
// before all other reads, so that all values are at least as new as the marker.
func (w *worker) readActivity(pid int, prev *procfsSample) (now activity) {
	switch {
	case prev != nil && prev.state.activity.activeWalks >= alwaysActiveWalks:
	case w.src.cpuClocks:
		now.marker = cpuClock(pid)
	case prev != nil && prev.state.activity.idle:
		now.marker = w.schedstatMarker(w.reader.Read(pid, "schedstat"))
	}
	return now
}

// unchanged reports whether a process has not changed since the last walk. If so, it
// copies the Sample of that walk. It sets the resident pages of now if it reads them.
func (w *worker) unchanged(prev *procfsSample, now *activity) bool {
	last := &prev.state.activity
	if now.marker == 0 || now.marker != last.marker || prev.Want&^(prev.Have|prev.Unreadable|prev.Skipped) != 0 {
		return false
	}
	if prev.Want != 0 && !prev.KernelThread && prev.State != 'Z' { // its memory is needed
		text, err := w.reader.Read(prev.PID, "statm")
		if err != nil || procfs.ParseStatm(text, &w.scratch.statm) != nil {
			return false
		}
		now.residentPages = uint32(w.scratch.statm.Resident)
		if now.residentPages != last.residentPages {
			return false
		}
	}
	if w.refreshDue(prev.PID) || !w.src.cpuClocks && !w.threadsUnchanged(prev) {
		return false
	}
	w.scratch.sample = *prev
	w.scratch.sample.state.activity.activeWalks = 0
	w.scratch.sample.Idle = true
	return true
}

// slept reports whether a process that was read in full has certainly not run since the
// last walk.
func (w *worker) slept(s, prev *procfsSample) bool {
	now := &s.state.activity
	if !w.src.cpuClocks {
		return now.idle
	}
	return prev != nil && now.marker != 0 && now.marker == prev.state.activity.marker
}

// refreshDue reports whether this walk reads a process or thread in full even if it is
// idle.
func (w *worker) refreshDue(id int) bool { return (uint64(id)+w.walkNumber)%refreshInterval == 0 }

// threadsUnchanged reports whether a process has the same threads as in the last walk, and
// none of them has run since.
func (w *worker) threadsUnchanged(prev *procfsSample) bool {
	if len(prev.Tasks) == 0 {
		return true
	}
	var err error
	if w.scratch.tids, err = w.reader.AppendTIDs(w.scratch.tids[:0], prev.PID); err != nil || len(w.scratch.tids) != len(prev.state.threads) {
		return false
	}
	for i := range prev.Tasks {
		tid, old := prev.Tasks[i].TID, &prev.state.threads[i].activity
		if tid != w.scratch.tids[i] || !old.wasIdle || old.marker == 0 || w.threadMarker(prev.PID, tid) != old.marker {
			return false
		}
	}
	return true
}

// threadMarker returns the marker of one thread, 0 if unknown.
func (w *worker) threadMarker(pid, tid int) uint64 {
	return w.schedstatMarker(w.reader.ReadTask(pid, tid, "schedstat"))
}

func (w *worker) schedstatMarker(text []byte, err error) uint64 {
	if err != nil || procfs.ParseSchedstat(text, &w.scratch.sched) != nil {
		return 0
	}
	return schedstatHash(&w.scratch.sched)
}

// updateActivity sets idle and activeWalks after a full read. They only decide whether the
// next walk reads the marker.
func (w *worker) updateActivity(s, prev *procfsSample) {
	a := &s.state.activity
	known := prev != nil && s.Have&prev.Have&FieldStatus != 0
	switched := known && (s.VoluntarySwitches != prev.VoluntarySwitches || s.NonvoluntarySwitches != prev.NonvoluntarySwitches)
	if switched {
		a.activeWalks = min(prev.state.activity.activeWalks+1, alwaysActiveWalks)
	}
	a.idle = w.src.schedstatWorks && known && !switched && s.State != 'R' && s.State == prev.State &&
		s.Unreadable == 0 && prev.Unreadable == 0 &&
		s.Want == prev.Want && s.ExecID == prev.ExecID && len(s.Tasks) == len(prev.Tasks)
	for i := range s.state.threads {
		a.idle = a.idle && s.state.threads[i].activity.wasIdle
	}
}

// threadIdle reports whether a thread has not run since the last walk. old is the same thread
// in that walk, or zero.
func (w *worker) threadIdle(t, old *Task) bool {
	return w.src.schedstatWorks && t.TID == old.TID && t.State != 'R' && t.State == old.State && t.Have == old.Have &&
		t.VoluntarySwitches == old.VoluntarySwitches && t.NonvoluntarySwitches == old.NonvoluntarySwitches
}

// A walk reads the wchan of the first wchanReadsPerWalk sleeping threads that have run, and
// of the others every wchanInterval walks. takeWChanRead has the exceptions.
const (
	wchanReadsPerWalk = 32
	wchanInterval     = 64
)

// takeWChanRead reports whether to read the wchan of a thread that has run since it was read.
// If so, it counts the read. now is the state of the thread and before its state in the last
// walk, or 0 if wchan is unknown. A thread whose state has changed, and a thread in
// uninterruptible sleep, is always read. The reads of all others would cost a fifth of all
// reads, and most threads return to the same function.
func (w *worker) takeWChanRead(id int, now, before byte) bool {
	if now != before || now == 'D' || w.scratch.wchanReads < wchanReadsPerWalk || (uint64(id)+w.walkNumber)%wchanInterval == 0 {
		w.scratch.wchanReads++
		return true
	}
	return false
}
