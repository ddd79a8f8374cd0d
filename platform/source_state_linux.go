package platform

import (
	"slices"
	"time"
)

// A processState is what a source stores about a process between walks, besides its
// Sample.
type processState struct {
	pid      int
	activity activity      // procfs
	smaps    smapsState    // both sources
	threads  []threadState // parallel to Sample.Tasks

	// fdLimitFinal is set if FDLimit was read when the process was old enough to have set
	// its own limit.
	fdLimitFinal bool

	// inode is the inode number of /proc/PID if another process may have the same PID and
	// start time, else 0.
	inode uint64
}

// A threadState is what a source stores about a thread between walks, besides its Task.
type threadState struct {
	activity threadActivity // procfs

	// ranSinceWChan is set if the thread has run since WChan was read (bpf).
	ranSinceWChan bool
}

// A smapsState describes the last read of FieldSmaps.
type smapsState struct {
	cost  time.Duration // CPU time
	walk  uint32        // walk number, truncated
	stale bool          // memory of the process has changed since
}

// A stateTable holds the states of the processes of the Snapshot that a source walks.
type stateTable struct {
	snap      *Snapshot
	walk      uint64         // walk number of snap
	processes []processState // parallel to snap.Samples

	arenas    [2][]threadState // memory of processState.threads, of this walk and of the last one
	arena     int              // index in arenas of this walk
	newArenas int              // number of following walks that allocate a new arena
}

// begin prepares the states for a walk over pids. Snapshot.begin must have been called.
func (t *stateTable) begin(snap *Snapshot, pids []int) {
	if t.snap != snap || t.walk+1 != snap.walks {
		t.processes = t.processes[:0] // they belong to other Samples
	}
	t.snap, t.walk = snap, snap.walks
	t.arena = 1 - t.arena
	if t.newArenas > 0 {
		t.newArenas--
		t.arenas[t.arena] = nil
	}
	t.arenas[t.arena] = t.arenas[t.arena][:0]
	t.processes = alignByPID(t.processes, pids, statePID, func(pid int) processState { return processState{pid: pid} })
}

func statePID(s *processState) int { return s.pid }

// attach makes the states those of snap, if the last walk was of another Snapshot.
func (t *stateTable) attach(snap *Snapshot) {
	if t.snap == snap && t.walk == snap.walks && len(t.processes) == len(snap.Samples) {
		return
	}
	t.snap, t.walk, t.processes = snap, snap.walks, t.processes[:0]
	for i := range snap.Samples {
		t.processes = append(t.processes, processState{pid: snap.Samples[i].PID})
	}
}

// remove marks the Sample and the state at index i for finish.
func (t *stateTable) remove(i int) {
	t.snap.remove(i)
	t.processes[i] = processState{}
}

// finish deletes the Samples and states that remove has marked.
func (t *stateTable) finish() {
	t.snap.finish()
	t.processes = deleteWithoutPID(t.processes, statePID)
}

// replaceArenas makes the next walks allocate new memory for threads, because an
// abandoned worker may still read the old memory.
func (t *stateTable) replaceArenas() {
	t.newArenas, t.snap.newArenas = len(t.arenas), len(t.snap.arenas)
}

// keepUnread keeps the Sample of a process that this walk did not read, so that the
// process does not seem to have exited. A process that was never read has no Sample to
// keep.
func (t *stateTable) keepUnread(i int) {
	if p := &t.snap.Samples[i]; p.blank() {
		t.remove(i)
	} else {
		*p = p.unread()
		t.processes[i].activity = activity{}
	}
}

// load copies the Sample and the state at index i.
func (t *stateTable) load(i int, to *procfsSample) {
	to.Sample, to.state = t.snap.Samples[i], t.processes[i]
}

// store copies a Sample and its state, with their threads, to index i.
func (t *stateTable) store(i int, from *procfsSample) {
	t.snap.storeTasks(&from.Sample)
	from.state.threads = appendToArena(&t.arenas[t.arena], from.state.threads)
	from.state.pid = from.PID
	t.snap.Samples[i], t.processes[i] = from.Sample, from.state
}

// inode returns the inode number of /proc/PID that is stored for a process, or 0.
func (t *stateTable) inode(pid int) uint64 {
	at, found := slices.BinarySearchFunc(t.processes, pid, func(s processState, pid int) int { return s.pid - pid })
	if !found {
		return 0
	}
	return t.processes[at].inode
}

// A procfsSample is a Sample with the state that belongs to it.
type procfsSample struct {
	Sample
	state processState
}
