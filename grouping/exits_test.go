package grouping

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/procfs"
)

// A replaySource is a Source that plays what was recorded: one step for each walk.
type replaySource struct {
	steps []step
	next  int
}

// A step is what one walk finds. Processes are named by their Comm.
type step struct {
	alive  []platform.Sample
	exits  []platform.Exit
	procfs bool // the kernel's programs have failed by now
}

func (s *replaySource) Walk(_ context.Context, snap *platform.Snapshot) error {
	if s.next == len(s.steps) {
		return errors.New("the replaySource is over")
	}
	now := s.steps[s.next]
	s.next++
	snap.Samples = append(snap.Samples[:0], now.alive...)
	snap.Exits = now.exits
	snap.Now, snap.TicksPerSecond = 1000+uint64(s.next)*100, 100
	if snap.Source = string(platform.KindBPF); now.procfs {
		snap.Source = string(platform.KindProcfs)
	}
	return nil
}

func (s *replaySource) Complete(context.Context, *platform.Snapshot) {}

func (s *replaySource) Identify(_ context.Context, p *platform.Sample, _ platform.IdentityFields) (platform.Identity, error) {
	return platform.Identity{ID: p.ID, Comm: p.Comm, Args: []string{p.Comm}}, nil
}

func (s *replaySource) Fingerprints(context.Context, *platform.Snapshot, []int, platform.IdentityFields, []uint64) {
}

func (s *replaySource) ExitIdentity(e *platform.Exit, _ platform.IdentityFields) platform.Identity {
	return platform.Identity{ID: e.ID, Comm: e.Comm, Args: procfs.AppendArgs(nil, e.Args)}
}

func (s *replaySource) Kind() (platform.Kind, error) { return platform.KindBPF, nil }

func (s *replaySource) ExitsPending() <-chan struct{} { return nil }

func (s *replaySource) Close() error { return nil }

// alive returns a process that has used so many seconds, of which it switched
// ten times in each.
func alive(pid int, start uint64, comm string, exec uint64, seconds uint64) platform.Sample {
	return platform.Sample{
		ID: platform.ID{PID: pid, Start: start}, PPID: 1, Comm: comm, ExecID: exec, State: 'S', Threads: 1,
		Have:      platform.FieldStat | platform.FieldStatus | platform.FieldIO | platform.FieldSwitches | platform.FieldTasks,
		UserNanos: seconds * 1e9, WriteBytes: seconds * 1000, VoluntarySwitches: seconds * 10,
	}
}

// ended returns the end of a process.
func ended(p platform.Sample, status uint32) platform.Exit {
	p.State = 'X'
	p.Have &^= platform.FieldTasks
	return platform.Exit{Sample: p, Status: status, Args: []byte(p.Comm + "\x00")}
}

func childOf(ppid int, p platform.Sample) platform.Sample {
	p.PPID = ppid
	return p
}

