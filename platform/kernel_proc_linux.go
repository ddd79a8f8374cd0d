//go:build amd64 || arm64

package platform

import (
	"context"
	"errors"

	"github.com/seed57308aee/process_exporter/procfs"
)

// The programs do not tell where a thread sleeps, which takes a look at its
// stack, nor how memory is shared, which takes a walk over all of it. Both come
// from /proc: the first of those that have moved, in turns, the second under
// its budget.

// A todo is a part of a process, or of one of its threads, to be read from /proc.
type todo struct {
	sample int
	task   int // index in Tasks, -1 for the process
	part   Fields
	known  bool // FieldSmaps was read before, and stands in the Sample
}

// turns decides which of the threads that have run are asked where they sleep
// now.
type turns struct {
	walk  uint64
	asked int
}

// A walk asks the first freeAsks, and of the others one in everyAsk. That is
// fewer than a walk over /proc does, beside which it costs little. How many ran
// the last time says nothing of how many run next.
const (
	freeAsks = 16
	everyAsk = 128
)

// asks reports whether it is the turn of a thread that was asked before.
func (t *turns) asks(id int, state byte) bool {
	if state == 'D' || t.asked < freeAsks || (uint64(id)+t.walk)%everyAsk == 0 {
		t.asked++
		return true
	}
	return false
}

// plan finds out what to read of a process. prev is its Sample of the walk
// before, or nil.
func (k *kernelSource) plan(s, prev *Sample, i int) {
	lacks := s.Want &^ (s.Have | s.Lost | s.Skipped)
	if lacks&FieldSmaps != 0 {
		k.planSmaps(s, prev, i)
	}
	if lacks&FieldWChan != 0 {
		k.planWChan(s, prev, i)
	}
}

// planSmaps takes over the shares of memory that are known. They are as they
// were, but for what the neighbours do, in a process that has neither faulted
// nor gained or lost memory.
func (k *kernelSource) planSmaps(s, prev *Sample, i int) {
	known := prev != nil && prev.Have&FieldSmaps != 0 && prev.ExecID == s.ExecID &&
		(prev.State != 'Z' || headless(prev)) && (s.State != 'Z' || headless(s))
	if known {
		s.PSSBytes, s.SwapPSSBytes, s.USSBytes = prev.PSSBytes, prev.SwapPSSBytes, prev.USSBytes
		s.SmapsTicks, s.smapsCost, s.smapsWalk = prev.SmapsTicks, prev.smapsCost, prev.smapsWalk
		s.smapsStale = prev.smapsStale || s.ResidentBytes != prev.ResidentBytes ||
			s.MinorFaults != prev.MinorFaults || s.MajorFaults != prev.MajorFaults
	}
	due := (uint64(s.PID)+k.turns.walk)%refresh == 0
	if s.Kernel || known && !s.smapsStale && !due && k.smapsBudget > 0 {
		s.Have |= FieldSmaps
		return
	}
	k.todo = append(k.todo, todo{i, -1, FieldSmaps, known})
}

// planWChan finds out of which threads of a process to read where they sleep.
func (k *kernelSource) planWChan(s, prev *Sample, i int) {
	s.Have |= FieldWChan
	for t := range s.Tasks {
		task := &s.Tasks[t]
		switch known := task.Have&FieldWChan != 0; {
		case task.State == 'R' || task.State == 'Z':
			task.WChan = ""
			task.Have |= FieldWChan
		case known && !task.moved, known && !k.turns.asks(task.TID, task.State):
		default:
			k.todo = append(k.todo, todo{i, t, FieldWChan, false})
		}
	}
	if len(s.Tasks) > 0 || s.State == 'R' || s.State == 'Z' {
		return
	}
	if prev != nil && prev.Have&FieldWChan != 0 && len(prev.Tasks) == 0 {
		still := asleep(s.State, prev.State) && s.VoluntarySwitches == prev.VoluntarySwitches && s.NonvoluntarySwitches == prev.NonvoluntarySwitches
		if still || !k.turns.asks(s.PID, s.State) {
			s.WChan = prev.WChan
			return
		}
	}
	k.todo = append(k.todo, todo{i, -1, FieldWChan, false})
}

