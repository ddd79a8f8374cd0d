//go:build amd64 || arm64

package platform

import (
	"cmp"

	"github.com/seed57308aee/process_exporter/platform/bpf"
)

// A processKey identifies a process in exit events. A ReapedRecord has no PID of our PID
// namespace: the process has lost it by then.
type processKey struct {
	tgid  uint32 // PID in the initial PID namespace
	start uint64 // nanoseconds after boot
}

// An exitTable turns exit events into Exits. A process exits in two steps: its last thread
// exits, when the kernel still knows its names, and its parent reaps it, after which its
// counters are final. A process between the two steps is pending.
type exitTable struct {
	times   *timeConverter
	page    uint64 // size in bytes
	batch   bpf.Batch
	pending map[processKey]*pendingExit
	zombies map[ID]*pendingExit   // index of pending, nil until it is needed
	expired map[processKey]uint64 // time in clock ticks after boot at which a process was reported without a ReapedRecord
	nested  bool                  // ReapedRecords also report processes outside of our PID namespace

	reaped       []Exit         // since the last walk
	reported     []*pendingExit // parallel to reaped
	keepReported bool           // the last walk failed, so that its exits were not delivered
	reusable     []*pendingExit // for reuse
}

// A pendingExit holds what is known about a process that has exited, or has called execve.
type pendingExit struct {
	Exit
	exited   uint64 // clock ticks after boot; 0 if the process has only called execve
	missing  uint64 // clock ticks after boot since which walks do not find the process; 0 if they do
	updated  uint64 // time of the last event, in clock ticks after boot
	lastComm string // Comm of the process that used the memory before; most names are repeated
}

func newExitTable(times *timeConverter, page uint64) exitTable {
	return exitTable{times: times, page: page, pending: make(map[processKey]*pendingExit), expired: make(map[processKey]uint64)}
}

// takeExits reads the exit events since the last walk.
func (b *bpfSource) takeExits(snap *Snapshot) (err error) {
	l := &b.exits
	l.begin()
	if l.batch, err = b.programs.Events().Take(l.batch); err != nil {
		return err
	}
	for l.batch.Next() {
		if r := l.batch.IdentityRecord(); r != nil {
			l.addIdentity(r, snap.Now)
		} else if r := l.batch.ReapedRecord(); r != nil {
			l.addReaped(r)
		}
	}
	snap.LostExitEvents, err = b.programs.LostEvents()
	return err
}

// begin prepares the table for the events of the next walk.
func (l *exitTable) begin() {
	l.zombies = nil
	if l.keepReported {
		return
	}
	l.reaped = l.reaped[:0]
	l.reusable = append(l.reusable, l.reported[:min(len(l.reported), maxReusableExits-len(l.reusable))]...)
	clear(l.reported)
	l.reported = l.reported[:0]
}

// addIdentity stores the identity of a process until it is reaped. On kernels before 6.16
// an exiting process has no command line any more: that of its last execve remains.
func (l *exitTable) addIdentity(r *bpf.IdentityRecord, now uint64) {
	key := processKey{r.Tgid, r.Start}
	e := l.pending[key]
	if e == nil {
		e = l.newPendingExit()
		l.pending[key] = e
	}
	if r.ArgsLen > 0 || e.ExecID != r.ExecId+1 {
		e.Args = e.Args[:0]
		for _, c := range r.Args[:r.ArgsLen] {
			e.Args = append(e.Args, byte(c))
		}
	}
	e.ID = l.times.id(r.Pid, r.Start)
	e.PPID, e.EUID, e.ExecID, e.Cgroup = int(r.Ppid), r.Uid, r.ExecId+1, r.Cgroup
	e.Comm = commString(&r.Comm, cmp.Or(e.Comm, e.lastComm))
	e.updated = now
	if r.Kind == bpf.KindExit {
		e.exited = now
		e.setFinalUsage(&r.Usage, r.Flags)
		e.Status, e.OOMKilled, e.PeakResidentBytes = r.ExitCode, r.OomKilled != 0, r.PeakRss*l.page
		e.End = l.times.Ticks(r.ExitTime)
	}
}

// setFinalUsage sets the counters of an exited process.
func (e *Exit) setFinalUsage(u *bpf.Usage, flags uint32) {
	e.State = 'X'
	e.Have = FieldStat | FieldStatus
	e.setUsage(u, flags, nil)
}

// addReaped reports a process that was reaped.
func (l *exitTable) addReaped(r *bpf.ReapedRecord) {
	key := processKey{r.Tgid, r.Start}
	e := l.pending[key]
	if e == nil { // it exited before the programs were loaded, the event was lost, or it was reported
		if _, reported := l.expired[key]; reported || l.nested {
			delete(l.expired, key)
			return
		}
		e = l.newPendingExit()
		e.ID = l.times.id(int32(r.Tgid), r.Start)
	}
	delete(l.pending, key)
	e.ExecID, e.EventLost = r.ExecId+1, r.Flags&bpf.EventLost != 0
	e.setFinalUsage(&r.Usage, r.Flags)
	e.Status, e.OOMKilled, e.PeakResidentBytes = r.ExitCode, r.OomKilled != 0, r.PeakRss*l.page
	l.report(e)
}

