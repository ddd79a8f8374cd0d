package platform

import (
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/procfs"
)

// Most threads of a machine sleep from one walk to the next, and a thread that
// has not run has used nothing: no CPU time, no faults, no switches, no I/O.
// Whether any thread of a process has run is its pulse, which is taken before
// anything else is read.
//
// The pulse is its CPU clock, the nanoseconds that all its threads have run,
// dead ones included. clock_gettime(2) tells them to anyone, at a fiftieth of
// what the files cost. To sleep, to be born and to die all take time on a CPU,
// so that a process whose clock stands still has the threads that it had, where
// they were. The clock of one that runs this very moment may be late by a tick
// of the scheduler; what it does meanwhile belongs to the next walk.
//
// A process that has run between all of the last walks is not asked: its main
// thread has switched every time, by what was read in full. Once that has slept,
// the clock is asked again.
//
// In a PID namespace that is not ours the clock cannot be asked for. There the
// schedstat of each thread must do, the time it ran and waited and how often: a
// process and a thread that slept through the last walk are asked for it first,
// as are, anywhere, the sleeping threads of a process that has run.
//
// What others can do to a sleeping process is take memory from it, which its
// statm tells, change its limits, open files in a descriptor table that it
// shares, and freeze it. All but the first come with the full read that everyone
// gets every refresh walks. That read would also find out a process that has the
// PID of one that died and by chance, to the nanosecond, its clock.

// refresh is after how many walks the values of a sleeper are read anyway.
const refresh = 16

// restless is after how many walks at which a process had run each time it is
// expected to have run at the next.
const restless = 4

// cpuClock returns one more than the nanoseconds that the threads of a process
// have run, dead ones too, or 0 if the kernel does not tell.
func cpuClock(pid int) uint64 {
	const scheduler = 2 // CPUCLOCK_SCHED, beside the complement of a PID (linux/posix-timers.h)
	var t unix.Timespec
	_, _, errno := unix.RawSyscall(unix.SYS_CLOCK_GETTIME, uintptr(^pid<<3|scheduler), uintptr(unsafe.Pointer(&t)), 0)
	if errno != 0 {
		return 0
	}
	return uint64(t.Nano()) + 1
}

// clocksAreFine reports whether CPU clocks tell nanoseconds. Where the machine
// has no better clock than the timer interrupt, they stand still for
// milliseconds of running.
func clocksAreFine() bool {
	pid := os.Getpid()
	first := cpuClock(pid)
	for range 1000 { // which takes half a millisecond
		if now := cpuClock(pid); now != first {
			return first != 0 && now-first < uint64(time.Millisecond)
		}
	}
	return false
}

// beatOf folds schedstat into one number. A kernel without it shows zeros.
func beatOf(st *procfs.Schedstat) uint64 {
	if st.Slices == 0 {
		return 0
	}
	const odd = 0x9e3779b97f4a7c15
	n := st.RunNanoseconds
	n = (n ^ n>>29) * odd
	n = (n ^ n>>32 ^ st.WaitNanoseconds) * odd
	n = (n ^ n>>29 ^ st.Slices) * odd
	return n | 1
}

// takePulse returns the pulse of a process. It must come before a full read:
// what is read later is at least as new.
func (w *worker) takePulse(pid int, prev *Sample) (now pulse) {
	switch {
	case prev != nil && prev.pulse.runs >= restless:
	case w.src.clocks:
		now.beat = cpuClock(pid)
	case prev != nil && prev.pulse.still:
		now.beat = w.schedBeat(w.reader.Read(pid, "schedstat"))
	}
	return now
}

