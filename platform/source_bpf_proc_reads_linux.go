//go:build amd64 || arm64

package platform

import (
	"context"
	"errors"

	"github.com/seed57308aee/process_exporter/procfs"
)

// The BPF programs report neither where a thread sleeps, which requires its stack, nor
// proportional memory, which requires a walk over the page tables of the process. Both are
// read from /proc: the first for some of the threads that have run, the second within its
// budget.

// A procRead is a planned read of one field of a process or thread from /proc.
type procRead struct {
	sample int    // index of the process
	task   int    // index in Tasks, or -1 for the process
	field  Fields // FieldSmaps or FieldWChan
	known  bool   // FieldSmaps: the Sample has the values of an earlier read
}

// A wchanSchedule selects the threads whose wchan is read again in a walk.
type wchanSchedule struct {
	walk  uint64
	reads int
}

// A walk of the source bpf reads the wchan of threads whose wchan is unknown. Of the threads
// that have run since their wchan was read, it reads those in uninterruptible sleep. Of the
// other sleeping ones it reads the first bpfWChanReadsPerWalk, and the rest every
// bpfWChanInterval walks. That is less than in a walk of the source procfs, whose other reads
// cost much more.
const (
	bpfWChanReadsPerWalk = 16
	bpfWChanInterval     = 128
)

// takeWChanRead reports whether to read the wchan of a thread again. If so, it counts the read.
func (c *wchanSchedule) takeWChanRead(tid int, state byte) bool {
	if state == 'D' || c.reads < bpfWChanReadsPerWalk || (uint64(tid)+c.walk)%bpfWChanInterval == 0 {
		c.reads++
		return true
	}
	return false
}

// planReads plans the reads of the process at index i. prev is its Sample of the last walk,
// or nil.
func (b *bpfSource) planReads(s, prev *Sample, i int) {
	lacks := s.Want &^ (s.Have | s.Unreadable | s.Skipped)
	if lacks&FieldSmaps != 0 {
		b.planSmaps(s, prev, i)
	}
	if lacks&FieldWChan != 0 {
		b.planWChan(s, prev, i)
	}
}

// planSmaps copies the known values of FieldSmaps, and plans a read if they may have changed
// or are due.
func (b *bpfSource) planSmaps(s, prev *Sample, i int) {
	state := &b.states.processes[i].smaps
	known := prev != nil && prev.Have&FieldSmaps != 0 && prev.ExecID == s.ExecID &&
		(prev.State != 'Z' || zombieMainThread(prev)) && (s.State != 'Z' || zombieMainThread(s))
	if known {
		s.PSSBytes, s.SwapPSSBytes, s.USSBytes, s.SmapsReadAt = prev.PSSBytes, prev.SwapPSSBytes, prev.USSBytes, prev.SmapsReadAt
		state.stale = state.stale || memoryChanged(s, prev)
	} else {
		*state = smapsState{}
	}
	due := (uint64(s.PID)+b.wchans.walk)%refreshInterval == 0
	if b.skipSmaps && !s.KernelThread {
		if known {
			state.stale = state.stale || due
			s.Have |= FieldSmaps
		}
		return
	}
	if s.KernelThread || known && !state.stale && !due && b.smapsBudget > 0 {
		s.Have |= FieldSmaps
		return
	}
	b.reads = append(b.reads, procRead{i, -1, FieldSmaps, known})
}

// planWChan plans the reads of wchan for the threads of a process.
func (b *bpfSource) planWChan(s, prev *Sample, i int) {
	s.Have |= FieldWChan
	states := b.states.processes[i].threads
	for t := range s.Tasks {
		task := &s.Tasks[t]
		switch known := task.Have&FieldWChan != 0 && b.isFinalWChan(task.WChan); {
		case task.State == 'R' || task.State == 'Z':
			task.WChan = ""
			task.Have |= FieldWChan
		case known && !states[t].ranSinceWChan, known && !b.wchans.takeWChanRead(task.TID, task.State):
		default:
			b.reads = append(b.reads, procRead{i, t, FieldWChan, false})
		}
	}
	if len(s.Tasks) > 0 || s.State == 'R' || s.State == 'Z' {
		return
	}
	if prev != nil && prev.Have&FieldWChan != 0 && len(prev.Tasks) == 0 && b.isFinalWChan(prev.WChan) {
		still := stillSleeping(s.State, prev.State) &&
			s.VoluntarySwitches == prev.VoluntarySwitches && s.NonvoluntarySwitches == prev.NonvoluntarySwitches
		if still || !b.wchans.takeWChanRead(s.PID, s.State) {
			s.WChan = prev.WChan
			return
		}
	}
	b.reads = append(b.reads, procRead{i, -1, FieldWChan, false})
}

