package grouping

import (
	"slices"
	"time"

	"github.com/seed57308aee/process_exporter/platform"
)

const (
	modelTick  = 10_000_000 // nanoseconds
	modelHertz = 100
)

// A modelEvent is one step of a model: a kind and two arguments, which select a process
// and say what happens. The same events always have the same effect.
type modelEvent struct{ kind, a, b uint8 }

// The kinds of events.
const (
	eventFork = iota
	eventWork
	eventExec
	eventRename
	eventExit
	eventZombie
	eventReusePID
	eventHide
	eventThreadStart
	eventThreadEnd
	eventExecIDChanges // without execve(2)
	eventPartialWalk
	eventReload
	eventChangeSource
	eventLowerCPU
	eventClock
	eventShortLived // starts and exits before the next walk
	eventFailedWalk
	eventFailedIdentities
	eventMissedInWalk // by the source bpf
	eventChangeArgs
	eventTraffic
	eventTrafficAfterExit
	eventFailedRead     // of the sockets
	eventUnreadable     // sockets of a process
	eventTrafficUnknown // in the next Report
	eventSettle         // everything can be read, and 6 s pass
	eventUpdate
	eventKinds
)

// A modelThread is a thread. It lives on when execve(2) makes it the main thread.
type modelThread struct {
	tid           int
	start         uint64
	comm          string
	cpu, switches uint64       // used
	before        *modelThread // the exited thread that had the TID, or nil
	ledger        threadLedger
}

// A modelProcess is a live, exited or reaped process.
type modelProcess struct {
	platform.ID
	ppid         int
	comm, args   string
	execID       uint64 // of the source bpf
	procfsExecID uint64
	threads      []*modelThread // the first one is the main thread
	zombie       bool

	user, system, faults, io uint64 // used
	exitedSwitches           uint64 // of threads that have exited
	shownUser, shownSystem   uint64 // by the source bpf, which estimates the division
	lower                    uint64 // nanoseconds by which the next walk shows less CPU time

	hidden         platform.Fields // that cannot be read
	identityHidden bool
	missed         bool // by the next walk

	ledger processLedger
}

// A modelExit is an exit event that arrives at a walk.
type modelExit struct {
	*modelProcess
	walk  int  // at which it arrives
	lost  bool // only the counters are known
	split uint64
}

// A modelWorld is a simulated machine.
type modelWorld struct {
	now       uint64 // ticks after boot
	serial    uint64
	processes []*modelProcess // live, ascending by PID
	exits     []modelExit
	bpf       bool // the source is bpf, which reports exits
	procfs    bool // the next walk reads /proc: always with the source procfs
	walks     int  // number of the next walk
	nextPID   int
	nextTID   int

	partial        int // index at which the deadline ends the next walk, or -1
	walkFails      bool
	identitiesFail bool
	settled        bool          // matches take no time in the next update
	cpu            time.Duration // result of cpuTime
	lastNow        uint64        // of the last walk
	lowered        int           // events that can lower a CPU time
	reload         int           // rules that are in use from the next update on, or -1
	net            modelSockets
}

var modelNames = []string{"a", "b", "c", "exp", "ign", "x", "y"}

func newModelWorld(procfs bool) *modelWorld {
	w := &modelWorld{now: 1_000_000, bpf: !procfs, procfs: procfs, nextPID: 2, nextTID: 1_000_000, partial: -1, reload: -1, walks: 1}
	w.start(1, 0, "init")
	for _, name := range modelNames {
		w.fork(w.processes[0], name)
	}
	w.now += 1000
	return w
}

// start adds a live process.
func (w *modelWorld) start(pid, ppid int, comm string) *modelProcess {
	w.serial++
	p := &modelProcess{
		ID: platform.ID{PID: pid, Start: w.now, Serial: w.serial}, ppid: ppid, comm: comm, args: comm,
		execID: w.serial, procfsExecID: w.serial + 1<<32, threads: []*modelThread{{tid: pid, start: w.now, comm: comm}},
	}
	at, _ := slices.BinarySearchFunc(w.processes, pid, func(p *modelProcess, pid int) int { return p.PID - pid })
	w.processes = slices.Insert(w.processes, at, p)
	return p
}

