package grouping

import (
	"context"
	"slices"
	"testing"

	"github.com/seed57308aee/process_exporter/platform"
)

// TestAccountExits replays walks and exits. Usage counts once, and usage from before
// the first walk does not count.
func TestAccountExits(t *testing.T) {
	init := initSample
	before := walkStep{live: []platform.Sample{init}}
	job := func(seconds uint64) platform.Sample { return liveSample(7, young, "job", 1, seconds) }
	only := func(exits ...platform.Exit) walkStep {
		return walkStep{live: []platform.Sample{init}, exits: exits}
	}
	with := func(ps ...platform.Sample) walkStep {
		return walkStep{live: append([]platform.Sample{init}, ps...)}
	}
	tests := []struct {
		name  string
		steps []walkStep
		want  string // usageOf the groups
	}{
		{"process lives between two walks", []walkStep{before, only(exitOf(job(3), 0))},
			"job: 3s 3000B 30 switches, 1 started, exited/0 1"},
		{"usage after the last walk counts", []walkStep{before, with(job(3)), only(exitOf(job(5), 9))},
			"job: 5s 5000B 50 switches, 1 started, killed/SIGKILL 1"},
		{"process started before the first walk",
			[]walkStep{with(liveSample(7, old, "job", 1, 100)), only(exitOf(liveSample(7, old, "job", 1, 101), 0))},
			"job: 1s 1000B 10 switches, 0 started, exited/0 1"},
		{"exit event is one walk late", []walkStep{before, with(job(3)), before, only(exitOf(job(5), 0))},
			"job: 5s 5000B 50 switches, 1 started, exited/0 1"},
		{"exit event without a sample", []walkStep{before, only(exitOf(job(3), 11|0x80)), before},
			"job: 3s 3000B 30 switches, 1 started, dumped/SIGSEGV 1"},
		{"exit event is lost, usage is known",
			[]walkStep{before, with(job(3)), only(lostExitOf(liveSample(7, young, "", 1, 5)), lostExitOf(liveSample(8, young, "", 1, 5)))},
			"job: 5s 5000B 50 switches, 1 started"},
		{"process executed another program after the last walk",
			[]walkStep{before, with(liveSample(7, young, "shell", 1, 1)), only(exitOf(liveSample(7, young, "job", 2, 4), 0))},
			"job: 3s 3000B 30 switches, 1 started, exited/0 1; shell: 1s 1000B 10 switches, 1 started"},
		{"PID is reused", []walkStep{
			before,
			with(job(3)),
			{live: []platform.Sample{init, liveSample(7, young+5, "job", 1, 1)}, exits: []platform.Exit{exitOf(job(4), 0)}},
			only(exitOf(liveSample(7, young+5, "job", 1, 2), 0)),
		}, "job: 6s 6000B 60 switches, 2 started, exited/0 2"},
		{"bpf source fails", []walkStep{
			before,
			with(job(3)),
			{live: []platform.Sample{init, mainThreadOnly(liveSample(7, young, "job", 99, 3))}, procfs: true},
			{live: []platform.Sample{init, mainThreadOnly(liveSample(7, young, "job", 99, 5))}, procfs: true},
		}, "job: 5s 5000B 32 switches"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			groups, _ := replay(t, "- comm: [job, shell, service]\n", replayOptions, tt.steps)
			if got := usageOf(groups); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// replayOptions are the options of most tests with a replaySource.
var replayOptions = Options{Children: true, Collectors: CollectorMemory | CollectorIO}

// mainThreadOnly returns a sample as the procfs source has it: with the context
// switches of one of several threads, and with CPU time in whole clock ticks.
func mainThreadOnly(p platform.Sample) platform.Sample {
	p.Have &^= platform.FieldSwitchesOfAllThreads
	p.VoluntarySwitches = p.UserNanos / 1e9
	p.UserNanos -= 5e6
	if p.UserNanos > 4e9 {
		p.UserNanos += 5e6
	}
	return p
}

// TestExitEventTimeout checks that a record is dropped whose exit event is missing.
func TestExitEventTimeout(t *testing.T) {
	source := new(replaySource)
	for range 100 { // one second each
		source.steps = append(source.steps, walkStep{live: []platform.Sample{liveSample(1, 1, "init", 1, 0)}})
	}
	source.steps[3].live = append(slices.Clone(source.steps[3].live), liveSample(7, 1350, "job", 1, 3))
	tr := NewTracker(source, Default(), Options{})
	for range source.steps {
		if _, err := tr.Update(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(tr.awaitedExits); n != 0 {
		t.Errorf("got %d awaited exits after %d seconds, want 0", n, awaitedExitTimeout)
	}
}

// TestMatchedExits checks that exits of children that joined the group count, but not as
// exits of processes that match the rule.
func TestMatchedExits(t *testing.T) {
	job, grep := liveSample(7, young, "job", 1, 1), childOf(7, liveSample(8, young, "grep", 1, 1))
	for name, tt := range map[string]struct {
		exits        []platform.Exit
		all, matched uint64
	}{
		"child":      {[]platform.Exit{exitOf(grep, 1<<8)}, 1, 0},
		"process":    {[]platform.Exit{exitOf(job, 1<<8)}, 1, 1},
		"both":       {[]platform.Exit{exitOf(grep, 1<<8), exitOf(job, 1<<8)}, 2, 1},
		"unseen one": {[]platform.Exit{exitOf(childOf(7, liveSample(9, young, "grep", 1, 1)), 1<<8)}, 1, 0},
	} {
		groups, _ := replay(t, "- {name: g, comm: [job]}\n", replayOptions, []walkStep{
			{live: []platform.Sample{initSample, job, grep}},
			{live: []platform.Sample{initSample, job}, exits: tt.exits},
		})
		if len(groups) != 1 || len(groups[0].Exits) != 1 || groups[0].Exits[0].Code != "1" ||
			groups[0].Exits[0].Count != tt.all || groups[0].Exits[0].Matched != tt.matched {
			t.Errorf("%s: got groups %+v, want %d exits, %d of them matched", name, groups, tt.all, tt.matched)
		}
	}
}