// runReads runs the planned reads.
func (b *bpfSource) runReads(ctx context.Context, snap *Snapshot) {
	for next := 0; next < len(b.reads); {
		w := b.worker()
		if w == nil || ctx.Err() != nil {
			snap.Incomplete = true
			return
		}
		from := next
		finished := b.run(ctx, w, func(w *worker) { w.runReads(snap, b.reads, from) })
		if next, _ = w.progress(); !finished { // a read of the process at next blocks
			b.reads[next].setUnreadable(snap)
			b.reads = append([]procRead(nil), b.reads...) // the abandoned worker keeps the old list
			b.states.replaceArenas()
			next++
		} else if next < len(b.reads) { // deadline
			snap.Incomplete = true
			break
		}
	}
	snap.Unresponsive = b.quarantine.size()
}

// setUnreadable records that the field could not be read.
func (r *procRead) setUnreadable(snap *Snapshot) {
	s := &snap.Samples[r.sample]
	s.Unreadable |= r.field
	s.Have &^= r.field
}

// runReads runs the planned reads[from:].
func (w *worker) runReads(snap *Snapshot, reads []procRead, from int) {
	w.start(from)
	newWalk := w.walkNumber != snap.walks
	w.setWalk(snap)
	if newWalk && from == 0 {
		w.smapsFirst = w.src.takeSmapsFirst(snap)
	}
	for i := from; i < len(reads) && !w.deadlinePassed.Load(); i++ {
		item := reads[i]
		s, tid := &w.scratch.sample, 0
		if !w.commit(i, func() {
			w.src.states.load(item.sample, s)
			if item.task >= 0 {
				tid = s.Tasks[item.task].TID
			}
		}) {
			return
		}
		w.setCurrent(s.PID, 0)
		if w.skips(s.PID, 0) {
			if !w.commit(i+1, func() { item.setUnreadable(snap) }) {
				return
			}
			continue
		}
		wchan := ""
		if item.field == FieldWChan {
			wchan = w.readWChanOf(&s.Sample, tid)
		} else {
			w.readSmapsOf(s, item)
		}
		if !w.commit(i+1, func() { item.apply(w.src, snap, s, wchan) }) {
			return
		}
	}
}

// readSmapsOf reads FieldSmaps if it is due. Another process may have got the PID since the
// scan: stat is read last and must have the same start time.
func (w *worker) readSmapsOf(s *procfsSample, read procRead) {
	var prev *procfsSample
	if read.known {
		prev = &w.scratch.prev
		*prev = *s
		prev.Have |= FieldSmaps
	}
	w.findLiveThread(&s.Sample)
	w.updateSmaps(s, prev)
	if (s.Have|s.Unreadable)&FieldSmaps == 0 || s.state.smaps.walk != uint32(w.walkNumber) || s.KernelThread {
		return
	}
	switch err := w.readStat(s.PID); {
	case errors.Is(err, procfs.ErrGone), err == nil && w.scratch.stat.StartTicks != s.Start:
		s.Have &^= FieldSmaps
		s.Unreadable &^= FieldSmaps
	case err != nil:
		s.Have &^= FieldSmaps
		s.Unreadable |= FieldSmaps
	}
}

// readWChanOf reads the wchan of a thread; a tid of 0 is the main thread.
func (w *worker) readWChanOf(s *Sample, tid int) string {
	id := s.PID
	if tid != 0 {
		id = tid // /proc/TID is not listed, but is cheaper to open than /proc/PID/task/TID
	}
	text, err := w.reader.Read(id, "wchan")
	if err != nil {
		if !threadGone(err) {
			s.Unreadable |= FieldWChan
		}
		return ""
	}
	return w.internWChan(text)
}

// apply stores the result of a read. s is the Sample with it.
func (r *procRead) apply(src *procfsSource, snap *Snapshot, s *procfsSample, wchan string) {
	to := &snap.Samples[r.sample]
	switch {
	case r.field == FieldSmaps:
		to.PSSBytes, to.SwapPSSBytes, to.USSBytes, to.SmapsReadAt = s.PSSBytes, s.SwapPSSBytes, s.USSBytes, s.SmapsReadAt
		src.states.processes[r.sample].smaps = s.state.smaps
		to.Have |= s.Have & FieldSmaps
		to.Unreadable |= s.Unreadable & FieldSmaps
		to.Skipped |= s.Skipped & FieldSmaps
	case s.Unreadable&FieldWChan != 0:
		r.setUnreadable(snap)
	case r.task >= 0:
		to.Tasks[r.task].WChan = wchan
		to.Tasks[r.task].Have |= FieldWChan
	default:
		to.WChan = wchan
	}
}
