package grouping

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/platform/sockets"
)

// Options configures how a [Tracker] assigns processes to groups.
type Options struct {
	Children     bool          // an ungrouped process joins the group of its nearest grouped ancestor
	Recheck      bool          // ungrouped processes are identified again at every update
	RecheckLimit time.Duration // age after which an ungrouped process is not identified again; a value other than 0 implies Recheck
	RemoveEmpty  bool          // remove a group and its counters when its last process exits
	Collectors   CollectorSet  // enabled for every group, unless its rule differs
	Disabled     CollectorSet  // disabled for every group, also if its rule enables them

	// MatchBudget is the CPU time that one Update may spend on matching; 0 is no limit.
	// Processes that exceed it are matched in a later Update. The first Update with new
	// rules has no limit. CPUTime returns the CPU time that this program has used.
	MatchBudget time.Duration
	CPUTime     func() time.Duration

	// MaxGroups limits the number of groups that rules create from names of
	// processes. MaxThreadNames limits the number of thread names in all groups.
	// Both also limit the total length of these names. Processes and threads above a
	// limit are counted in [OtherName]. 0 means no limit.
	MaxGroups, MaxThreadNames int

	Containers ContainerFinder // finds names of containers; nil if they are unknown
	Sockets    sockets.Reader  // reads network sockets at every update; nil without
}

// A ContainerFinder finds names of containers. Package platform/containers implements it.
type ContainerFinder interface {
	// Lookup returns the names of a container by its ID, and of its pod by its UID. It
	// returns false if a later call can return more names.
	Lookup(id, podUID string) (names platform.ContainerNames, final bool)
}

// A Tracker assigns the processes of a machine to groups and adds up the resource
// usage of each group. The counters of a group never decrease, also when a process
// exits, hides a file or changes its group.
//
// Only SetMatcher is safe for concurrent use.
type Tracker struct {
	src    platform.Source
	opts   Options
	health Health

	matcher        Matcher
	identityFields platform.IdentityFields // that matcher needs
	labels         []string                // label names of matcher
	inherits       bool                    // the options or a rule let processes join the group of an ancestor

	snap       platform.Snapshot
	records    []processRecord // records[i] belongs to snap.Samples[i] after alignRecords
	groups     map[string]*groupState
	limits     cardinality
	comparison fingerprintComparison
	matches    matchCounter
	budget     matchBudget
	thisWalk   walkInfo
	firstWalk  uint64 // ticks after boot at which the first walk began

	awaitedExits map[platform.ID]awaitedExit // processes that are gone and whose exit event is missing, see withoutSerial
	droppedStart uint64                      // latest start of a process that was dropped from awaitedExits
	exited       []processRecord             // exited[i] belongs to snap.Exits[i] during accountExits
	exitIndex    map[int]int                 // index in exited by PID; empty outside of accountExits

	sockets socketTracker

	watches   map[watchKey]*processWatch // of the last call of Processes
	keepEnded bool
	ended     []EndedProcess // of this update, with keepEnded

	taskBuffer     []threadRecord    // reused by alignTasks
	identityBuffer platform.Identity // reused by identifyExits

	mu   sync.Mutex // guards next
	next Matcher    // replaces matcher at the next Update
}

// walkInfo describes the walk of an update, and the time since the previous walk.
type walkInfo struct {
	number  uint64 // from 1
	now     uint64 // ticks after boot at which the walk began
	elapsed uint64 // ticks since the previous walk began; 0 at the first
}

// NewTracker returns a Tracker of the processes of src with the rules of m.
func NewTracker(src platform.Source, m Matcher, o Options) *Tracker {
	if o.RecheckLimit != 0 {
		o.Recheck = true
	}
	t := &Tracker{
		src:          src,
		opts:         o,
		groups:       make(map[string]*groupState),
		awaitedExits: make(map[platform.ID]awaitedExit),
		exitIndex:    make(map[int]int),
	}
	t.sockets.reader = o.Sockets
	t.useMatcher(m)
	return t
}

// SetMatcher replaces the Matcher at the next Update. Known processes are matched
// again. It is safe for concurrent use.
func (t *Tracker) SetMatcher(m Matcher) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next = m
}

// ExitsReady returns a channel that receives when an Update is due to drain exit
// events; see [platform.Source].
func (t *Tracker) ExitsReady() <-chan struct{} { return t.src.ExitsReady() }

// Kind returns the kind of the source that the last walk used, and the reason for a
// fallback to /proc; see [platform.Source].
func (t *Tracker) Kind() (kind platform.SourceKind, reason error) { return t.src.Kind() }

// CPUTime returns the CPU time that this program has used, or 0 if the options have no function for it.
func (t *Tracker) CPUTime() time.Duration {
	if t.opts.CPUTime == nil {
		return 0
	}
	return t.opts.CPUTime()
}

// Collectors returns the collectors that the options enable, with CollectorNetwork if sockets
// are read. Rules can enable others.
func (t *Tracker) Collectors() CollectorSet {
	if t.sockets.reader != nil {
		return t.opts.Collectors | CollectorNetwork
	}
	return t.opts.Collectors
}

