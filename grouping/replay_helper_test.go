package grouping

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/procfs"
)

// A replaySource is a Source that returns prepared samples and exits: one step for
// each walk. The walks are one second apart.
type replaySource struct {
	steps  []walkStep
	next   int
	paused uint64        // sum of the pauses so far
	ready  chan struct{} // not nil: also reports exits in walks of procfs
}

// replayEpoch is the boot time of a replaySource, in milliseconds since the Unix epoch.
const replayEpoch = 1_700_000_000_123

// A walkStep is the result of one walk.
type walkStep struct {
	live   []platform.Sample
	exits  []platform.Exit
	procfs bool   // the source is procfs, not bpf
	pause  uint64 // additional seconds since the previous walk
}

func (s *replaySource) Walk(_ context.Context, snap *platform.Snapshot) error {
	if s.next == len(s.steps) {
		return errors.New("no step left to replay")
	}
	now := s.steps[s.next]
	s.next++
	snap.Samples = append(snap.Samples[:0], now.live...)
	snap.Exits = now.exits
	s.paused += now.pause
	snap.Now, snap.TicksPerSecond = 1000+(uint64(s.next)+s.paused)*100, 100
	snap.Time = time.UnixMilli(replayEpoch + int64(snap.Now)*10)
	snap.BootTime = time.UnixMilli(replayEpoch).Truncate(time.Second)
	if snap.Kind = platform.SourceBPF; now.procfs {
		snap.Kind = platform.SourceProcfs
	}
	return nil
}

func (s *replaySource) Complete(context.Context, *platform.Snapshot) {}

// Identify returns the Comm of the sample as the command line.
func (s *replaySource) Identify(_ context.Context, p *platform.Sample, _ platform.IdentityFields) (platform.Identity, error) {
	return platform.Identity{ID: p.ID, Comm: p.Comm, Args: []string{p.Comm}}, nil
}

func (s *replaySource) Fingerprints(_ context.Context, _ *platform.Snapshot, indexes []int, _ platform.IdentityFields, _ []uint64) int {
	return len(indexes)
}

func (s *replaySource) ExitIdentity(e *platform.Exit, _ platform.IdentityFields) platform.Identity {
	return platform.Identity{ID: e.ID, Comm: e.Comm, Args: procfs.AppendArgs(nil, e.Args)}
}

func (s *replaySource) Kind() (platform.SourceKind, error) { return platform.SourceBPF, nil }

func (s *replaySource) ExitsReady() <-chan struct{} { return s.ready }

func (s *replaySource) Close() error { return nil }

// liveSample returns a child of PID 1 that has used seconds of CPU time, and has
// switched its context ten times in each.
func liveSample(pid int, start uint64, comm string, execID uint64, seconds uint64) platform.Sample {
	return platform.Sample{
		ID: platform.ID{PID: pid, Start: start}, PPID: 1, Comm: comm, ExecID: execID, State: 'S', NumThreads: 1,
		Have:      platform.FieldStat | platform.FieldStatus | platform.FieldIO | platform.FieldSwitchesOfAllThreads | platform.FieldTasks,
		UserNanos: seconds * 1e9, WriteBytes: seconds * 1000, VoluntarySwitches: seconds * 10,
	}
}

// exitOf returns the exit of a process with a wait status.
func exitOf(p platform.Sample, status uint32) platform.Exit {
	p.State = 'X'
	p.Have &^= platform.FieldTasks
	return platform.Exit{Sample: p, Status: status, Args: []byte(p.Comm + "\x00")}
}

// lostExitOf returns the exit of a process whose exit event was lost.
func lostExitOf(p platform.Sample) platform.Exit {
	e := exitOf(p, 0)
	e.EventLost = true
	return e
}

func childOf(ppid int, p platform.Sample) platform.Sample {
	p.PPID = ppid
	return p
}

// replay updates a Tracker of the rules once for each step, and returns the groups
// of the last update.
func replay(t *testing.T, rules string, o Options, steps []walkStep) ([]Group, *Tracker) {
	t.Helper()
	m, err := Parse("test.yaml", []byte("process_names:\n"+rules))
	if err != nil {
		t.Fatal(err)
	}
	tr := NewTracker(&replaySource{steps: steps}, m, o)
	var groups []Group
	for range steps {
		if groups, err = tr.Update(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	return groups, tr
}

// usageOf returns the counters of all groups in one line.
func usageOf(groups []Group) (out string) {
	for _, g := range groups {
		if out != "" {
			out += "; "
		}
		out += fmt.Sprintf("%s: %ds %dB %d switches", g.Name, g.UserNanos/1e9, g.WriteBytes, g.VoluntarySwitches)
		if g.ExitsKnown {
			out += fmt.Sprintf(", %d started", g.Starts)
		}
		for _, e := range g.Exits {
			out += fmt.Sprintf(", %s/%s %d", e.Reason, e.Code, e.Count)
			if e.Matched < e.Count {
				out += fmt.Sprintf(" (%d matched)", e.Matched)
			}
		}
	}
	return out
}
