package platform

import (
	"github.com/seed57308aee/process_exporter/procfs"
)

// Most threads of a machine sleep from one walk to the next, and a thread that
// has not run has used nothing: no CPU time, no faults, no switches, no I/O. Its
// schedstat tells, in a fifth of the time that its other files take: it counts
// nanoseconds of running and waiting and every turn on a CPU. A thread that
// slept through the last walk is asked for it first.
//
// What others can do to a sleeping process is take memory from it, which its
// statm tells, change its limits, and open files in a descriptor table that it
// shares. The last two come with the full read that everyone gets every
// refresh walks.

// refresh is after how many walks the values of a sleeper are read anyway.
const refresh = 16

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

// unchanged takes the pulse of a process that slept, and if it still sleeps
// makes its Sample the one of the walk before. The pulse is left in now for a
// full read, which it must come before: what is read later is at least as new.
func (w *worker) unchanged(prev *Sample, now *pulse) bool {
	text, err := w.reader.Read(prev.PID, "schedstat")
	if err != nil || procfs.ParseSchedstat(text, &w.read.sched) != nil {
		return false
	}
	now.beat = beatOf(&w.read.sched)
	if text, err = w.reader.Read(prev.PID, "statm"); err != nil || procfs.ParseStatm(text, &w.read.statm) != nil {
		return false
	}
	now.pages = w.read.statm.Resident
	if now.beat == 0 || now.beat != prev.pulse.beat || now.pages != prev.pulse.pages || w.due(prev.PID) || !w.tasksUnchanged(prev) {
		return false
	}
	w.read.sample = *prev
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
	text, err := w.reader.ReadTask(pid, tid, "schedstat")
	if err != nil || procfs.ParseSchedstat(text, &w.read.sched) != nil {
		return 0
	}
	return beatOf(&w.read.sched)
}

// settle says whether the process slept through the walk, by what the full read
// found. It only decides whether to take the pulse next time.
func (w *worker) settle(s, prev *Sample) {
	s.pulse.still = w.src.beats && prev != nil && s.State != 'R' && s.State == prev.State && s.Lost == 0 && prev.Lost == 0 &&
		s.Have&prev.Have&FieldStatus != 0 && s.Want == prev.Want && s.Exec == prev.Exec && len(s.Tasks) == len(prev.Tasks) &&
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

// freeWChans is how many sleepers that have run are asked in every walk where
// they sleep now.
const freeWChans = 128

// asksWChan reports whether to ask a thread that has run since where it sleeps
// now. One in an uninterruptible sleep is asked every time. Beyond the first
// freeWChans the others take turns, for the answer costs a fifth of all reads
// and most threads come back to the same place.
func (w *worker) asksWChan(id int, now, before byte, known bool) bool {
	if !known || now != before || now == 'D' || w.read.asked < freeWChans || (uint64(id)+w.turn)%8 == 0 {
		w.read.asked++
		return true
	}
	return false
}