func (w *modelWorld) fork(parent *modelProcess, comm string) *modelProcess {
	w.nextPID++
	return w.start(w.nextPID, parent.PID, comm)
}

// work adds usage to a thread of a process.
func (p *modelProcess) work(thread, amount uint64) {
	if p.zombie {
		return
	}
	n := p.threads[thread%uint64(len(p.threads))]
	cpu := amount * 3_000_001
	n.cpu += cpu
	n.switches += amount * 7
	p.user += cpu / 3
	p.system += cpu - cpu/3
	p.faults += amount * 5
	p.io += amount * 11
}

// execute calls execve(2) in a thread, which becomes the main thread.
func (w *modelWorld) execute(p *modelProcess, thread int, comm string) {
	w.serial++
	p.execID, p.procfsExecID = w.serial, w.serial+1<<32
	main, n := p.threads[0], p.threads[thread%len(p.threads)]
	for _, other := range p.threads {
		if other != n {
			p.exitedSwitches += other.switches
		}
	}
	if n != main {
		p.ledger.replacedSwitches += main.ledger.switches.taken
	}
	n.tid, n.start, n.comm, n.before = p.PID, p.Start, comm, nil
	if n.ledger.ofOther { // the Tracker has no value of the new main thread
		n.ledger.ofOther, n.ledger.switches.taken = false, n.ledger.lastSwitches
	}
	p.threads, p.comm, p.args = []*modelThread{n}, comm, comm
	p.ledger.executed = true
}

func (w *modelWorld) startThread(p *modelProcess, comm string) {
	w.nextTID++
	p.threads = append(slices.Clone(p.threads), &modelThread{tid: w.nextTID, start: w.now, comm: comm})
}

// endThread ends a thread other than the main thread and returns it.
func (p *modelProcess) endThread(at int) *modelThread {
	old := p.threads[at]
	p.exitedSwitches += old.switches
	p.threads = slices.Delete(slices.Clone(p.threads), at, at+1)
	return old
}

// reuseTID starts a thread of a process with the TID of an exited one. If start times
// are not read, its CPU time is a decrease.
func (w *modelWorld) reuseTID(p *modelProcess, at int, old *modelThread) {
	w.now++
	w.lowered++
	p.threads = slices.Insert(p.threads, at, &modelThread{tid: old.tid, start: w.now, comm: old.comm, before: old})
	p.work(uint64(at), old.start%50)
}

// end makes a process exit in one of the ways in which an exit event can arrive: at the
// next walk, late, with only the counters, or never.
func (w *modelWorld) end(p *modelProcess, how uint8) {
	at := slices.Index(w.processes, p)
	w.processes = slices.Delete(w.processes, at, at+1)
	for _, child := range w.processes {
		if child.ppid == p.PID {
			child.ppid = 1
		}
	}
	w.net.exited = append(w.net.exited, p)
	if !w.bpf || how%16 == 3 {
		return
	}
	e := modelExit{modelProcess: p, walk: w.walks, lost: how%16 == 2, split: w.serial}
	if how%4 == 1 {
		e.walk += int(how / 4 % 8)
	}
	w.exits = append(w.exits, e)
}

// apply makes an event happen, apart from updates.
func (w *modelWorld) apply(e modelEvent) {
	p := w.processes[int(e.a)%len(w.processes)]
	name := modelNames[int(e.b)%len(modelNames)]
	switch e.kind {
	case eventFork:
		if len(w.processes) < 20 {
			if e.b >= 128 {
				name = p.comm
			}
			w.fork(p, name).work(0, uint64(e.b)%4*40)
		}
	case eventWork:
		p.work(uint64(e.b)/16, uint64(e.b%16)*uint64(e.b))
	case eventExec, eventRename, eventExit, eventZombie, eventReusePID, eventThreadStart, eventThreadEnd:
		if p.PID != 1 && !p.zombie || e.kind == eventExit && p.PID != 1 {
			w.change(e, p, name)
		}
	case eventHide:
		p.hidden = platform.Fields(e.b) & (platform.FieldStat | platform.FieldStatus | platform.FieldIO)
		if e.b&8 != 0 {
			p.hidden |= platform.FieldTasks
		}
		p.identityHidden = e.b&16 != 0
		if e.b&32 != 0 {
			p.hidden, p.identityHidden = 0, false
		}
	case eventExecIDChanges:
		w.serial++
		p.procfsExecID = w.serial + 1<<32
	case eventShortLived:
		if w.bpf {
			child := w.fork(p, name)
			child.work(0, uint64(e.b))
			w.end(child, e.b/7)
		}
	case eventTraffic, eventTrafficAfterExit, eventFailedRead, eventUnreadable, eventTrafficUnknown:
		w.net.apply(e, p)
	default:
		w.applyToMachine(e, p)
	}
}

