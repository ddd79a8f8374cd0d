package grouping

import (
	"slices"

	"github.com/seed57308aee/process_exporter/platform"
)

// A ledgerValue is a counter of a process or thread, up to the value that was counted.
type ledgerValue struct {
	known bool
	taken uint64
}

// take returns what a reading adds: the increase above the highest reading, or all at
// the first reading with fromStart.
func (v *ledgerValue) take(now uint64, fromStart bool) (amount uint64) {
	switch {
	case v.known:
		amount = max(now, v.taken) - v.taken
	case fromStart:
		amount = now
	}
	*v = ledgerValue{true, max(now, v.taken)}
	return amount
}

// A threadLedger is what was counted of one thread. A thread keeps it when execve(2)
// gives it the TID of the main thread.
type threadLedger struct {
	switches, cpu ledgerValue
	cpuFromStart  bool
	ofOther       bool   // continues the values of an exited thread that had the TID
	lastSwitches  uint64 // in the last sample
}

// A processLedger is what was counted of one process.
type processLedger struct {
	seen      bool // by a walk
	fromStart bool // usage before the first reading counts
	counted   bool
	executed  bool // since the last event of execve(2) was observed

	group    *groupState // as of the last update
	state    recordState
	identity identityState
	comm     string
	bpf      bool   // the source of the last sample
	execID   uint64 // of the last sample
	started  bool   // called execve(2) since it was identified

	cpu, faults, io  ledgerValue
	allSwitches      ledgerValue // of the source bpf
	statusKnown      bool        // of the source procfs
	tasksKnown       bool
	threads          []*modelThread // in the last sample, if there were several
	startsKnown      bool           // of these threads
	replaced         bool           // execve(2) may have replaced the main thread: its next switches may be missed
	replacedSwitches uint64         // counted of main threads that execve(2) has ended
	replacedTask     bool           // likewise for the usage of the main thread

	missing uint64 // ticks after boot of the walk that missed it, or 0
}

// ledgerTotals are the expected counters of the groups of one name.
type ledgerTotals struct {
	cpu, faults, io, switches, threadCPU uint64
	missedSwitches, missedThreadCPU      uint64 // that the Tracker may leave out
	starts, exits, matchedExits, changes uint64
}

// A modelLedger computes the expected counters from the events of a world. It takes from
// the Tracker only the group of each live process and whether it is identified.
type modelLedger struct {
	*Tracker
	src          *modelSource
	groups       map[string]*ledgerTotals
	ungrouped    uint64
	began        uint64 // ticks after boot of the first walk
	droppedStart uint64
	missing      map[*modelProcess]bool
	topCPU       map[*groupState][]uint64
	known        map[*groupState]bool          // all groups after the previous update
	removed      map[*groupState]bool          // groups that an update removed
	threadNames  map[*namedThreads]*groupState // all thread names after the previous update
}

func (l *modelLedger) totals(g *groupState) *ledgerTotals {
	to := l.groups[g.name]
	if to == nil {
		to = new(ledgerTotals)
		l.groups[g.name] = to
	}
	return to
}

// observe updates the ledger after an update of the Tracker.
func (l *modelLedger) observe() {
	l.topCPU = make(map[*groupState][]uint64)
	defer l.observeGroups()
	live := make(map[*modelProcess]bool)
	for i, p := range l.src.found {
		live[p] = true
		if s := &l.snap.Samples[i]; s.Have&platform.FieldStat != 0 {
			l.observeSample(p, &l.records[i], s)
		} else if p.ledger.seen { // new rules may apply to it
			p.ledger.identity, p.ledger.state = l.records[i].identity, l.records[i].state
		}
		p.ledger.missing = 0
	}
	l.observeExits()
	l.observeMissing(live)
	for name := range l.groups { // removed because it was empty
		if !l.hasGroup(name) {
			delete(l.groups, name)
		}
	}
}

// observeGroups notes which groups and thread names exist.
func (l *modelLedger) observeGroups() {
	for g := range l.known {
		if l.Tracker.groups[g.key] != g {
			delete(l.known, g)
			l.removed[g] = true
		}
	}
	for _, g := range l.Tracker.groups {
		l.known[g] = true
		for _, tg := range g.threads {
			l.threadNames[tg] = g
		}
	}
}