// Health returns the errors of the last Update and the error counters.
func (t *Tracker) Health() Health { return t.health }

// LabelNames returns the names of the labels that groups have in addition to
// their name, as of the last Update.
func (t *Tracker) LabelNames() []string { return t.labels }

// UpdateForExits is an Update between scrapes. It does not read proportional memory, which costs
// much CPU time: a new process has none until the next Update.
func (t *Tracker) UpdateForExits(ctx context.Context) ([]Group, error) {
	t.snap.SkipSmaps = true
	defer func() { t.snap.SkipSmaps = false }()
	return t.Update(ctx)
}

// Update walks all processes once and returns every known group. The caller owns
// the result. When ctx ends first, processes that were not reached keep their
// group and their counters. On error there was no walk and no group changed.
func (t *Tracker) Update(ctx context.Context) ([]Group, error) {
	if err := t.walk(ctx); err != nil {
		return nil, err
	}
	t.readSockets(ctx)
	t.alignRecords()
	t.applyNextMatcher()
	t.compareFingerprints(ctx)
	t.match(ctx)
	t.src.Complete(ctx, &t.snap)
	t.account()
	t.accountExits()
	t.accountSockets()
	return t.summarize(), nil
}

// walk lists the processes. It leaves a quarter of the time until the deadline
// for the other steps: on a machine where every walk ends at its deadline, new
// processes would never be identified otherwise.
func (t *Tracker) walk(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-time.Until(deadline)/4))
		defer cancel()
	}
	if err := t.src.Walk(ctx, &t.snap); err != nil {
		return err
	}
	last := t.thisWalk
	t.thisWalk = walkInfo{number: last.number + 1, now: t.snap.Now}
	if last.number == 0 {
		t.firstWalk = t.snap.Now
	} else {
		t.thisWalk.elapsed = t.snap.Now - last.now
	}
	t.limits.full, t.limits.threadsFull = false, false
	return nil
}

// alignRecords moves the records to the indexes of their Samples, in place. Both
// slices ascend by PID: the first pass removes records of processes that are gone,
// the second inserts records of new processes, from the end.
func (t *Tracker) alignRecords() {
	samples := t.snap.Samples
	at := 0
	known := slices.DeleteFunc(t.records, func(r processRecord) bool {
		for at < len(samples) && samples[at].PID < r.id.PID {
			at++
		}
		gone := at == len(samples) || !t.isSameProcess(&r, &samples[at])
		if gone {
			t.keepUntilExit(&r)
		}
		return gone
	})
	if t.records = known; cap(known) < len(samples) { // allocate once, with little spare capacity
		t.records = make([]processRecord, 0, len(samples)+len(samples)/32)
	}
	t.records = t.records[:len(samples)]
	for i := len(samples) - 1; i >= 0; i-- {
		s := &samples[i]
		if last := len(known) - 1; last >= 0 && known[last].hasID(s.ID, t.snap.Kind) {
			t.records[i], known = known[last], known[:last]
			t.records[i].id = s.ID
		} else {
			t.records[i] = t.newRecord(s)
		}
		if r := &t.records[i]; r.kind != t.snap.Kind && s.Have&platform.FieldStat != 0 {
			r.adoptKind(t.snap.Kind, s)
		}
	}
}

// newRecord returns the record of a process that the previous walk did not find. Usage
// from before the first walk is not counted. A process that started later is counted
// from its start, unless an earlier walk found it.
func (t *Tracker) newRecord(s *platform.Sample) processRecord {
	if r, ok := t.takeAwaited(s.ID, t.snap.Kind); ok {
		r.id = s.ID          // the other kind may have set the Serial
		r.matchAgain(s.PPID) // the rules may have been replaced since
		return r
	}
	return processRecord{
		id: s.ID, countFromStart: t.thisWalk.number > 1 && t.startedUnseen(s),
		kernelThread: s.KernelThread, kind: t.snap.Kind,
	}
}

// applyNextMatcher replaces the Matcher with that of SetMatcher, and marks every
// process for a new match. A process whose parent has exited since it inherited its
// group stays in the group, because its ancestors can no longer be found.
func (t *Tracker) applyNextMatcher() {
	t.mu.Lock()
	next := t.next
	t.next = nil
	t.mu.Unlock()
	if next == nil {
		return
	}
	t.useMatcher(next)
	for i := range t.records {
		t.records[i].matchAgain(t.snap.Samples[i].PPID)
	}
}

// startedUnseen reports whether no walk can have found a process before. The first walk
// found all processes that had started before it. A process that started before one
// that was dropped from awaitedExits may have been dropped as well.
func (t *Tracker) startedUnseen(s *platform.Sample) bool {
	return s.Start >= t.firstWalk && s.Start > t.droppedStart
}

// matchAgain marks a process for a new match. ppid is the PID of its parent now.
func (r *processRecord) matchAgain(ppid int) {
	if r.identity == identityCurrent {
		r.identity = identityDue
	}
	r.fingerprint = 0
	if r.state == stateInherited && r.parent == ppid {
		r.state = stateProvisional
	}
}
