package grouping

import (
	"context"
	"errors"
	"hash/fnv"
	"slices"
	"time"

	"github.com/seed57308aee/process_exporter/platform"
)

// A modelSource is the Source of a modelWorld. It reads what the real sources read: a
// walk of bpf reads all fields of all processes, and one of procfs the wanted ones. Both
// return the wanted ones only.
type modelSource struct {
	replaySource
	*modelWorld
	found []*modelProcess // by index of the Snapshot
	ended []modelExit     // by index of Snapshot.Exits
}

var errModel = errors.New("failed by the model")

const (
	modelBPFFields = platform.FieldStat | platform.FieldStatus | platform.FieldIO | platform.FieldSwitchesOfAllThreads |
		platform.FieldTasks | platform.FieldTaskUsage
	modelProcfsFields = platform.FieldStatus | platform.FieldIO | platform.FieldTasks
)

func (s *modelSource) Walk(_ context.Context, snap *platform.Snapshot) error {
	if s.walkFails {
		return errModel
	}
	snap.Now, snap.TicksPerSecond, snap.BootTime = s.now, modelHertz, time.Unix(0, 0)
	snap.Time = time.UnixMilli(int64(s.now) * 1000 / modelHertz)
	snap.WithoutSample, snap.Incomplete, snap.Exits = 0, false, nil
	snap.Kind = platform.SourceBPF
	if s.procfs {
		snap.Kind = platform.SourceProcfs
	}
	s.takeExits(snap)
	before := s.lastWalk(snap)
	snap.Samples, s.found = snap.Samples[:0], s.found[:0]
	for i, p := range s.processes {
		last, known := before[p.PID]
		prev := last.Sample
		notReached := s.partial >= 0 && i >= s.partial%len(s.processes)
		switch {
		case p.missed:
		case s.procfs && (notReached || p.hidden&platform.FieldStat != 0):
			snap.Incomplete = snap.Incomplete || notReached
			if known {
				s.keepUnread(snap, last)
			} else if !notReached {
				snap.WithoutSample++
			}
		default:
			if prev.PID != p.PID || prev.Start != p.Start {
				prev = platform.Sample{}
			}
			snap.Samples = append(snap.Samples, s.sample(p, &prev))
			s.found = append(s.found, p)
		}
	}
	return nil
}

// A modelSample is the Sample of a process.
type modelSample struct {
	process *modelProcess
	platform.Sample
}

// lastWalk returns the Samples of the last walk by PID, without those of the processes in
// snap.Exits: no process is in the Samples and in the Exits.
func (s *modelSource) lastWalk(snap *platform.Snapshot) map[int]modelSample {
	before := make(map[int]modelSample, len(snap.Samples))
	for i := range snap.Samples {
		before[snap.Samples[i].PID] = modelSample{s.found[i], snap.Samples[i]}
	}
	for i := range snap.Exits {
		if id := snap.Exits[i].ID; before[id.PID].Start == id.Start {
			delete(before, id.PID)
		}
	}
	return before
}

// keepUnread keeps the last Sample of a process, of which nothing is read. Another
// process may have the PID by now.
func (s *modelSource) keepUnread(snap *platform.Snapshot, last modelSample) {
	last.Have, last.Unreadable, last.Tasks = 0, last.Want|platform.FieldStat, nil
	snap.Samples, s.found = append(snap.Samples, last.Sample), append(s.found, last.process)
}

// sample reads a process. prev is its last Sample, or zero.
func (s *modelSource) sample(p *modelProcess, prev *platform.Sample) platform.Sample {
	out := platform.Sample{
		ID: p.ID, PPID: p.ppid, Comm: p.comm, State: 'S', NumThreads: len(p.threads), Have: platform.FieldStat, Want: prev.Want,
		ExecID: p.execID, MinorFaults: p.faults, UserNanos: p.user, SystemNanos: p.system,
	}
	if p.zombie {
		out.State = 'Z'
	}
	if s.procfs {
		out.Serial = prev.Serial // 0 for a process that no walk of bpf found
		if out.ExecID = p.procfsExecID; p.zombie && prev.ExecID != 0 {
			out.ExecID = prev.ExecID
		}
		out.UserNanos, out.SystemNanos = p.user/modelTick*modelTick, p.system/modelTick*modelTick
		out.UserNanos -= min(out.UserNanos, p.lower)
		s.read(&out, p, out.Want)
		return out
	}
	// The estimate of the division never decreases for one of its parts.
	increase := p.user + p.system - p.shownUser - p.shownSystem
	p.shownUser += increase / 5
	p.shownSystem += increase - increase/5
	out.UserNanos, out.SystemNanos = p.shownUser, p.shownSystem
	out.UserNanos -= min(out.UserNanos, p.lower)
	out.Have = modelBPFFields
	p.setFields(&out)
	return out
}

