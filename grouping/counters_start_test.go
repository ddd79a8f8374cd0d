package grouping

import (
	"fmt"
	"slices"
	"testing"

	"github.com/seed57308aee/process_exporter/platform"
)

// startsOf returns the start of the counters of all groups, of their thread names and of
// their exits, in ticks after boot.
func startsOf(groups []Group) (out []string) {
	ticks := func(millis int64) int64 { return (millis - replayEpoch) / 10 }
	for _, g := range groups {
		out = append(out, fmt.Sprintf("%s %d", g.Name, ticks(g.CountersStart)))
		slices.SortFunc(g.Threads, func(a, b ThreadTotals) int { return int(a.CountersStart - b.CountersStart) })
		for _, n := range g.Threads {
			out = append(out, fmt.Sprintf("thread %s %d", n.Name, ticks(n.CountersStart)))
		}
		for _, e := range g.Exits {
			out = append(out, fmt.Sprintf("exit %s %d", e.Code, ticks(e.CountStart)))
			if e.Matched > 0 {
				out = append(out, fmt.Sprintf("matched exit %s %d", e.Code, ticks(e.MatchedStart)))
			}
		}
	}
	return out
}

// withNamedThread adds threads to a sample: the main thread, and one of another name that
// started at a tick.
func withNamedThread(p platform.Sample, name string, start uint64) platform.Sample {
	have := platform.FieldStatus | platform.FieldTaskUsage
	p.Have |= platform.FieldTaskUsage
	p.NumThreads = 2
	p.Tasks = []platform.Task{
		{TID: p.PID, Start: p.Start, Comm: p.Comm, State: 'S', Have: have},
		{TID: p.PID + 1, Start: start, Comm: name, State: 'S', Have: have},
	}
	return p
}

// TestCountersStart checks the time from which counters count. The walks are at the ticks
// 1100, 1200, 1300 and so on.
func TestCountersStart(t *testing.T) {
	init := initSample
	walk := func(ps ...platform.Sample) walkStep { return walkStep{live: append([]platform.Sample{init}, ps...)} }
	job := func(start uint64, comm string) platform.Sample { return liveSample(7, start, comm, 1, 3) }
	gone := func(p platform.Sample, status uint32) walkStep {
		return walkStep{live: []platform.Sample{init}, exits: []platform.Exit{exitOf(p, status)}}
	}
	tests := []struct {
		name  string
		rules string
		steps []walkStep
		want  []string
	}{
		{"first walk", "", []walkStep{walk(job(50, "job"))}, []string{"job 1100"}},
		{"start between walks", "", []walkStep{walk(), walk(job(1150, "job"))}, []string{"job 1150"}},
		{"later processes do not change it", "",
			[]walkStep{walk(), walk(job(1150, "job")), walk(job(1150, "job"), liveSample(8, 1201, "job", 1, 1)), walk()}, []string{"job 1150"}},
		{"earliest of several", "",
			[]walkStep{walk(), walk(job(1160, "job"), liveSample(8, 1140, "job", 1, 1))}, []string{"job 1140"}},
		{"process of another group", "",
			[]walkStep{walk(), walk(job(1150, "job")), walk(job(1150, "shell"))}, []string{"job 1150", "shell 1200"}},
		{"ungrouped and young process", "",
			[]walkStep{walk(), walk(job(1150, "fork")), walk(job(1150, "job"))}, []string{"job 1150"}},
		{"group without processes", "- {name: empty, comm: [nothing], expect: {min: 1}}\n",
			[]walkStep{walk(), walk(), walk()}, []string{"empty 1100"}},
		{"process between two walks", "", []walkStep{walk(), gone(job(1130, "job"), 0)},
			[]string{"job 1130", "exit 0 1100", "matched exit 0 1100"}},
		{"exit of a known process", "",
			[]walkStep{walk(), walk(job(1150, "job")), walk(job(1150, "job")), gone(job(1150, "job"), 9), walk()},
			[]string{"job 1150", "exit SIGKILL 1300", "matched exit SIGKILL 1300"}},
		{"exit of a child, then of the job", "",
			[]walkStep{
				walk(job(50, "job")), walk(job(50, "job"), childOf(7, liveSample(8, 1150, "sh", 1, 1))),
				{live: []platform.Sample{init, job(50, "job")}, exits: []platform.Exit{exitOf(childOf(7, liveSample(8, 1150, "sh", 1, 1)), 0)}},
				gone(job(50, "job"), 0),
			},
			[]string{"job 1100", "exit 0 1200", "matched exit 0 1300"}},
		{"threads", "",
			[]walkStep{
				walk(), walk(withNamedThread(job(1150, "job"), "first", 1151)),
				walk(withNamedThread(job(1150, "job"), "renamed", 1151)), walk(withNamedThread(job(1150, "job"), "renamed", 1151)),
			},
			[]string{"job 1150", "thread job 1150", "thread renamed 1200"}},
	}
	options := replayOptions
	options.Collectors |= CollectorThreads
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			groups, _ := replay(t, tt.rules+"- comm: [job, shell, service]\n", options, tt.steps)
			if got := startsOf(groups); !slices.Equal(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

// TestCountersStartAfterRemoval checks that a removed group that returns counts from its
// return, as its counters do.
func TestCountersStartAfterRemoval(t *testing.T) {
	options := replayOptions
	options.RemoveEmpty = true
	job := func(start uint64) walkStep {
		return walkStep{live: []platform.Sample{initSample, liveSample(7, start, "job", 1, 3)}}
	}
	none := walkStep{live: []platform.Sample{initSample}}
	groups, _ := replay(t, "- comm: [job]\n", options, []walkStep{none, job(1150), none, job(1350)})
	if got := startsOf(groups); !slices.Equal(got, []string{"job 1350"}) {
		t.Errorf("got %q, want 1350", got)
	}
}

// TestCountersStartAfterRelabel checks that a group which replaces others counts from the
// earliest start: here that of the group without processes, which the rule has from the
// first walk on.
func TestCountersStartAfterRelabel(t *testing.T) {
	m, err := Parse("test.yaml", []byte("process_names:\n- {name: g, comm: [a, b], labels: {program: '{{.Comm}}'}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	live := []platform.Sample{initSample, liveSample(7, 1150, "a", 1, 3)}
	later := append(slices.Clone(live), liveSample(8, 1250, "b", 1, 3))
	src := &replaySource{steps: []walkStep{{live: live[:1]}, {live: live}, {live: later}, {live: later}}}
	tr := NewTracker(src, m, replayOptions)
	var groups []Group
	for i := range src.steps {
		if i == 3 {
			if m, err = Parse("test.yaml", []byte("process_names:\n- {name: g, comm: [a, b]}\n")); err != nil {
				t.Fatal(err)
			}
			tr.SetMatcher(m)
		}
		if groups, err = tr.Update(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := startsOf(groups); !slices.Equal(got, []string{"g 1100"}) {
		t.Errorf("got %q, want 1100", got)
	}
}
