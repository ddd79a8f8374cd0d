package grouping

import "github.com/seed57308aee/process_exporter/platform"

// A recordState says which group a process is in, and why.
type recordState uint8

const (
	stateUnmatched   recordState = iota // no group: not identified yet, or rechecked at every update
	stateIgnored                        // no group until it executes another program
	statePending                        // matches no rule; joinAncestor decides in the same update
	stateMatched                        // in the group of a rule that matches it
	stateInherited                      // in the group of an ancestor, for as long as no rule matches it
	stateProvisional                    // in the group of an ancestor, which is searched again
)

// An identityState says whether the identity of a process must be read.
type identityState uint8

const (
	identityMissing identityState = iota // not read, or changed since
	identityYoung                        // read when the process was young: read it once more
	identityCurrent
)

// A record is the state that the Tracker keeps of one live process.
type record struct {
	id       platform.ID
	parent   int // PID of the parent when the process inherited its group
	state    recordState
	identity identityState

	executed           bool // called execve(2) since the last update
	mainThreadReplaced bool // execve(2) may have replaced the main thread, whose context switches are not read yet
	kernelThread       bool // no source reports its exit
	countFromStart     bool // started after the first walk: its usage before the first sample counts
	active             bool // used a CPU since the last revalidation of its identity

	decreased       counterSet // counters that decreased in this walk
	decreasedBefore counterSet // counters that decreased in the walk before

	execID uint64 // ExecID of the last sample
	comm   string // Comm of the last sample

	fingerprint uint64 // of the identity at the last match, see [platform.Identity]; 0 without
	euid        uint32 // at the last match
	cgroup      uint64 // at the last match, 0 if unknown

	rule  *Rule       // that matches the process or its ancestor; nil if none does
	group *groupState // nil in no group
	have  platform.Fields
	cpu   uint64   // nanoseconds of user and system time in the last sample
	base  Counters // values up to which usage is counted; have says which were read
	tasks []task   // ascending by tid
}

// inherits reports whether the process is in the group of an ancestor.
func (r *record) inherits() bool { return r.state == stateInherited || r.state == stateProvisional }

// A task is the state that the Tracker keeps of one thread.
type task struct {
	tid            int
	start          uint64
	countFromStart bool // its usage before the first sample counts
	comm           string
	group          *threadGroup // nil if not determined yet
	have           platform.Fields
	base           Counters
}

// isSameThread reports whether now is a sample of the thread.
func (n *task) isSameThread(now *platform.Task) bool { return n.tid == now.TID && n.start == now.Start }

// isSameProcess reports whether s is a sample of the process of r. PID and start
// time are nearly sufficient. A PID that the kernel reused within one clock tick is
// detected by the CPU time, which never decreases. A process that is being reaped
// has no threads and no CPU time, and another source may have a coarser clock.
func (t *Tracker) isSameProcess(r *record, s *platform.Sample) bool {
	if r.id != s.ID {
		return false
	}
	if t.lastWalk.sourceChanged || s.Threads == 0 || r.have&s.Have&platform.FieldStat == 0 {
		return true
	}
	return s.UserNanos+s.SystemNanos >= r.cpu
}

// adoptSource prepares a record for samples of another source, in which ExecID and
// Cgroup have other values for the same program, and counters have other steps.
func (r *record) adoptSource(s *platform.Sample) {
	r.execID, r.cgroup = s.ExecID, s.Cgroup
	r.decreasedBefore = allCounters
}