// unchanged reports whether nothing has happened to a process since the last
// walk, and makes its Sample the one of that walk. It adds to now, its pulse,
// how much memory it has, if it comes to look.
func (w *worker) unchanged(prev *Sample, now *pulse) bool {
	if now.beat == 0 || now.beat != prev.pulse.beat || prev.Want&^(prev.Have|prev.Lost|prev.Skipped) != 0 {
		return false
	}
	if prev.Want != 0 && !prev.Kernel && prev.State != 'Z' { // it has memory that somebody asks for
		text, err := w.reader.Read(prev.PID, "statm")
		if err != nil || procfs.ParseStatm(text, &w.read.statm) != nil {
			return false
		}
		now.pages = uint32(w.read.statm.Resident)
		if now.pages != prev.pulse.pages {
			return false
		}
	}
	if w.due(prev.PID) || !w.src.clocks && !w.tasksUnchanged(prev) {
		return false
	}
	w.read.sample = *prev
	w.read.sample.pulse.runs = 0
	return true
}

// due reports whether it is the turn of a process or thread to be read even if
// nothing seems to have changed.
func (w *worker) due(id int) bool { return (uint64(id)+w.turn)%refresh == 0 }

// tasksUnchanged reports whether a process has the threads that it had, and all
// of them still sleep.
func (w *worker) tasksUnchanged(prev *Sample) bool {
	if len(prev.Tasks) == 0 {
		return true
	}
	var err error
	if w.read.tids, err = w.reader.AppendTIDs(w.read.tids[:0], prev.PID); err != nil || len(w.read.tids) != len(prev.Tasks) {
		return false
	}
	for i := range prev.Tasks {
		old := &prev.Tasks[i]
		if old.TID != w.read.tids[i] || !old.pulse.still || old.pulse.beat == 0 || w.taskBeat(prev.PID, old.TID) != old.pulse.beat {
			return false
		}
	}
	return true
}

// taskBeat returns the beat of one thread, 0 if unknown.
func (w *worker) taskBeat(pid, tid int) uint64 {
	return w.schedBeat(w.reader.ReadTask(pid, tid, "schedstat"))
}

func (w *worker) schedBeat(text []byte, err error) uint64 {
	if err != nil || procfs.ParseSchedstat(text, &w.read.sched) != nil {
		return 0
	}
	return beatOf(&w.read.sched)
}

// settle says whether the process slept through the walk, and for how many its
// main thread has run, by what the full read found. It only decides whether to
// take the pulse next time.
func (w *worker) settle(s, prev *Sample) {
	if prev != nil && s.Have&prev.Have&FieldStatus != 0 && (s.VoluntarySwitches != prev.VoluntarySwitches || s.NonvoluntarySwitches != prev.NonvoluntarySwitches) {
		s.pulse.runs = min(prev.pulse.runs+1, restless)
	}
	s.pulse.still = w.src.beats && prev != nil && s.State != 'R' && s.State == prev.State && s.Lost == 0 && prev.Lost == 0 &&
		s.Have&prev.Have&FieldStatus != 0 && s.Want == prev.Want && s.ExecID == prev.ExecID && len(s.Tasks) == len(prev.Tasks) &&
		s.VoluntarySwitches == prev.VoluntarySwitches && s.NonvoluntarySwitches == prev.NonvoluntarySwitches
	for i := range s.Tasks {
		s.pulse.still = s.pulse.still && s.Tasks[i].pulse.still
	}
}

// settleTask is the same for a thread.
func (w *worker) settleTask(t, old *Task) {
	t.pulse.still = w.src.beats && t.TID == old.TID && t.State != 'R' && t.State == old.State && t.Have == old.Have &&
		t.VoluntarySwitches == old.VoluntarySwitches && t.NonvoluntarySwitches == old.NonvoluntarySwitches
}

// Of the sleepers that have run, a walk asks the first freeWChans where they sleep
// now, and of the others one in everyWChan.
const (
	freeWChans = 32
	everyWChan = 64
)

// asksWChan reports whether to ask a thread that has run since where it sleeps
// now. One in an uninterruptible sleep is asked every time. Beyond the first
// freeWChans the others take turns, for the answer costs a fifth of all reads
// and most threads come back to the same place.
func (w *worker) asksWChan(id int, now, before byte, known bool) bool {
	if !known || now != before || now == 'D' || w.read.asked < freeWChans || (uint64(id)+w.turn)%everyWChan == 0 {
		w.read.asked++
		return true
	}
	return false
}
