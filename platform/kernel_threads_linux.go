//go:build amd64 || arm64

package platform

import (
	"slices"
	"sort"

	"github.com/seed57308aee/process_exporter/platform/bpf"
)

// A family is a process of several threads while it is put together.
type family struct {
	sample  int // index
	found   int // threads
	old     []Task
	usage   bpf.Usage // of all threads
	flags   uint32
	ended   uint64 // runtime of the threads that had ended when the process was looked at
	missing bool   // some thread was not added

	prev  Sample // of the walk before
	known bool   // there is one
}

func newFamily(sample int, p *bpf.Process, prev *Sample) family {
	f := family{sample: sample, usage: p.Usage, flags: p.Flags, ended: p.ExitedRuntime}
	if prev != nil {
		f.prev, f.known, f.old = *prev, true, prev.Tasks
	}
	return f
}

// deal gives every thread to its process, and adds up what they have used.
// Threads come ascending by TID, so that those of one process come in order,
// but not always together: they are counted first, and then each finds its
// place.
func (k *kernelSource) deal(snap *Snapshot) {
	at := -1
	owner := func(t *bpf.Thread) int {
		if at < 0 || snap.Samples[k.families[at].sample].PID != int(t.Pid) {
			at = sort.Search(len(k.families), func(i int) bool { return snap.Samples[k.families[i].sample].PID >= int(t.Pid) })
			if at == len(k.families) || snap.Samples[k.families[at].sample].PID != int(t.Pid) {
				at = -1 // a process whose second thread was born after we looked at it
			}
		}
		return at
	}
	for _, t := range k.threads {
		if at := owner(t); at >= 0 {
			k.families[at].found++
		}
	}
	arena, from := slices.Grow(snap.tasks[snap.turn][:0], len(k.threads)), 0
	for i := range k.families {
		f := &k.families[i]
		snap.Samples[f.sample].Tasks = arena[from : from : from+f.found]
		from += f.found
	}
	for _, t := range k.threads {
		if at := owner(t); at >= 0 {
			f := &k.families[at]
			s := &snap.Samples[f.sample]
			f.add(t, s.PID)
			start := k.ticks.of(t.Start)
			s.Tasks = append(s.Tasks, k.task(t, start, f.sameThread(t, start)))
		}
	}
	snap.tasks[snap.turn] = arena[:from]
	for i := range k.families {
		f := &k.families[i]
		s := &snap.Samples[f.sample]
		var prev *Sample
		if f.known {
			prev = &f.prev
		}
		s.use(&f.usage, f.flags, prev)
		if f.known && prev.Have&FieldSwitches != 0 && (f.missing || f.found < s.Threads) {
			s.keepHighest(prev)
		}
		if len(s.Tasks) < 2 { // the others have ended meanwhile
			s.Tasks = nil
		}
		k.plan(s, prev, f.sample)
	}
}

// add adds what a thread has used, but for the main one, which has been. No
// thread counts twice: one that was looked at before its process, for its lower
// number, may have ended in between and be among the dead. It is left out if any
// thread has ended.
func (f *family) add(t *bpf.Thread, pid int) {
	switch {
	case int(t.Tid) == pid:
		return
	case int(t.Tid) < pid && t.ExitedRuntime != f.ended:
		f.missing = true
		return
	}
	u := &f.usage
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

// sameThread returns the Task of t, which began at a tick after boot, in the
// walk before, or nil.
func (f *family) sameThread(t *bpf.Thread, start uint64) *Task {
	for len(f.old) > 0 && f.old[0].TID < int(t.Tid) {
		f.old = f.old[1:]
	}
	if len(f.old) > 0 && f.old[0].TID == int(t.Tid) && f.old[0].Start == start {
		return &f.old[0]
	}
	return nil
}

// task turns what the kernel says of a thread into a Task. old is the Task of
// the same thread in the walk before, or nil.
func (k *kernelSource) task(r *bpf.Thread, start uint64, old *Task) Task {
	task := Task{
		TID:               int(r.Tid),
		State:             stateLetter(r.State, r.ExitState),
		Have:              FieldStatus | FieldTaskUsage | haveOf(r.Flags)&FieldIO,
		VoluntarySwitches: r.Usage.Voluntary, NonvoluntarySwitches: r.Usage.Nonvoluntary,
		Start:       start,
		MinorFaults: r.Usage.MinorFaults, MajorFaults: r.Usage.MajorFaults,
		ReadBytes: r.Usage.ReadBytes, WriteBytes: r.Usage.WriteBytes,
	}
	if old == nil {
		task.UserNanos, task.SystemNanos = cpuTimes(&r.Usage, 0, 0)
		task.Comm = commOf(&r.Comm, "")
		return task
	}
	task.UserNanos, task.SystemNanos = cpuTimes(&r.Usage, old.UserNanos, old.SystemNanos)
	task.Comm = commOf(&r.Comm, old.Comm)
	if old.Have&FieldWChan != 0 {
		task.WChan = old.WChan
		task.Have |= FieldWChan
		task.moved = task.VoluntarySwitches != old.VoluntarySwitches || task.NonvoluntarySwitches != old.NonvoluntarySwitches ||
			!asleep(task.State, old.State)
	}
	return task
}
