//go:build amd64 || arm64

package platform

import (
	"slices"
	"sort"

	"github.com/seed57308aee/process_exporter/platform/bpf"
)

// threadSum assembles the Sample of a process with several threads.
type threadSum struct {
	sample        int    // index
	found         int    // threads
	old           []Task // of the last walk
	usage         bpf.Usage
	flags         uint32
	exitedRuntime uint64 // runtime of the exited threads when the process was read
	incomplete    bool   // a thread was not added

	prev  Sample // of the last walk
	known bool   // prev is valid
}

func newThreadSum(sample int, p *bpf.Process, prev *Sample) threadSum {
	g := threadSum{sample: sample, usage: p.Usage, flags: p.Flags, exitedRuntime: p.ExitedRuntime}
	if prev != nil {
		g.prev, g.known, g.old = *prev, true, prev.Tasks
	}
	return g
}

// assignThreads adds every thread to its process, and sums the usage. Threads ascend by
// TID: those of one process are in order, but not always adjacent. A first pass counts
// them, a second one stores each in the memory of its process.
func (b *bpfSource) assignThreads(snap *Snapshot) {
	at := -1
	groupOf := func(t *bpf.Thread) int {
		if at < 0 || snap.Samples[b.threadSums[at].sample].PID != int(t.Pid) {
			at = sort.Search(len(b.threadSums), func(i int) bool { return snap.Samples[b.threadSums[i].sample].PID >= int(t.Pid) })
			if at == len(b.threadSums) || snap.Samples[b.threadSums[at].sample].PID != int(t.Pid) {
				at = -1 // the process got its second thread after it was read
			}
		}
		return at
	}
	for _, t := range b.threads {
		if at := groupOf(t); at >= 0 {
			b.threadSums[at].found++
		}
	}
	arena := slices.Grow(snap.arenas[snap.arena][:0], len(b.threads))
	states, from := slices.Grow(b.states.arenas[b.states.arena][:0], len(b.threads)), 0
	for i := range b.threadSums {
		g := &b.threadSums[i]
		snap.Samples[g.sample].Tasks = arena[from : from : from+g.found]
		b.states.processes[g.sample].threads = states[from : from : from+g.found]
		from += g.found
	}
	for _, t := range b.threads {
		if at := groupOf(t); at >= 0 {
			g := &b.threadSums[at]
			s, state := &snap.Samples[g.sample], &b.states.processes[g.sample]
			g.add(t, s.PID)
			start := b.times.Ticks(t.Start)
			task, ran := b.task(t, start, g.lastTask(t, start))
			s.Tasks, state.threads = append(s.Tasks, task), append(state.threads, threadState{ranSinceWChan: ran})
		}
	}
	snap.arenas[snap.arena], b.states.arenas[b.states.arena] = arena[:from], states[:from]
	for i := range b.threadSums {
		b.finishGroup(snap, &b.threadSums[i])
	}
}

// finishGroup completes the Sample of a process whose threads were all added.
func (b *bpfSource) finishGroup(snap *Snapshot, g *threadSum) {
	s := &snap.Samples[g.sample]
	var prev *Sample
	if g.known {
		prev = &g.prev
	}
	s.setUsage(&g.usage, g.flags, prev)
	if g.known && prev.Have&FieldSwitchesOfAllThreads != 0 && (g.incomplete || g.found < s.NumThreads) {
		s.keepHighest(prev)
	}
	if len(s.Tasks) < 2 { // the other threads have exited
		s.Tasks, b.states.processes[g.sample].threads = nil, nil
	}
	b.planReads(s, prev, g.sample)
}

// add adds the usage of a thread. It ignores the main thread, whose usage is in the process
// record. A thread with a TID below that of its process is read before the process. If a thread
// of the process exited between the two reads, it may be this one, and its usage may be in the
// process record already: this thread is left out.
func (g *threadSum) add(t *bpf.Thread, pid int) {
	switch {
	case int(t.Tid) == pid:
		return
	case int(t.Tid) < pid && t.ExitedRuntime != g.exitedRuntime:
		g.incomplete = true
		return
	}
	u := &g.usage
	u.Utime += t.Usage.Utime
	u.Stime += t.Usage.Stime
	u.Runtime += t.Usage.Runtime
	u.MinorFaults += t.Usage.MinorFaults
	u.MajorFaults += t.Usage.MajorFaults
	u.Voluntary += t.Usage.Voluntary
	u.Nonvoluntary += t.Usage.Nonvoluntary
	u.ReadBytes += t.Usage.ReadBytes
	u.WriteBytes += t.Usage.WriteBytes
	u.RunDelay += t.Usage.RunDelay
	u.BlockDelay += t.Usage.BlockDelay
}

// lastTask returns the Task of the thread in the last walk, or nil. start is its start time
// in clock ticks after boot.
func (g *threadSum) lastTask(t *bpf.Thread, start uint64) *Task {
	for len(g.old) > 0 && g.old[0].TID < int(t.Tid) {
		g.old = g.old[1:]
	}
	if len(g.old) > 0 && g.old[0].TID == int(t.Tid) && g.old[0].Start == start {
		return &g.old[0]
	}
	return nil
}

// task converts a thread record to a Task. old is the Task of the same thread in the last
// walk, or nil. ran reports whether the thread has run since its WChan was read.
func (b *bpfSource) task(r *bpf.Thread, start uint64, old *Task) (task Task, ran bool) {
	task = Task{
		TID:               int(r.Tid),
		State:             stateLetter(r.State, r.ExitState),
		Have:              FieldStatus | FieldTaskUsage | usageFields(r.Flags)&FieldIO,
		VoluntarySwitches: r.Usage.Voluntary, NonvoluntarySwitches: r.Usage.Nonvoluntary,
		Start:       start,
		MinorFaults: r.Usage.MinorFaults, MajorFaults: r.Usage.MajorFaults,
		ReadBytes: r.Usage.ReadBytes, WriteBytes: r.Usage.WriteBytes,
	}
	if old == nil {
		task.UserNanos, task.SystemNanos = cpuTimes(&r.Usage, 0, 0)
		task.Comm = commString(&r.Comm, "")
		return task, false
	}
	task.UserNanos, task.SystemNanos = cpuTimes(&r.Usage, old.UserNanos, old.SystemNanos)
	task.Comm = commString(&r.Comm, old.Comm)
	if old.Have&FieldWChan != 0 {
		task.WChan = old.WChan
		task.Have |= FieldWChan
		ran = task.VoluntarySwitches != old.VoluntarySwitches || task.NonvoluntarySwitches != old.NonvoluntarySwitches ||
			!stillSleeping(task.State, old.State)
	}
	return task, ran
}