// change makes an event happen in a live process other than init.
func (w *modelWorld) change(e modelEvent, p *modelProcess, name string) {
	switch e.kind {
	case eventExec:
		w.execute(p, int(e.b)/8, name)
		if e.b&4 != 0 {
			w.startThread(p, name)
		}
	case eventRename:
		p.comm, p.threads[0].comm = name, name
	case eventExit:
		w.end(p, e.b)
	case eventZombie:
		if e.b&1 != 0 { // no walk sees the process between execve(2) and its exit
			w.execute(p, int(e.b)/2, name)
		}
		for _, n := range p.threads[1:] {
			p.exitedSwitches += n.switches
		}
		p.zombie, p.threads = true, p.threads[:1]
	case eventReusePID:
		w.end(p, e.b/7)
		w.now++
		w.start(p.PID, 1, name).work(0, uint64(e.b))
	case eventThreadStart:
		if len(p.threads) < 6 {
			w.startThread(p, name)
			p.work(uint64(len(p.threads)-1), uint64(e.b))
		}
	case eventThreadEnd:
		if n := len(p.threads); n > 1 {
			at := 1 + int(e.b)%(n-1)
			if old := p.endThread(at); e.b >= 128 {
				w.reuseTID(p, at, old)
			}
		}
	}
}

// applyToMachine makes an event happen that concerns the next walk.
func (w *modelWorld) applyToMachine(e modelEvent, p *modelProcess) {
	switch e.kind {
	case eventPartialWalk:
		if w.procfs && w.walks > 1 {
			w.partial = int(e.b)
		}
	case eventReload:
		w.reload = int(e.b)
	case eventChangeSource:
		if w.bpf && w.walks > 1 && (e.b < 16 || w.procfs && e.b < 96) {
			w.changeReader(e, p)
		}
	case eventClock:
		w.now += uint64(e.b) * 20
		if e.b >= 224 {
			w.now += idleTTL * modelHertz
		}
	case eventFailedWalk:
		w.walkFails = true
	case eventFailedIdentities:
		w.identitiesFail = true
	default:
		w.applyToNextSample(e, p)
	}
}

// applyToNextSample makes an event happen that concerns the next sample of a process.
func (w *modelWorld) applyToNextSample(e modelEvent, p *modelProcess) {
	switch e.kind {
	case eventLowerCPU:
		if p.Start < w.lastNow && p.lower == 0 {
			p.lower = 1 + min(p.user/2, uint64(e.b)*modelTick)
			w.lowered++
		}
	case eventMissedInWalk:
		if !w.procfs && w.walks > 1 {
			p.missed = true
		}
	case eventChangeArgs:
		p.args = "title " + string('0'+e.b%3)
	}
}

// changeReader makes the source bpf read /proc in the next walks, or its programs again.
// With an odd argument p executes a program in the same interval.
func (w *modelWorld) changeReader(e modelEvent, p *modelProcess) {
	w.procfs = !w.procfs
	if e.b&1 != 0 && p.PID != 1 && !p.zombie {
		w.execute(p, int(e.b), p.comm)
		w.startThread(p, p.comm)
	}
	for _, p := range w.processes {
		p.missed = false
	}
}

// cpuTime returns a time that increases with each call, so that each match takes 1.
func (w *modelWorld) cpuTime() time.Duration {
	if !w.settled {
		w.cpu++
	}
	return w.cpu
}

// makeAllReadable makes everything readable in the next walk, without a limit of the matches.
func (w *modelWorld) makeAllReadable() {
	w.settled = true
	w.partial, w.walkFails, w.identitiesFail = -1, false, false
	w.now += 6 * modelHertz
	for _, p := range w.processes {
		p.hidden, p.identityHidden, p.missed, p.lower = 0, false, false, 0
	}
}
