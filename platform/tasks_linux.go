package platform

import (
	"errors"
	"syscall"

	"github.com/seed57308aee/process_exporter/procfs"
)

// tasks reads every thread of a process of at least two.
func (w *worker) tasks(s *Sample, prev *Sample) error {
	if s.Threads < 2 {
		return nil
	}
	if err := w.reader.OpenTasks(s.PID); err != nil {
		return err
	}
	defer w.reader.CloseTasks()
	var last []Task
	if prev != nil {
		last = prev.Tasks
	}
	// After execve the main thread may be another, with what that one has done.
	w.read.sameIO = prev != nil && prev.ExecID == s.ExecID && s.Have&prev.Have&FieldIO != 0 &&
		s.ReadBytes == prev.ReadBytes && s.WriteBytes == prev.WriteBytes
	w.read.noIO = s.Have&FieldIO != 0 && s.ReadBytes == 0 && s.WriteBytes == 0
	if len(last) == s.Threads {
		// If all that it had live on, they were there when stat counted them,
		// and are all that it has.
		w.read.tids = w.read.tids[:0]
		for i := range last {
			w.read.tids = append(w.read.tids, last[i].TID)
		}
		if whole, err := w.readTasks(s, last); whole || err != nil {
			return err
		}
	}
	var err error
	if w.read.tids, err = w.reader.AppendTIDs(w.read.tids[:0], s.PID); err != nil {
		return err
	}
	if len(w.read.tids) < 2 { // the others have exited meanwhile
		return nil
	}
	_, err = w.readTasks(s, last)
	return err
}

// readTasks reads the threads w.read.tids. It is whole if none of them is gone.
func (w *worker) readTasks(s *Sample, last []Task) (whole bool, err error) {
	whole = true
	w.read.tasks = w.read.tasks[:0]
	for _, tid := range w.read.tids {
		for len(last) > 0 && last[0].TID < tid {
			last = last[1:]
		}
		old := Task{}
		if len(last) > 0 && last[0].TID == tid {
			old = last[0]
		}
		task := Task{TID: tid}
		if old.pulse.still {
			task.pulse.beat = w.taskBeat(s.PID, tid)
			if task.pulse.beat != 0 && task.pulse.beat == old.pulse.beat && !w.due(s.PID) {
				w.keepTask(s, &old)
				continue
			}
		}
		switch err := w.task(s, &task, &old); {
		case err == nil:
			w.settleTask(&task, &old)
			w.read.tasks = append(w.read.tasks, task)
		case taskGone(err):
			whole = false
		default:
			return false, err
		}
	}
	s.Tasks = w.read.tasks
	return whole, nil
}

// keepTask takes over a thread that has not run.
func (w *worker) keepTask(s *Sample, old *Task) {
	w.read.tasks = append(w.read.tasks, *old)
	s.Have |= old.Have & FieldWChan
}

// taskGone reports whether err says that a thread exited. Its files are opened
// by path, so that ENOENT says it as well as ESRCH.
func taskGone(err error) bool {
	return errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ESRCH)
}

// task reads one thread. old is the same thread in the walk before, or zero.
func (w *worker) task(s *Sample, t, old *Task) error {
	if s.Want&FieldTaskUsage != 0 {
		if err := w.taskUsage(s, t, old); err != nil {
			return err
		}
	}
	if err := w.taskStatus(s, t); err != nil {
		return err
	}
	if s.Want&FieldWChan == 0 {
		return nil
	}
	known := old.Have&(FieldWChan|FieldStatus) == FieldWChan|FieldStatus
	slept := t.VoluntarySwitches == old.VoluntarySwitches && t.NonvoluntarySwitches == old.NonvoluntarySwitches
	switch {
	case t.State == 'R':
	case known && asleep(t.State, old.State) && slept, !w.asksWChan(t.TID, t.State, old.State, known):
		t.WChan = old.WChan
	default:
		text, err := w.reader.ReadTask(s.PID, t.TID, "wchan")
		if err != nil && !taskGone(err) {
			s.Lost |= FieldWChan
			return nil
		}
		t.WChan = w.internWChan(text)
	}
	t.Have |= FieldWChan
	s.Have |= FieldWChan
	return nil
}

func (w *worker) taskStatus(s *Sample, t *Task) error {
	st := &w.read.status
	if t.TID != s.PID || s.Have&FieldStatus == 0 { // the main thread's was read for the process
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

// taskUsage reads what a thread itself has used.
func (w *worker) taskUsage(s *Sample, t, old *Task) error {
	text, err := w.reader.ReadTask(s.PID, t.TID, "stat")
	if err != nil {
		return err
	}
	st, clock := &w.read.stat, &w.src.clock
	if err := procfs.ParseStat(text, st); err != nil {
		return err
	}
	t.Have |= FieldTaskUsage
	t.State, t.Start = st.State, st.StartTicks
	t.UserNanos, t.SystemNanos = clock.Nanos(st.UserTicks), clock.Nanos(st.SystemTicks)
	t.MinorFaults, t.MajorFaults = st.MinorFaults, st.MajorFaults
	t.Comm = reuse(old.Comm, st.Comm)
	if s.Lost&FieldIO != 0 || s.Want&FieldIO == 0 { // denied for the process is denied for its threads
		return nil
	}
	return w.taskIO(s, t, old)
}

// taskIO reads what a thread has fetched and sent. What the process has is the
// sum over all its threads, dead ones too, and is read before theirs: if that is
// what it was, or nothing, so is each part of it, since none ever falls.
func (w *worker) taskIO(s *Sample, t, old *Task) error {
	if w.read.noIO {
		t.Have |= FieldIO
		return nil
	}
	if w.read.sameIO && old.Have&FieldIO != 0 && old.Start == t.Start {
		t.Have |= FieldIO
		t.ReadBytes, t.WriteBytes = old.ReadBytes, old.WriteBytes
		return nil
	}
	text, err := w.reader.ReadTask(s.PID, t.TID, "io")
	if err == nil {
		err = w.parseIO(text)
	}
	if err != nil {
		if !taskGone(err) {
			s.Lost |= FieldIO
			err = nil
		}
		return err
	}
	t.Have |= FieldIO
	t.ReadBytes, t.WriteBytes = w.read.io.ReadBytes, w.read.io.WriteBytes
	return nil
}

// leaderWChan reads where the only thread of a process sleeps.
func (w *worker) leaderWChan(s *Sample, prev *Sample) error {
	if s.State == 'R' || s.State == 'Z' {
		return nil
	}
	if prev != nil && len(prev.Tasks) == 0 {
		known := prev.Have&FieldWChan != 0 && s.Have&prev.Have&FieldStatus != 0
		slept := s.VoluntarySwitches == prev.VoluntarySwitches && s.NonvoluntarySwitches == prev.NonvoluntarySwitches
		if known && asleep(s.State, prev.State) && slept || !w.asksWChan(s.PID, s.State, prev.State, known) {
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

// asleep reports whether a thread sleeps now and slept before.
func asleep(now, before byte) bool {
	return (now == 'S' || now == 'D') && now == before
}

func (w *worker) internWChan(text []byte) string {
	name := procfs.ParseWChan(text)
	if len(name) == 0 {
		return ""
	}
	if s, ok := w.read.wchans[string(name)]; ok {
		return s
	}
	if len(w.read.wchans) >= maxWChans {
		clear(w.read.wchans)
	}
	s := string(name)
	w.read.wchans[s] = s
	return s
}
