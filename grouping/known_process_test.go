package grouping

import (
	"context"
	"testing"

	"github.com/seed57308aee/process_exporter/platform"
)

// A continuationCase replays walks in which a process that is known has values that a
// beginning process could have.
type continuationCase struct {
	name   string
	rules  string // "" is one rule for job
	steps  []walkStep
	reload map[int]string // rules that are in use from a step on
	want   string         // usageOf the groups

	wantUngroupedNanos uint64
}

// procfsSample returns a sample as the source procfs has it: the context switches are
// those of the main thread.
func procfsSample(p platform.Sample) platform.Sample {
	p.Have &^= platform.FieldSwitchesOfAllThreads
	return p
}

// withThreads returns a sample of a process with a main thread and one other thread,
// and the voluntary context switches of each. start is 0 without FieldTaskUsage.
func withThreads(p platform.Sample, start, main, other uint64) platform.Sample {
	have := platform.FieldStatus
	if start != 0 {
		have |= platform.FieldTaskUsage
		p.Have |= platform.FieldTaskUsage
	}
	p.NumThreads, p.VoluntarySwitches = 2, main
	if p.Have&platform.FieldSwitchesOfAllThreads != 0 {
		p.VoluntarySwitches += other
	}
	p.Tasks = []platform.Task{
		{TID: p.PID, Have: have, Start: start, VoluntarySwitches: main},
		{TID: p.PID + 1, Have: have, Start: start, VoluntarySwitches: other},
	}
	return p
}

// unreadSample returns a sample of which nothing was read.
func unreadSample(p platform.Sample) platform.Sample {
	p.Have, p.Unreadable, p.Tasks = 0, platform.FieldStat, nil
	return p
}

// withNanos returns a sample with user time in nanoseconds.
func withNanos(p platform.Sample, nanos uint64) platform.Sample {
	p.UserNanos = nanos
	return p
}

var (
	bpfJob     = withNanos(liveSample(7, young, "job", 1, 3600), 3600e9+9e6)
	procfsJob  = withNanos(procfsSample(liveSample(7, young, "job", 99, 3600)), 3600e9) // in whole clock ticks
	bpfJob2    = withThreads(liveSample(7, young, "job", 1, 1), young, 10, 5000)
	procfsJob2 = withThreads(procfsSample(liveSample(7, young, "job", 99, 2)), young, 10, 5001)
	oldJob     = procfsSample(liveSample(7, old, "job", 1, 1))
)

func bpfWalk(live ...platform.Sample) walkStep {
	return walkStep{live: append([]platform.Sample{initSample}, live...)}
}

func procfsWalk(live ...platform.Sample) walkStep {
	return walkStep{live: append([]platform.Sample{initSample}, live...), procfs: true}
}

