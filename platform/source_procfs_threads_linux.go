package platform

import (
	"errors"
	"syscall"

	"github.com/seed57308aee/process_exporter/procfs"
)

// readTasks reads every thread of a process with at least two.
func (w *worker) readTasks(s, prev *procfsSample) error {
	if s.NumThreads < 2 {
		return nil
	}
	if err := w.reader.OpenTasks(s.PID); err != nil {
		return err
	}
	defer w.reader.CloseTasks()
	var last threadList
	if prev != nil {
		last = threadList{prev.Tasks, prev.state.threads}
	}
	// After execve another thread may be the main thread, with other counters.
	w.scratch.sameIO = prev != nil && prev.ExecID == s.ExecID && s.Have&prev.Have&FieldIO != 0 &&
		s.ReadBytes == prev.ReadBytes && s.WriteBytes == prev.WriteBytes
	w.scratch.noIO = s.Have&FieldIO != 0 && s.ReadBytes == 0 && s.WriteBytes == 0
	if len(last.tasks) == s.NumThreads {
		// If all threads of the last walk still exist, there are no others: stat has
		// counted them.
		w.scratch.tids = w.scratch.tids[:0]
		for i := range last.tasks {
			w.scratch.tids = append(w.scratch.tids, last.tasks[i].TID)
		}
		if complete, err := w.readThreads(s, last); complete || err != nil {
			return err
		}
	}
	var err error
	if w.scratch.tids, err = w.reader.AppendTIDs(w.scratch.tids[:0], s.PID); err != nil {
		return err
	}
	if len(w.scratch.tids) < 2 { // the other threads have exited
		return nil
	}
	_, err = w.readThreads(s, last)
	return err
}

// A threadList holds the threads of a process in the last walk, ascending by TID.
type threadList struct {
	tasks  []Task
	states []threadState // parallel to tasks, or empty
}

// next removes the threads up to tid from the list and returns the thread with that TID, or
// zero values.
func (l *threadList) next(tid int) (task Task, state threadState) {
	for len(l.tasks) > 0 && l.tasks[0].TID < tid {
		l.tasks = l.tasks[1:]
		if len(l.states) > 0 {
			l.states = l.states[1:]
		}
	}
	if len(l.tasks) > 0 && l.tasks[0].TID == tid {
		if task = l.tasks[0]; len(l.states) > 0 {
			state = l.states[0]
		}
	}
	return task, state
}

// readThreads reads the threads w.scratch.tids. complete is false if one of them has exited.
func (w *worker) readThreads(s *procfsSample, last threadList) (complete bool, err error) {
	complete = true
	w.scratch.tasks, w.scratch.threads = w.scratch.tasks[:0], w.scratch.threads[:0]
	for _, tid := range w.scratch.tids {
		old, oldState := last.next(tid)
		task, state := Task{TID: tid}, threadState{}
		if oldState.activity.wasIdle && s.Want&FieldTaskUsage&^old.Have == 0 {
			state.activity.marker = w.threadMarker(s.PID, tid)
			if state.activity.marker != 0 && state.activity.marker == oldState.activity.marker && !w.refreshDue(s.PID) {
				w.keepThread(s, &old, oldState)
				continue
			}
		}
		switch err := w.readThread(&s.Sample, &task, &old); {
		case err == nil:
			state.activity.wasIdle = w.threadIdle(&task, &old)
			w.scratch.tasks, w.scratch.threads = append(w.scratch.tasks, task), append(w.scratch.threads, state)
		case threadGone(err):
			complete = false
		default:
			return false, err
		}
	}
	s.Tasks, s.state.threads = w.scratch.tasks, w.scratch.threads
	return complete, nil
}

// keepThread keeps the values of a thread that has not run.
func (w *worker) keepThread(s *procfsSample, old *Task, state threadState) {
	w.scratch.tasks, w.scratch.threads = append(w.scratch.tasks, *old), append(w.scratch.threads, state)
	s.Have |= old.Have & FieldWChan
}

// threadGone reports whether err means that a thread has exited. Its files are opened by
// path, so that the error may be ENOENT as well as ESRCH.
func threadGone(err error) bool {
	return errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ESRCH)
}

// readThread reads one thread. old is the same thread in the last walk, or zero.
func (w *worker) readThread(s *Sample, t, old *Task) error {
	if s.Want&FieldTaskUsage != 0 {
		if err := w.readThreadUsage(s, t, old); err != nil {
			return err
		}
	}
	if err := w.readThreadStatus(s, t); err != nil {
		return err
	}
	if s.Want&FieldWChan == 0 {
		return nil
	}
	before := byte(0)
	if old.Have&(FieldWChan|FieldStatus) == FieldWChan|FieldStatus && w.src.isFinalWChan(old.WChan) {
		before = old.State
	}
	sameSwitches := t.VoluntarySwitches == old.VoluntarySwitches && t.NonvoluntarySwitches == old.NonvoluntarySwitches
	switch {
	case t.State == 'R':
	case stillSleeping(t.State, before) && sameSwitches, !w.takeWChanRead(t.TID, t.State, before):
		t.WChan = old.WChan
	default:
		text, err := w.reader.ReadTask(s.PID, t.TID, "wchan")
		if err != nil && !threadGone(err) {
			s.Unreadable |= FieldWChan
			return nil
		}
		t.WChan = w.internWChan(text)
	}
	t.Have |= FieldWChan
	s.Have |= FieldWChan
	return nil
}