// read reads fields of a process with the source procfs.
func (s *modelSource) read(out *platform.Sample, p *modelProcess, want platform.Fields) {
	got := want & modelProcfsFields &^ p.hidden
	out.Have |= got
	out.Unreadable |= want & modelProcfsFields & p.hidden
	if got&platform.FieldTasks != 0 {
		out.Have |= want & platform.FieldTaskUsage
	}
	p.setFields(out)
}

// setFields sets the values of the fields that were read.
func (p *modelProcess) setFields(out *platform.Sample) {
	out.WriteBytes = p.io
	out.VoluntarySwitches = p.threads[0].switches
	if out.Have&platform.FieldSwitchesOfAllThreads != 0 {
		out.VoluntarySwitches = p.allSwitches()
	}
	out.Tasks = nil
	if out.Have&platform.FieldTasks == 0 || len(p.threads) < 2 {
		return
	}
	for _, n := range p.threads {
		task := platform.Task{TID: n.tid, State: 'R', Have: platform.FieldStatus, VoluntarySwitches: n.switches}
		if out.Have&platform.FieldTaskUsage != 0 {
			task.Have |= platform.FieldTaskUsage
			task.Start, task.Comm, task.UserNanos = n.start, n.comm, n.shownCPU(out.Have)
		}
		out.Tasks = append(out.Tasks, task)
	}
}

// shownCPU returns the CPU time of a thread as the source shows it.
func (n *modelThread) shownCPU(have platform.Fields) uint64 {
	if have&platform.FieldSwitchesOfAllThreads != 0 {
		return n.cpu
	}
	return n.cpu / modelTick * modelTick
}

// allSwitches returns the context switches of all threads, including exited ones.
func (p *modelProcess) allSwitches() uint64 {
	sum := p.exitedSwitches
	for _, n := range p.threads {
		sum += n.switches
	}
	return sum
}

// takeExits sets the exits that arrive at this walk.
func (s *modelSource) takeExits(snap *platform.Snapshot) {
	s.ended = s.ended[:0]
	later := s.exits[:0]
	for _, e := range s.exits {
		if e.walk > s.walks {
			later = append(later, e)
			continue
		}
		s.ended = append(s.ended, e)
		snap.Exits = append(snap.Exits, e.event())
	}
	s.exits = later
}

// event returns the exit event. It divides the CPU time in another way than a walk.
func (e *modelExit) event() platform.Exit {
	p := e.modelProcess
	total := p.user + p.system
	out := platform.Exit{Sample: platform.Sample{
		ID: p.ID, PPID: p.ppid, Comm: p.comm, State: 'X', ExecID: p.execID, MinorFaults: p.faults, WriteBytes: p.io,
		UserNanos: total / 7 * (e.split % 8), VoluntarySwitches: p.allSwitches(),
		Have: platform.FieldStat | platform.FieldStatus | platform.FieldIO | platform.FieldSwitchesOfAllThreads,
	}, EventLost: e.lost, Args: []byte(p.args)}
	out.SystemNanos = total - out.UserNanos
	if e.lost {
		out.Comm, out.Args, out.PPID = "", nil, 0
	}
	return out
}

func (s *modelSource) Complete(_ context.Context, snap *platform.Snapshot) {
	for i := range snap.Samples {
		out := &snap.Samples[i]
		if s.procfs && out.Have != 0 {
			s.read(out, s.found[i], out.Want&^out.Unreadable)
		}
		out.Have &= out.Want | platform.FieldStat | platform.FieldSwitchesOfAllThreads
		for j := range out.Tasks {
			if out.Want&platform.FieldTaskUsage == 0 {
				out.Tasks[j].Have &^= platform.FieldTaskUsage
			}
		}
	}
}

func (s *modelSource) Identify(_ context.Context, sample *platform.Sample, _ platform.IdentityFields) (platform.Identity, error) {
	for _, p := range s.processes {
		if p.PID == sample.PID && p.Start == sample.Start && !p.identityHidden && !s.identitiesFail {
			return p.identity(), nil
		}
	}
	return platform.Identity{}, errModel
}

func (p *modelProcess) identity() platform.Identity {
	id := platform.Identity{ID: p.ID, Comm: p.comm, Args: []string{p.args}, Fingerprint: fingerprintOf(p.args)}
	if p.zombie {
		id.Args = nil
	}
	return id
}

// fingerprintOf returns a hash of a command line that is not 0.
func fingerprintOf(args string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(args)) // never fails
	return h.Sum64() | 1
}

func (s *modelSource) Fingerprints(
	_ context.Context, _ *platform.Snapshot, indexes []int, _ platform.IdentityFields, fingerprints []uint64,
) int {
	clear(fingerprints)
	read := min(len(indexes), 1+int(s.walks)%8) // as with an exhausted budget
	for j, i := range indexes[:read] {
		if p := s.found[i]; slices.Contains(s.processes, p) && !p.identityHidden {
			fingerprints[j] = fingerprintOf(p.args)
		}
	}
	return read
}