// maxReusableExits is the maximum number of pendingExits that are kept for reuse.
const maxReusableExits = 4096

// newPendingExit returns a pendingExit, with the memory of a reported one if possible.
func (l *exitTable) newPendingExit() *pendingExit {
	last := len(l.reusable) - 1
	if last < 0 {
		return new(pendingExit)
	}
	e := l.reusable[last]
	l.reusable[last] = nil
	l.reusable = l.reusable[:last]
	*e = pendingExit{Exit: Exit{Args: e.Args[:0]}, lastComm: cmp.Or(e.Comm, e.lastComm)}
	return e
}

// report adds a process to the Exits. The Exits are valid until the next walk, which reuses
// their memory.
func (l *exitTable) report(e *pendingExit) {
	l.reaped = append(l.reaped, e.Exit)
	l.reported = append(l.reported, e)
}

// reapedRecordTicks is the time in clock ticks that the table waits for the ReapedRecord of a
// process that no longer exists. The kernel frees tasks with low priority. About one in a thousand
// records never comes: the ring buffer was full, or the kernel did not run the program.
const reapedRecordTicks = 200

// lateReapedRecordTicks is the time in clock ticks after which a ReapedRecord does not come any more.
const lateReapedRecordTicks = 6000

// expireExits reports the processes whose ReapedRecord did not arrive in time, with the
// counters that they had when their last thread exited. The time begins when a walk does not
// find the process: until then it is a zombie.
func (b *bpfSource) expireExits(snap *Snapshot) {
	l := &b.exits
	for key, e := range l.pending {
		switch {
		case e.exited == 0:
		case snap.contains(e.ID):
			e.missing = 0
		case e.missing == 0:
			e.missing = max(snap.Now, 1)
		case snap.Now >= e.missing+reapedRecordTicks:
			delete(l.pending, key)
			l.expired[key] = snap.Now
			l.report(e)
			if b.programs != nil {
				b.programs.Forget(key.tgid, key.start)
			}
		}
	}
	snap.Exits = l.reaped
	l.expireRunning(snap)
	for key, at := range l.expired {
		if snap.Now >= at+lateReapedRecordTicks {
			delete(l.expired, key)
		}
	}
}

// expireRunning deletes the identities of processes that have called execve and whose exit
// event was lost. Processes that have exited stay: on a machine with thousands of exits per
// second the kernel reaps them late. Recent entries stay too: the exit event of such a
// process may come next.
func (l *exitTable) expireRunning(snap *Snapshot) {
	if len(l.pending) < 1024+2*len(snap.Samples) {
		return
	}
	for key, e := range l.pending {
		if e.exited == 0 && snap.Now >= e.updated+reapedRecordTicks && !snap.contains(e.ID) {
			delete(l.pending, key)
		}
	}
}

// blankExited removes what the last walk read of processes that have been reaped since. The
// walk keeps the Sample of a process that it cannot read, and another process may have the
// PID by then: an exited process would be in the Samples and in the Exits.
func (s *Snapshot) blankExited(exits []Exit) {
	for i := range exits {
		if id := exits[i].ID; s.contains(id) {
			s.Samples[s.Index(id.PID)] = Sample{ID: ID{PID: id.PID}}
		}
	}
}

// contains reports whether the Snapshot has a Sample of a process with an ID of the source
// bpf. A walk of /proc does not know the Serial.
func (s *Snapshot) contains(id ID) bool {
	at := s.Index(id.PID)
	if at < 0 {
		return false
	}
	found := s.Samples[at].ID
	if s.Kind == SourceProcfs {
		found.Serial = id.Serial
	}
	return found == id
}

// zombie returns the Exit of a process that has exited and is not reaped, or nil. It uses an
// index, because there may be thousands of zombies.
func (l *exitTable) zombie(id ID) *Exit {
	if l.zombies == nil {
		l.zombies = make(map[ID]*pendingExit, len(l.pending))
		for _, e := range l.pending {
			l.zombies[e.ID] = e
		}
	}
	if e := l.zombies[id]; e != nil {
		return &e.Exit
	}
	return nil
}

// ExitIdentity implements Source.
func (b *bpfSource) ExitIdentity(e *Exit, want IdentityFields) Identity {
	id := b.procfsSource.ExitIdentity(e, want)
	if want&IdentityCgroups != 0 {
		if path, ok := b.cgroups.path(e.Cgroup); ok {
			id.Cgroups = []string{path}
		}
	}
	return id
}