func (l *modelLedger) hasGroup(name string) bool {
	for _, g := range l.Tracker.groups {
		if g.name == name {
			return true
		}
	}
	return false
}

// observeSample updates the ledger of a process whose stat was read.
func (l *modelLedger) observeSample(p *modelProcess, r *processRecord, s *platform.Sample) {
	pl := &p.ledger
	if !pl.seen {
		pl.seen, pl.fromStart, pl.bpf = true, l.thisWalk.number > 1 && p.Start >= l.began && p.Start > l.droppedStart, !l.src.procfs
	}
	l.followGroup(p)
	if p.zombie && pl.group != nil { // it keeps its group until its exit event
		pl.observeReplacedThread(p, s)
		if pl.bpf == l.src.procfs { // a call of execve(2) before a change of the source is not detected
			pl.execID = s.ExecID
		}
	} else {
		l.observeExec(p, s)
		pl.execID = s.ExecID
	}
	pl.bpf, pl.comm, pl.state, pl.identity = !l.src.procfs, r.comm, r.state, r.identity
	l.move(p, r.group)
	cpu := s.UserNanos + s.SystemNanos
	switch {
	case pl.group != nil:
		l.observeUsage(p, r, s)
	case r.identity == identityCurrent && (!pl.fromStart || s.Start+5*modelHertz <= l.snap.Now):
		l.ungrouped += pl.cpu.take(cpu, pl.fromStart)
		pl.faults.take(s.MinorFaults, pl.fromStart)
		pl.fromStart, pl.counted = false, true
	case !pl.fromStart && !pl.cpu.known:
		pl.cpu.take(cpu, false)
		pl.faults.take(s.MinorFaults, false)
	}
	if r.identity != identityDue {
		pl.started = false
	}
}

// observeExec updates the ledger if the sample has another ExecID, or another source.
func (l *modelLedger) observeExec(p *modelProcess, s *platform.Sample) {
	pl := &p.ledger
	otherSource := pl.bpf == l.src.procfs
	if pl.execID == 0 || pl.execID == s.ExecID && !otherSource {
		return
	}
	if pl.observeReplacedThread(p, s) && !otherSource {
		pl.started = true
	}
}

// observeReplacedThread updates the ledger of a process that may have called execve(2),
// and reports false if it has not.
func (pl *processLedger) observeReplacedThread(p *modelProcess, s *platform.Sample) bool {
	for _, n := range p.threads {
		// The first walk of procfs reads no threads of a process that the previous walk missed.
		if len(s.Tasks) > 0 && (pl.missing == 0 || !pl.bpf) && n.tid != p.PID && pl.lastThread(n, s) != nil {
			return false // a thread lives on: there was no execve(2)
		}
	}
	pl.replacedTask = pl.replacedTask || len(pl.threads) > 0
	if s.Have&platform.FieldSwitchesOfAllThreads == 0 && (len(pl.threads) > 0 || !pl.tasksKnown && !pl.fromStart) {
		pl.replaced = true
	}
	return true
}

// lastThread returns the thread of the last sample that the Tracker takes for n, or nil.
// Without start times, this can be an exited thread whose TID n has.
func (pl *processLedger) lastThread(n *modelThread, s *platform.Sample) *modelThread {
	for last := n; last != nil; last = last.before {
		if slices.Contains(pl.threads, last) {
			return last
		}
		if pl.startsKnown && s.Tasks[0].Start != 0 {
			return nil
		}
	}
	return nil
}

// followGroup updates the ledger of a process whose group was merged into another one, or
// was removed while the process was missing.
func (l *modelLedger) followGroup(p *modelProcess) {
	pl := &p.ledger
	for pl.group != nil && pl.group.mergedInto != nil {
		pl.group = pl.group.mergedInto
	}
	if pl.group != nil && l.removed[pl.group] {
		pl.leave(p)
		pl.state, pl.identity = stateUndecided, identityDue
	}
}

// move updates the ledger of a process that may have another group than before.
func (l *modelLedger) move(p *modelProcess, to *groupState) {
	pl := &p.ledger
	if pl.group == to {
		return
	}
	if to == nil { // usage from now on is in no group
		pl.leave(p)
		return
	}
	if pl.started || pl.group == nil && pl.fromStart {
		l.totals(to).starts++
	}
	if pl.counted {
		l.totals(to).changes++
	}
	pl.group = to
}