// TestBury plays sequences of walks and ends. No process counts twice, none is
// forgotten, and what came before the first walk stays out.
func TestBury(t *testing.T) {
	const old, young = 10, 1150 // ticks after boot: before the first walk, and after
	init := alive(1, 1, "init", 1, 0)
	tests := []struct {
		name  string
		steps []step
		want  string // group: seconds, bytes written, switches, starts, exits; in order
	}{
		{"lived between two walks", []step{
			{alive: []platform.Sample{init}},
			{alive: []platform.Sample{init}, exits: []platform.Exit{ended(alive(7, young, "job", 1, 3), 0)}},
		}, "job: 3s 3000B 30 switches, 1 started, exited/0 1"},
		{"credited from the last look to the end", []step{
			{alive: []platform.Sample{init}},
			{alive: []platform.Sample{init, alive(7, young, "job", 1, 3)}},
			{alive: []platform.Sample{init}, exits: []platform.Exit{ended(alive(7, young, "job", 1, 5), 9)}},
		}, "job: 5s 5000B 50 switches, 1 started, killed/SIGKILL 1"},
		{"lived before the first walk", []step{
			{alive: []platform.Sample{init, alive(7, old, "job", 1, 100)}},
			{alive: []platform.Sample{init}, exits: []platform.Exit{ended(alive(7, old, "job", 1, 101), 0)}},
		}, "job: 1s 1000B 10 switches, 0 started, exited/0 1"},
		{"the end is told a walk late", []step{
			{alive: []platform.Sample{init}},
			{alive: []platform.Sample{init, alive(7, young, "job", 1, 3)}},
			{alive: []platform.Sample{init}},
			{alive: []platform.Sample{init}, exits: []platform.Exit{ended(alive(7, young, "job", 1, 5), 0)}},
		}, "job: 5s 5000B 50 switches, 1 started, exited/0 1"},
		{"the end is told before the process was met", []step{
			{alive: []platform.Sample{init}},
			{alive: []platform.Sample{init}, exits: []platform.Exit{ended(alive(7, young, "job", 1, 3), 11|0x80)}},
			{alive: []platform.Sample{init}},
		}, "job: 3s 3000B 30 switches, 1 started, dumped/SIGSEGV 1"},
		{"the end is lost, and what it used is not", []step{
			{alive: []platform.Sample{init}},
			{alive: []platform.Sample{init, alive(7, young, "job", 1, 3)}},
			{alive: []platform.Sample{init}, exits: []platform.Exit{untold(alive(7, young, "", 1, 5)), untold(alive(8, young, "", 1, 5))}},
		}, "job: 5s 5000B 50 switches, 1 started"},
		{"another program since it was met", []step{
			{alive: []platform.Sample{init}},
			{alive: []platform.Sample{init, alive(7, young, "shell", 1, 1)}},
			{alive: []platform.Sample{init}, exits: []platform.Exit{ended(alive(7, young, "job", 2, 4), 0)}},
		}, "job: 3s 3000B 30 switches, 1 started, exited/0 1; shell: 1s 1000B 10 switches, 1 started"},
		{"the number is given out again", []step{
			{alive: []platform.Sample{init}},
			{alive: []platform.Sample{init, alive(7, young, "job", 1, 3)}},
			{alive: []platform.Sample{init, alive(7, young+5, "job", 1, 1)}, exits: []platform.Exit{ended(alive(7, young, "job", 1, 4), 0)}},
			{alive: []platform.Sample{init}, exits: []platform.Exit{ended(alive(7, young+5, "job", 1, 2), 0)}},
		}, "job: 6s 6000B 60 switches, 2 started, exited/0 2"},
		{"a child that no rule wants goes by its parent", []step{
			{alive: []platform.Sample{init, alive(5, old, "service", 1, 0)}},
			{alive: []platform.Sample{init, alive(5, old, "service", 1, 0)}, exits: []platform.Exit{ended(childOf(5, alive(7, young, "helper", 1, 2)), 0)}},
		}, "service: 2s 2000B 20 switches, 1 started, exited/0 1"},
		{"by a parent that has ended as well", []step{
			{alive: []platform.Sample{init}},
			{alive: []platform.Sample{init}, exits: []platform.Exit{
				ended(childOf(6, alive(7, young, "helper", 1, 2)), 0), ended(childOf(5, alive(6, young, "helper", 1, 1)), 0), ended(alive(5, young, "service", 1, 4), 0),
			}},
		}, "service: 7s 7000B 70 switches, 3 started, exited/0 3"},
		{"and is nobody's without one", []step{
			{alive: []platform.Sample{init}},
			{alive: []platform.Sample{init}, exits: []platform.Exit{ended(childOf(6, alive(7, young, "helper", 1, 2)), 0)}},
		}, ""},
		{"the kernel's programs fail", []step{
			{alive: []platform.Sample{init}},
			{alive: []platform.Sample{init, alive(7, young, "job", 1, 3)}},
			{alive: []platform.Sample{init, mainThreadOnly(alive(7, young, "job", 99, 3))}, procfs: true},
			{alive: []platform.Sample{init, mainThreadOnly(alive(7, young, "job", 99, 5))}, procfs: true},
		}, "job: 5s 5000B 32 switches"},
	}
	rules, err := Parse("test.yaml", []byte("process_names:\n- comm: [job, shell, service]\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			source := &replaySource{steps: tt.steps}
			tr := NewTracker(source, rules, Options{Children: true, Fields: platform.FieldStat | platform.FieldStatus | platform.FieldIO})
			var groups []Group
			for range tt.steps {
				if groups, err = tr.Update(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
			if got := describe(groups); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// untold is the end of p of which the kernel had no room to tell the words.
func untold(p platform.Sample) platform.Exit {
	e := ended(p, 0)
	e.EventLost = true
	return e
}

// mainThreadOnly returns p as /proc has it: with the switches of one thread of
// several, and with its CPU time in whole ticks.
func mainThreadOnly(p platform.Sample) platform.Sample {
	p.Have &^= platform.FieldSwitches
	p.VoluntarySwitches = p.UserNanos / 1e9
	p.UserNanos -= 5e6
	if p.UserNanos > 4e9 {
		p.UserNanos += 5e6
	}
	return p
}

func describe(groups []Group) (out string) {
	for _, g := range groups {
		if out != "" {
			out += "; "
		}
		out += fmt.Sprintf("%s: %ds %dB %d switches", g.Name, g.UserNanos/1e9, g.WriteBytes, g.VoluntarySwitches)
		if g.Watched {
			out += fmt.Sprintf(", %d started", g.Starts)
		}
		for _, e := range g.Exits {
			out += fmt.Sprintf(", %s/%s %d", e.Reason, e.Code, e.Count)
		}
	}
	return out
}

// TestLostEnds are not waited for without end.
func TestLostEnds(t *testing.T) {
	source := new(replaySource)
	for range 100 { // a second each
		source.steps = append(source.steps, step{alive: []platform.Sample{alive(1, 1, "init", 1, 0)}})
	}
	source.steps[3].alive = append(slices.Clone(source.steps[3].alive), alive(7, 1350, "job", 1, 3))
	tr := NewTracker(source, Default(), Options{})
	for range source.steps {
		if _, err := tr.Update(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(tr.departed); n != 0 {
		t.Errorf("got %d processes waited for, want none after %d seconds", n, patience)
	}
}