// carryOut reads what is to do.
func (k *kernelSource) carryOut(ctx context.Context, snap *Snapshot, first bool) {
	for next := 0; next < len(k.todo); {
		w := k.worker()
		if w == nil || ctx.Err() != nil {
			snap.Partial = true
			return
		}
		from := next
		finished := k.attempt(ctx, w, func(w *worker) { w.supplement(snap, k.todo, from, first) })
		if next, _ = w.reached(); !finished { // the process at next does not answer
			k.todo[next].lose(snap)
			k.todo = append([]todo(nil), k.todo...) // the reader that hangs keeps the old one
			snap.renew = len(snap.tasks)
			next++
		} else if next < len(k.todo) { // out of time
			snap.Partial = true
			break
		}
	}
	snap.Unresponsive = k.quarantine.size()
}

// lose says that the part could not be read.
func (t *todo) lose(snap *Snapshot) {
	s := &snap.Samples[t.sample]
	s.Lost |= t.part
	s.Have &^= t.part
}

// supplement reads todo[from:] into snap.
func (w *worker) supplement(snap *Snapshot, list []todo, from int, first bool) {
	w.begin(from)
	w.turn, w.now = snap.walks, snap.Now
	if first && from == 0 {
		w.read.spent = 0
		w.smaps = int(w.src.smapsFrom.Swap(0))
	}
	for i := from; i < len(list) && !w.stop.Load(); i++ {
		item := list[i]
		s, tid := &w.read.sample, 0
		if !w.commit(i, func() {
			*s = snap.Samples[item.sample]
			if item.task >= 0 {
				tid = s.Tasks[item.task].TID
			}
		}) {
			return
		}
		w.comesTo(s.PID, 0)
		if w.avoids(s.PID, 0) {
			if !w.commit(i+1, func() { item.lose(snap) }) {
				return
			}
			continue
		}
		wchan := ""
		if item.part == FieldWChan {
			wchan = w.supplementWChan(s, tid)
		} else {
			w.supplementSmaps(s, item.known)
		}
		if !w.commit(i+1, func() { item.apply(snap, s, wchan) }) {
			return
		}
	}
}

// supplementSmaps reads the shares of memory if it is the turn of the process. s
// has those of before if they are known. Since the programs told of it, its PID may
// have gone to another: whoever has it after the read must still be the same.
func (w *worker) supplementSmaps(s *Sample, known bool) {
	var prev *Sample
	if known {
		prev = &w.read.prev
		*prev = *s
		prev.Have |= FieldSmaps
	}
	w.findVoice(s)
	w.smapsInTurn(s, prev)
	if (s.Have|s.Lost)&FieldSmaps == 0 || s.smapsWalk != uint32(w.turn) || s.Kernel {
		return
	}
	switch err := w.readStat(s.PID); {
	case errors.Is(err, procfs.ErrGone), err == nil && w.read.stat.StartTicks != s.Start:
		s.Have &^= FieldSmaps
		s.Lost &^= FieldSmaps
	case err != nil:
		s.Have &^= FieldSmaps
		s.Lost |= FieldSmaps
	}
}

// supplementWChan reads where a thread sleeps; a tid of 0 is the main one.
func (w *worker) supplementWChan(s *Sample, tid int) string {
	text, err := []byte(nil), error(nil)
	if tid == 0 {
		text, err = w.reader.Read(s.PID, "wchan")
	} else {
		text, err = w.reader.Read(tid, "wchan") // hidden there, but at hand sooner
	}
	if err != nil {
		if !taskGone(err) {
			s.Lost |= FieldWChan
		}
		return ""
	}
	return w.internWChan(text)
}

// apply puts what was read into its place. s is the Sample with it.
func (t *todo) apply(snap *Snapshot, s *Sample, wchan string) {
	to := &snap.Samples[t.sample]
	switch {
	case t.part == FieldSmaps:
		to.PSSBytes, to.SwapPSSBytes, to.USSBytes = s.PSSBytes, s.SwapPSSBytes, s.USSBytes
		to.SmapsTicks, to.smapsCost, to.smapsWalk, to.smapsStale = s.SmapsTicks, s.smapsCost, s.smapsWalk, s.smapsStale
		to.Have |= s.Have & FieldSmaps
		to.Lost |= s.Lost & FieldSmaps
		to.Skipped |= s.Skipped & FieldSmaps
	case s.Lost&FieldWChan != 0:
		t.lose(snap)
	case t.task >= 0:
		to.Tasks[t.task].WChan = wchan
		to.Tasks[t.task].Have |= FieldWChan
	default:
		to.WChan = wchan
	}
}