// leave forgets all values except those of stat.
func (pl *processLedger) leave(p *modelProcess) {
	*pl = processLedger{
		seen: pl.seen, counted: pl.counted, state: pl.state, identity: pl.identity, comm: pl.comm, bpf: pl.bpf, execID: pl.execID,
		started: pl.started, cpu: pl.cpu, faults: pl.faults,
	}
	for _, n := range p.threads {
		n.ledger = threadLedger{}
	}
}

// observeUsage adds the usage of a grouped process.
func (l *modelLedger) observeUsage(p *modelProcess, r *processRecord, s *platform.Sample) {
	pl, to := &p.ledger, l.totals(p.ledger.group)
	cpu := pl.cpu.take(s.UserNanos+s.SystemNanos, pl.fromStart)
	to.cpu += cpu
	to.faults += pl.faults.take(s.MinorFaults, pl.fromStart)
	if r != nil && r.rule.Top > 0 && cpu > 0 {
		l.topCPU[pl.group] = append(l.topCPU[pl.group], cpu)
	}
	if s.Have&platform.FieldIO != 0 {
		to.io += pl.io.take(s.WriteBytes, pl.fromStart)
	}
	if s.Have&platform.FieldStatus != 0 {
		if s.Have&platform.FieldSwitchesOfAllThreads != 0 {
			to.switches += pl.takeAllSwitches(s.VoluntarySwitches)
			for _, n := range p.threads {
				n.ledger.switches.take(n.switches, false)
			}
		} else {
			pl.observeMainThread(p, to)
		}
	}
	if s.Have&platform.FieldTasks != 0 {
		pl.observeTasks(p, s, to)
	}
	pl.counted = true
}

// takeAllSwitches returns what a reading of the context switches of all threads adds. The
// first one after readings of the main thread adds nothing.
func (pl *processLedger) takeAllSwitches(now uint64) (amount uint64) {
	if !pl.allSwitches.known && pl.statusKnown {
		pl.allSwitches = ledgerValue{true, now}
		return 0
	}
	return pl.allSwitches.take(now, pl.fromStart)
}

// observeMainThread adds the context switches of the main thread, with the source procfs.
func (pl *processLedger) observeMainThread(p *modelProcess, to *ledgerTotals) {
	n := p.threads[0]
	fromStart := pl.fromStart
	if pl.statusKnown || pl.allSwitches.known { // execve(2) has made another thread the main thread
		fromStart = fromStart || pl.tasksKnown
	}
	amount := n.ledger.switches.take(n.switches, fromStart)
	to.switches += amount
	missed := min(amount, pl.replacedSwitches) // the Tracker does not know that it is another thread
	pl.replacedSwitches -= missed
	if pl.replaced || pl.allSwitches.known {
		missed, pl.replacedSwitches = amount, 0
	}
	to.missedSwitches += missed
	pl.statusKnown, pl.allSwitches, pl.replaced = true, ledgerValue{}, false
}

// observeTasks adds the usage of threads.
func (pl *processLedger) observeTasks(p *modelProcess, s *platform.Sample, to *ledgerTotals) {
	if len(s.Tasks) == 0 {
		pl.threads, pl.replacedTask, pl.tasksKnown = nil, false, true
		p.threads[0].ledger.cpu, p.threads[0].ledger.cpuFromStart = ledgerValue{}, false
		return
	}
	for i, n := range p.threads {
		main, last := i == 0, pl.lastThread(n, s)
		if last != nil && last != n {
			n.ledger = last.ledger
			n.ledger.ofOther = true
		}
		n.ledger.lastSwitches = n.switches
		if last == nil && !(main && len(pl.threads) > 0) {
			n.ledger.cpu = ledgerValue{}
			if n.ledger.cpuFromStart = pl.fromStart; pl.tasksKnown {
				n.ledger.cpuFromStart = !main
			}
		}
		if !main && s.Have&platform.FieldSwitchesOfAllThreads == 0 {
			to.switches += n.ledger.switches.take(n.switches, pl.fromStart || pl.tasksKnown)
		}
		if s.Have&platform.FieldTaskUsage != 0 {
			amount := n.ledger.cpu.take(n.shownCPU(s.Have), n.ledger.cpuFromStart)
			to.threadCPU += amount
			if main && pl.replacedTask {
				to.missedThreadCPU += amount
				n.ledger.cpu.taken = n.shownCPU(s.Have) // another source may have a coarser clock
				pl.replacedTask = false
			}
		}
	}
	pl.threads, pl.tasksKnown, pl.startsKnown = p.threads, true, s.Tasks[0].Start != 0
}