var continuationCases = []continuationCase{
	{
		name:  "process is unread in the walk in which the source changes",
		steps: []walkStep{bpfWalk(), bpfWalk(bpfJob), procfsWalk(unreadSample(bpfJob)), procfsWalk(procfsJob)},
		want:  "job: 3600s 3600000B 36000 switches",
	},
	{
		name: "young ungrouped process when the source changes",
		steps: []walkStep{
			bpfWalk(), bpfWalk(withNanos(liveSample(7, young, "x", 1, 1), 1009e6)), bpfWalk(withNanos(liveSample(7, young, "x", 1, 1), 1009e6)),
			procfsWalk(procfsSample(liveSample(7, young, "y", 99, 1))), procfsWalk(procfsSample(liveSample(7, young, "y", 99, 1))),
			procfsWalk(procfsSample(liveSample(7, young, "y", 99, 1))), procfsWalk(procfsSample(liveSample(7, young, "y", 99, 1))),
		},
		want:               "job: 0s 0B 0 switches",
		wantUngroupedNanos: 1000e6,
	},
	{
		name:  "threads of a process that is unread in the walk in which the source changes",
		steps: []walkStep{bpfWalk(), bpfWalk(bpfJob2), procfsWalk(unreadSample(bpfJob2)), procfsWalk(procfsJob2)},
		want:  "job: 2s 2000B 5011 switches",
	},
	{
		name:  "procfs source without start times of threads",
		steps: []walkStep{bpfWalk(bpfJob2), bpfWalk(bpfJob2), procfsWalk(withThreads(procfsJob, 0, 10, 5001))},
		want:  "job: 3599s 3599000B 1 switches",
	},
	{
		name: "reload that enables threads",
		steps: []walkStep{
			procfsWalk(withThreads(oldJob, 0, 10, 5000)), procfsWalk(withThreads(oldJob, 0, 10, 5000)),
			procfsWalk(withThreads(oldJob, old, 10, 5001)),
		},
		rules:  "- {name: job, comm: [job], threads: false}\n",
		reload: map[int]string{2: "- {name: job, comm: [job], threads: true}\n"},
		want:   "job: 0s 0B 1 switches",
	},
	{
		name: "ExecID changes without execve",
		steps: []walkStep{
			procfsWalk(withThreads(oldJob, old, 10, 5000)), procfsWalk(withThreads(oldJob, old, 10, 5000)),
			procfsWalk(withThreads(procfsSample(liveSample(7, old, "job", 2, 1)), old, 11, 5001)),
		},
		want: "job: 0s 0B 2 switches",
	},
	{
		name: "another thread was the main thread of a zombie",
		steps: []walkStep{
			procfsWalk(withThreads(oldJob, old, 10, 5000)), procfsWalk(withThreads(oldJob, old, 10, 5000)), procfsWalk(zombieOf(oldJob, 5001)),
		},
		want: "job: 0s 0B 0 switches",
	},
	{
		name: "CPU time decreases",
		steps: []walkStep{
			procfsWalk(), procfsWalk(procfsJob), procfsWalk(withNanos(procfsJob, 3599e9)), procfsWalk(withNanos(procfsJob, 3601e9)),
		},
		want: "job: 3601s 3600000B 36000 switches",
	},
	{
		name: "ungrouped process executed another program before the reload",
		steps: append([]walkStep{bpfWalk(liveSample(7, old, "sh", 1, 0)), bpfWalk(liveSample(7, old, "worker", 2, 0))},
			make([]walkStep, 3)...),
		reload: map[int]string{4: "- {name: worker, comm: [worker]}\n"},
		want:   "worker: 0s 0B 0 switches, 0 started",
	},
	{
		name:  "process is missing in one walk",
		steps: []walkStep{bpfWalk(), bpfWalk(bpfJob), bpfWalk(), bpfWalk(bpfJob)},
		want:  "job: 3600s 3600000B 36000 switches, 1 started",
	},
	{
		name: "exit event divides the CPU time otherwise",
		steps: []walkStep{
			bpfWalk(), bpfWalk(withSystem(bpfJob, 40e9, 60e9)),
			{live: []platform.Sample{initSample}, exits: []platform.Exit{exitOf(withSystem(bpfJob, 51e9, 50e9), 0)}},
		},
		want: "job: 41s 3600000B 36000 switches, 1 started, exited/0 1",
	},
	{
		name: "ungrouped process is identified twice before it has its name",
		steps: []walkStep{
			bpfWalk(), bpfWalk(liveSample(7, young, "x", 1, 1)), bpfWalk(liveSample(7, young, "x", 1, 1)),
			bpfWalk(liveSample(7, young, "x", 1, 1)), bpfWalk(liveSample(7, young, "job", 1, 2)),
		},
		want: "job: 2s 2000B 20 switches, 1 started",
	},
}

// zombieOf returns a sample of a zombie with the context switches of its main thread.
func zombieOf(p platform.Sample, switches uint64) platform.Sample {
	p.State, p.VoluntarySwitches = 'Z', switches
	return p
}

// withSystem returns a sample with user and system time in nanoseconds.
func withSystem(p platform.Sample, user, system uint64) platform.Sample {
	p.UserNanos, p.SystemNanos = user, system
	return p
}

// TestKnownIsNotCountedFromStart checks that a process or thread that is known is never counted from
// its start.
func TestKnownIsNotCountedFromStart(t *testing.T) {
	for _, tt := range continuationCases {
		t.Run(tt.name, func(t *testing.T) {
			if tt.rules == "" {
				tt.rules = "- {name: job, comm: [job]}\n"
			}
			for i := range tt.steps {
				if tt.steps[i].live == nil { // another walk with the same result
					tt.steps[i] = tt.steps[i-1]
				}
			}
			tr := NewTracker(&replaySource{steps: tt.steps}, parseRules(t, tt.rules), replayOptions)
			var groups []Group
			for i := range tt.steps {
				if rules := tt.reload[i]; rules != "" {
					tr.SetMatcher(parseRules(t, rules))
				}
				var err error
				if groups, err = tr.Update(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
			if got := usageOf(groups); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if got := tr.MatchCounts().UngroupedNanos; got != tt.wantUngroupedNanos {
				t.Errorf("got %d ns of ungrouped processes, want %d", got, tt.wantUngroupedNanos)
			}
		})
	}
}

func parseRules(t *testing.T, rules string) Matcher {
	t.Helper()
	m, err := Parse("test.yaml", []byte("process_names:\n"+rules))
	if err != nil {
		t.Fatal(err)
	}
	return m
}