func (w *worker) readThreadStatus(s *Sample, t *Task) error {
	st := &w.scratch.status
	if t.TID != s.PID || s.Have&FieldStatus == 0 { // that of the main thread was read for the process
		text, err := w.reader.ReadTask(s.PID, t.TID, "status")
		if err != nil {
			return err
		}
		if err := procfs.ParseStatusFields(text, procfs.StatusState|procfs.StatusSwitches, st); err != nil {
			return err
		}
		if st.Have&procfs.StatusSwitches != procfs.StatusSwitches {
			return errIncomplete
		}
		t.VoluntarySwitches, t.NonvoluntarySwitches = st.VoluntarySwitches, st.NonvoluntarySwitches
		if t.State == 0 {
			t.State = st.State
		}
	} else {
		t.VoluntarySwitches, t.NonvoluntarySwitches, t.State = s.VoluntarySwitches, s.NonvoluntarySwitches, s.State
	}
	t.Have |= FieldStatus
	return nil
}

// readThreadUsage reads the resources that a thread itself has used.
func (w *worker) readThreadUsage(s *Sample, t, old *Task) error {
	text, err := w.reader.ReadTask(s.PID, t.TID, "stat")
	if err != nil {
		return err
	}
	st, clock := &w.scratch.stat, &w.src.clock
	if err := procfs.ParseStat(text, st); err != nil {
		return err
	}
	t.Have |= FieldTaskUsage
	t.State, t.Start = st.State, st.StartTicks
	t.UserNanos, t.SystemNanos = clock.Nanos(st.UserTicks), clock.Nanos(st.SystemTicks)
	t.MinorFaults, t.MajorFaults = st.MinorFaults, st.MajorFaults
	t.Comm = reuseString(old.Comm, st.Comm)
	if s.Unreadable&FieldIO != 0 || s.Want&FieldIO == 0 { // if denied for the process, denied for its threads
		return nil
	}
	return w.readThreadIO(s, t, old)
}

// readThreadIO reads the I/O counters of a thread. Those of the process are the sum over
// its live and exited threads and its reaped children, and are read before. No counter
// decreases: if the sum is unchanged or 0, so is each counter, and the file is not read.
func (w *worker) readThreadIO(s *Sample, t, old *Task) error {
	if w.scratch.noIO {
		t.Have |= FieldIO
		return nil
	}
	if w.scratch.sameIO && old.Have&FieldIO != 0 && old.Start == t.Start {
		t.Have |= FieldIO
		t.ReadBytes, t.WriteBytes = old.ReadBytes, old.WriteBytes
		return nil
	}
	text, err := w.reader.ReadTask(s.PID, t.TID, "io")
	if err == nil {
		err = w.parseIO(text)
	}
	if err != nil {
		if !threadGone(err) {
			s.Unreadable |= FieldIO
			err = nil
		}
		return err
	}
	t.Have |= FieldIO
	t.ReadBytes, t.WriteBytes = w.scratch.io.ReadBytes, w.scratch.io.WriteBytes
	return nil
}

// readMainThreadWChan reads the wchan of the only thread of a process.
func (w *worker) readMainThreadWChan(s *Sample, prev *procfsSample) error {
	if s.State == 'R' || s.State == 'Z' {
		return nil
	}
	if prev != nil && len(prev.Tasks) == 0 {
		before := byte(0)
		if prev.Have&FieldWChan != 0 && s.Have&prev.Have&FieldStatus != 0 && w.src.isFinalWChan(prev.WChan) {
			before = prev.State
		}
		sameSwitches := s.VoluntarySwitches == prev.VoluntarySwitches && s.NonvoluntarySwitches == prev.NonvoluntarySwitches
		if stillSleeping(s.State, before) && sameSwitches || !w.takeWChanRead(s.PID, s.State, before) {
			s.WChan = prev.WChan
			return nil
		}
	}
	text, err := w.reader.Read(s.PID, "wchan")
	if err != nil {
		return err
	}
	s.WChan = w.internWChan(text)
	return nil
}

// isFinalWChan reports whether the wchan of a sleeping thread stays the same until the thread
// runs. An empty one does not on kernels that report names: since Linux 6.12 a thread that
// sleeps can remain on its run queue for a while, and has no wchan until it leaves the queue.
func (s *procfsSource) isFinalWChan(name string) bool { return name != "" || !s.reportsWChan.Load() }

// stillSleeping reports whether a thread sleeps now and slept in the last walk.
func stillSleeping(now, before byte) bool {
	return (now == 'S' || now == 'D') && now == before
}

func (w *worker) internWChan(text []byte) string {
	name := procfs.ParseWChan(text)
	if len(name) == 0 {
		return ""
	}
	if s, ok := w.scratch.wchans[string(name)]; ok {
		return s
	}
	if len(w.scratch.wchans) >= maxWChans {
		clear(w.scratch.wchans)
	}
	w.src.reportsWChan.Store(true)
	s := string(name)
	w.scratch.wchans[s] = s
	return s
}