// observeMissing updates processes that are gone and whose exit event has not arrived.
func (l *modelLedger) observeMissing(live map[*modelProcess]bool) {
	for p := range l.missing {
		if live[p] || !l.src.bpf && p.ledger.missing == 0 {
			delete(l.missing, p)
		} else if p.ledger.missing == 0 {
			p.ledger.missing = l.snap.Now
		}
		if p.ledger.missing > 0 && l.snap.Now-p.ledger.missing > awaitedExitTimeout*modelHertz && l.missing[p] {
			l.droppedStart = max(l.droppedStart, p.Start)
			p.ledger = processLedger{}
			for _, n := range p.threads {
				n.ledger = threadLedger{}
			}
			delete(l.missing, p)
		}
	}
	for p := range live {
		l.missing[p] = true
	}
}

// An exitResult says which group an exited process was in.
type exitResult struct {
	group   *groupState
	matched bool // by a rule; false if the process joined the group of an ancestor
	ignored bool // in no group, and none that an ancestor has
	done    bool
}

// observeExits updates the ledger of the processes that have exited.
func (l *modelLedger) observeExits() {
	results := make([]exitResult, len(l.src.ended))
	for i := range l.src.ended {
		results[i] = l.exitByName(&l.src.ended[i])
	}
	for i := range l.src.ended {
		e := &l.src.ended[i]
		p, pl, g := e.modelProcess, &e.ledger, results[i].group
		if !results[i].done && l.opts.Children {
			g = l.ancestorGroup(results, p.ppid, p.Start)
		}
		delete(l.missing, p)
		if g != nil && l.Tracker.groups[g.key] != g { // removed
			continue
		}
		s := e.event().Sample
		l.move(p, g)
		if g == nil {
			l.ungrouped += pl.cpu.take(s.UserNanos+s.SystemNanos, pl.fromStart)
			continue
		}
		l.observeUsage(p, nil, &s)
		if !e.lost {
			l.totals(g).exits++
			if results[i].matched {
				l.totals(g).matchedExits++
			}
		}
	}
}

// exitByName returns the group that an exited process has by itself.
func (l *modelLedger) exitByName(e *modelExit) exitResult {
	p, pl := e.modelProcess, &e.ledger
	if !pl.seen {
		pl.fromStart = p.Start >= l.began && p.Start > l.droppedStart
	}
	l.followGroup(p)
	same := exitResult{pl.group, pl.state == stateMatched, pl.group == nil && pl.state != stateUndecided || e.lost, true}
	if e.lost {
		return same
	}
	if pl.bpf && pl.execID != 0 && pl.execID != p.execID {
		pl.started = true
	} else if pl.identity == identityCurrent && pl.comm == p.comm {
		return same
	}
	id := p.identity()
	id.Args = []string{p.args}
	m := l.matcher.Match(&id)
	switch {
	case m.OK:
		g := l.Tracker.groups[GroupKey(m.Group, m.Labels)]
		if g == nil { // removed
			g = newGroup(&m)
		}
		return exitResult{group: g, matched: true, done: true}
	case m.Rule != nil:
		return exitResult{ignored: true, done: true}
	case pl.state == stateInherited:
		return same
	}
	return exitResult{}
}

// ancestorGroup returns the group of the nearest ancestor in a group.
func (l *modelLedger) ancestorGroup(results []exitResult, ppid int, start uint64) *groupState {
	for range 100 {
		if i := l.snap.Index(ppid); i >= 0 && l.snap.Samples[i].Start <= start {
			r := &l.records[i]
			if r.group != nil || r.state == stateExcluded {
				return r.group
			}
			ppid, start = l.snap.Samples[i].PPID, l.snap.Samples[i].Start
			continue
		}
		found := false
		for i := len(results) - 1; i >= 0 && !found; i-- {
			if e := l.src.ended[i]; e.PID == ppid {
				if e.Start > start {
					return nil
				}
				if results[i].group != nil || results[i].ignored {
					return results[i].group
				}
				found, ppid, start = true, e.ppid, e.Start
			}
		}
		if !found {
			return nil
		}
	}
	return nil
}
