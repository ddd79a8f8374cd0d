package grouping

import (
	"cmp"
	"slices"

	"github.com/seed57308aee/process_exporter/platform"
)

// An ExitCount counts the processes of a group that exited with one status.
type ExitCount struct {
	Reason  string // a reason of [platform.Exit.Reason]
	Code    string // exit status, or name of the signal
	Count   uint64
	Matched uint64 // of Count, the processes that matched a rule and did not join the group of an ancestor

	// CountStart and MatchedStart are the times of the last walk before the first exit, at
	// which Count and Matched were 0, in milliseconds since the Unix epoch.
	CountStart, MatchedStart int64
}

// An exitStatus is the key of an [ExitCount] in its group.
type exitStatus struct{ reason, code string }

// An exitCounter holds the counters of an [ExitCount].
type exitCounter struct {
	all, matched           uint64
	allStart, matchedStart int64 // 0 as long as the counter is 0
}

// An awaitedExit is a process that is gone and whose exit event, with its last
// counters, has not arrived.
type awaitedExit struct {
	processRecord
	at uint64 // ticks after boot of the walk that missed it
}

// awaitedExitTimeout is the time in seconds after which a missing exit event is
// dropped. The kernel releases a process when the last reference to it is dropped,
// mostly at once. Some events are lost, because the ring buffer is full.
const awaitedExitTimeout = 60

// reportsExits reports whether the source reports exits. The source bpf also does so in
// walks in which it reads /proc.
func (t *Tracker) reportsExits() bool {
	return t.snap.Kind == platform.SourceBPF || t.src.ExitsReady() != nil
}

// keepUntilExit keeps the record of a process that is gone until its exit event. Without
// exit events (source procfs) the usage since the last walk is lost.
func (t *Tracker) keepUntilExit(r *processRecord) {
	if r.kernelThread {
		return
	}
	if !t.reportsExits() {
		t.noteExit(r.id, r.group)
		return
	}
	key := withoutSerial(r.id)
	if _, taken := t.awaitedExits[key]; taken {
		key = r.id
	}
	t.awaitedExits[key] = awaitedExit{processRecord: *r, at: t.snap.Now}
}

// withoutSerial returns id with Serial 0, the key of maps of processes. In awaitedExits, a second
// process with the same PID and start time has its whole ID as the key.
func withoutSerial(id platform.ID) platform.ID {
	id.Serial = 0
	return id
}

// accountExits adds the usage and the exit status of every process that exited
// since the previous walk to its group. Such a process may have started after that
// walk.
func (t *Tracker) accountExits() {
	t.health.Kind, t.health.LostExitEvents = t.snap.Kind, t.snap.LostExitEvents
	if len(t.snap.Exits) > 0 {
		t.identifyExits()
		for i := range t.exited {
			t.accountExit(&t.exited[i], &t.snap.Exits[i])
			t.noteExit(t.exited[i].id, t.exited[i].group)
		}
		clear(t.exited) // for the garbage collector
		clear(t.exitIndex)
	}
	for id, p := range t.awaitedExits {
		if t.snap.Now-p.at > awaitedExitTimeout*t.snap.TicksPerSecond {
			t.droppedStart = max(t.droppedStart, id.Start)
			delete(t.awaitedExits, id)
			t.noteExit(id, p.group)
		}
	}
}

// identifyExits makes a record for each exited process and assigns it to a group by
// its last identity.
func (t *Tracker) identifyExits() {
	exits := t.snap.Exits
	t.exited = slices.Grow(t.exited[:0], len(exits))[:len(exits)]
	for i := range exits {
		e := &exits[i]
		t.exited[i] = t.takeRecord(e)
		t.exitIndex[e.PID] = i
	}
	for i := range exits {
		t.identifyExit(&t.exited[i], &exits[i])
	}
	t.identityBuffer = platform.Identity{}
	for i := range exits {
		if r := &t.exited[i]; r.state == statePending {
			t.joinAncestor(r, &exits[i].Sample)
		}
	}
}

// takeRecord returns the record of an exited process, or a new record if no
// walk has seen the process.
func (t *Tracker) takeRecord(e *platform.Exit) processRecord {
	if r, ok := t.takeAwaited(e.ID, platform.SourceBPF); ok {
		return r
	}
	return processRecord{id: e.ID, countFromStart: t.startedUnseen(&e.Sample), kind: platform.SourceBPF}
}

// takeAwaited removes the record of a process from awaitedExits. kind is the source of the ID.
// The group of the record may have been removed since, because it was empty.
func (t *Tracker) takeAwaited(id platform.ID, kind platform.SourceKind) (processRecord, bool) {
	key := withoutSerial(id)
	p, ok := t.awaitedExits[key]
	if !ok || !p.hasID(id, kind) {
		key = id
		p, ok = t.awaitedExits[key]
	}
	if !ok {
		return processRecord{}, false
	}
	delete(t.awaitedExits, key)
	switch r := &p.processRecord; {
	case r.group == nil:
	case t.hasGroup(r.group):
		r.group.emptySince = 0 // it must not be removed in this update
	default:
		r.leaveGroup()
		r.identity = identityDue
	}
	return p.processRecord, true
}

// identifyExit matches the last identity of an exited process, unless the process
// was identified before and has not changed since.
func (t *Tracker) identifyExit(r *processRecord, e *platform.Exit) {
	if e.Comm == "" { // only the counters are known
		if r.group == nil {
			r.state = stateExcluded
		}
		return
	}
	if r.kind == platform.SourceBPF && r.execID != 0 && r.execID != e.ExecID {
		r.executed = true
	}
	if r.identity == identityCurrent && !r.executed && r.comm == e.Comm {
		return
	}
	t.identityBuffer = t.src.ExitIdentity(e, t.identityFields)
	t.matchIdentity(r, &e.Sample, &t.identityBuffer)
}

// accountExit adds the usage of an exited process since the previous walk, and its
// exit status.
func (t *Tracker) accountExit(r *processRecord, e *platform.Exit) {
	if r.group == nil {
		d := r.advanceStat(&e.Sample)
		t.matches.ungroupedNanos += d.UserNanos + d.SystemNanos
		return
	}
	t.accountProcess(r, &e.Sample)
	if e.EventLost { // counted in LostExitEvents
		return
	}
	reason, code := e.Reason()
	n := exitCounter{all: 1, allStart: unixMillis(&t.snap, t.previousWalk())}
	t.addEnded(r, e, reason, code)
	if r.state == stateMatched {
		n.matched, n.matchedStart = 1, n.allStart
	}
	t.addExits(r.group, exitStatus{reason, code}, n)
	if e.OOMKilled {
		r.group.oomKills++
	}
}

// exitCounts returns the exits of a group, sorted.
func (g *groupState) exitCounts() []ExitCount {
	out := make([]ExitCount, 0, len(g.exits))
	for status, n := range g.exits {
		out = append(out, ExitCount{status.reason, status.code, n.all, n.matched, n.allStart, n.matchedStart})
	}
	slices.SortFunc(out, func(a, b ExitCount) int {
		return cmp.Or(cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Code, b.Code))
	})
	return out
}
