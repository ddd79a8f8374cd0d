package grouping

import "github.com/seed57308aee/process_exporter/platform"

// A recordState says which group a process is in, and why.
type recordState uint8

const (
	stateUndecided   recordState = iota // no group: not identified yet, or rechecked at every update
	stateExcluded                       // no group until its identity or the rules change
	statePending                        // matches no rule; joinAncestor decides in the same update
	stateMatched                        // in the group of a rule that matches it
	stateInherited                      // in the group of an ancestor, for as long as no rule matches it
	stateProvisional                    // in the group of an ancestor; the next update searches the ancestors again
)

// An identityState says whether the identity of a process must be read.
type identityState uint8

const (
	identityDue   identityState = iota // not read, or changed since
	identityYoung                      // read when the process was young: read it once more
	identityCurrent
)

// A processRecord is the state that the Tracker keeps of one process, which is live or whose exit
// is not accounted yet.
type processRecord struct {
	id       platform.ID
	parent   int // PID of the parent when the process inherited its group
	state    recordState
	identity identityState

	kind               platform.SourceKind // what read the last sample
	executed           bool                // called execve(2) since it was identified
	mainThreadReplaced bool                // execve(2) may have replaced the main thread, whose context switches are not read yet
	kernelThread       bool                // no source reports its exit
	countFromStart     bool                // started after the first walk: its usage before the first sample counts
	counted            bool                // its usage was counted, in a group or as that of an ungrouped process
	longArgs           bool                // its last command line was longer than maxQuickArgs
	comparisonDue      bool                // has run since its fingerprint was compared, or the comparison is too old

	decreased       counterSet // counters that decreased in this walk
	decreasedBefore counterSet // counters that decreased when they were last compared, or may decrease without an error

	execID uint64 // ExecID of the last sample
	comm   string // Comm of the last sample

	fingerprint uint64                  // of the identity at the last match, see [platform.Identity]; 0 without
	mutable     platform.IdentityFields // of mutableFields, those on whose text the last match depends
	euid        uint32                  // at the last match
	cgroup      uint64                  // at the last match, 0 if unknown

	rule  *Rule       // that matches the process or its ancestor; nil if none does
	group *groupState // nil in no group
	have  platform.Fields
	base  Counters       // values up to which usage is counted; have says which were read
	tasks []threadRecord // ascending by tid
}

// inherits reports whether the process is in the group of an ancestor.
func (r *processRecord) inherits() bool {
	return r.state == stateInherited || r.state == stateProvisional
}

// leaveGroup removes a process from its group. Its usage from now on belongs to no group.
func (r *processRecord) leaveGroup() {
	r.group, r.rule, r.state = nil, nil, stateUndecided
	r.countFromStart, r.tasks = false, nil
	r.have &= platform.FieldStat
}

// A threadRecord is the state that the Tracker keeps of one thread.
type threadRecord struct {
	tid            int
	start          uint64     // in the last sample; 0 if unknown
	countFromStart bool       // its usage before the first sample counts
	decreased      counterSet // counters that decreased when they were last compared, or may decrease without an error
	comm           string
	group          *namedThreads // nil if not determined yet
	have           platform.Fields
	base           Counters
}

// isSameThread reports whether now is a sample of the thread. A sample without a
// start time is identified by its TID: the kernel reuses a TID only after it has used all others.
func (n *threadRecord) isSameThread(now *platform.Task) bool {
	return n.tid == now.TID && (n.start == now.Start || n.start == 0 || now.Start == 0)
}

// isSameProcess reports whether s is a sample of the process of r. The ID is sufficient,
// with one exception. The source procfs cannot always distinguish two processes that
// have the same PID and that start in the same clock tick, if the previous walk began in
// that tick. The second one is detected by its lower CPU time, because that of a
// process never decreases. A process that is being reaped has no threads and no CPU
// time, and the source bpf has a finer clock.
func (t *Tracker) isSameProcess(r *processRecord, s *platform.Sample) bool {
	if !r.hasID(s.ID, t.snap.Kind) {
		return false
	}
	if r.kind == platform.SourceBPF || t.snap.Kind == platform.SourceBPF {
		return true
	}
	if s.Start < t.snap.Now-t.thisWalk.elapsed || s.NumThreads == 0 || r.have&s.Have&platform.FieldStat == 0 {
		return true
	}
	return s.UserNanos+s.SystemNanos >= r.base.UserNanos+r.base.SystemNanos
}

// hasID reports whether id, which a walk of a kind has read, is the ID of the process of r.
// The Serials of two kinds are not comparable.
func (r *processRecord) hasID(id platform.ID, kind platform.SourceKind) bool {
	if r.kind != kind {
		id.Serial = r.id.Serial
	}
	return r.id == id
}

// adoptKind prepares a record for samples of another kind, in which ExecID and
// Cgroup have other values for the same program, and counters have another resolution. An
// execve(2) since the previous sample is not detected.
func (r *processRecord) adoptKind(kind platform.SourceKind, s *platform.Sample) {
	r.kind = kind
	r.execID, r.cgroup = s.ExecID, s.Cgroup
	r.decreasedBefore = allCounters
	for i := range r.tasks {
		r.tasks[i].decreased = allCounters
	}
	if !r.hasThreadOf(s) {
		r.replaceMainThread(s)
	}
}

// hasThreadOf reports whether a thread other than the main thread is both in the previous
// sample and in s. Then the process has not called execve(2) since the previous sample,
// because execve(2) ends all other threads.
func (r *processRecord) hasThreadOf(s *platform.Sample) bool {
	at := 0
	for i := range r.tasks {
		n := &r.tasks[i]
		for at < len(s.Tasks) && s.Tasks[at].TID < n.tid {
			at++
		}
		if at < len(s.Tasks) && n.tid != r.id.PID && n.isSameThread(&s.Tasks[at]) {
			return true
		}
	}
	return false
}

// replaceMainThread notes that execve(2) may have replaced the main thread. The thread
// that calls execve(2) gets the TID and the start time of the main thread and keeps its
// own counters, which were counted. So the counters of the main thread continue from
// their next values.
func (r *processRecord) replaceMainThread(s *platform.Sample) {
	r.decreasedBefore |= switchCounters // the thread may have fewer context switches
	unknown := r.have&platform.FieldTasks == 0 && !r.countFromStart
	if s.Have&platform.FieldSwitchesOfAllThreads == 0 && (len(r.tasks) > 0 || unknown) {
		r.mainThreadReplaced = true
	}
	for i := range r.tasks {
		if n := &r.tasks[i]; n.tid == r.id.PID {
			n.have, n.countFromStart = 0, false
		}
	}
}
