package grouping

import (
	"strconv"
	"testing"

	"github.com/seed57308aee/process_exporter/platform"
)

// An ancestorCase is a case of TestGroupedAncestor.
type ancestorCase struct {
	name          string
	rules         string            // "" is one rule for service
	live          []platform.Sample // in addition to init; those with the start time old are in both walks
	exits         []platform.Exit
	want          string // usageOf the groups
	wantUngrouped uint64 // seconds used by processes in no group
}

const old, young = 10, 1150 // start in ticks after boot: before and after the first walk

var (
	initSample    = liveSample(1, 1, "init", 1, 0)
	serviceSample = liveSample(5, old, "service", 1, 0)
	parentSample  = childOf(5, liveSample(6, young, "shell", 1, 1))
	childSample   = childOf(6, liveSample(7, young, "helper", 1, 2))
)

var ancestorCases = []ancestorCase{
	{name: "live child of a live parent", live: []platform.Sample{serviceSample, childOf(5, childSample)},
		want: "service: 2s 2000B 20 switches, 1 started"},
	{name: "live child and live grandparent", live: []platform.Sample{serviceSample, parentSample, childSample},
		want: "service: 3s 3000B 30 switches, 2 started"},
	{name: "exited child of a live parent", live: []platform.Sample{serviceSample}, exits: []platform.Exit{exitOf(childOf(5, childSample), 0)},
		want: "service: 2s 2000B 20 switches, 1 started, exited/0 1 (0 matched)"},
	{
		name:  "exited child and exited parent",
		live:  []platform.Sample{serviceSample},
		exits: []platform.Exit{exitOf(childSample, 0), exitOf(parentSample, 0)},
		want:  "service: 3s 3000B 30 switches, 2 started, exited/0 2 (0 matched)",
	},
	{
		name:  "all exited",
		exits: []platform.Exit{exitOf(childSample, 0), exitOf(parentSample, 0), exitOf(liveSample(5, young, "service", 1, 4), 0)},
		want:  "service: 7s 7000B 70 switches, 3 started, exited/0 3 (1 matched)",
	},
	{name: "exited child of an unknown parent", exits: []platform.Exit{exitOf(childSample, 0)},
		want: "service: 0s 0B 0 switches, 0 started", wantUngrouped: 2},
	{name: "live child of an ignored parent", rules: "- {comm: [shell], ignore: true}\n- {name: service, comm: [service]}\n",
		live: []platform.Sample{serviceSample, parentSample, childSample},
		want: "service: 0s 0B 0 switches, 0 started", wantUngrouped: 0},
	{name: "exited child of an ignored parent", rules: "- {comm: [shell], ignore: true}\n- {name: service, comm: [service]}\n",
		live: []platform.Sample{serviceSample}, exits: []platform.Exit{exitOf(childSample, 0), exitOf(parentSample, 0)},
		want: "service: 0s 0B 0 switches, 0 started", wantUngrouped: 3},
	{name: "exited child of a rule without children", rules: "- {name: service, comm: [service], children: false}\n",
		live: []platform.Sample{serviceSample}, exits: []platform.Exit{exitOf(childOf(5, childSample), 0)},
		want: "service: 0s 0B 0 switches, 0 started", wantUngrouped: 2},
	{name: "live child, PID of its parent reused", live: []platform.Sample{liveSample(6, young+30, "service", 1, 0), childSample},
		want: "service: 0s 0B 0 switches, 1 started", wantUngrouped: 0},
	{
		name:          "live grandchild, PID of its grandparent reused",
		live:          []platform.Sample{liveSample(5, young+30, "service", 1, 0), parentSample, childSample},
		want:          "service: 0s 0B 0 switches, 1 started",
		wantUngrouped: 0,
	},
	{name: "exited child, PID of its parent reused by a live process", live: []platform.Sample{liveSample(6, young+30, "service", 1, 0)},
		exits: []platform.Exit{exitOf(childSample, 0)},
		want:  "service: 0s 0B 0 switches, 1 started", wantUngrouped: 2},
	{name: "exited child, PID of its parent reused by an exited process",
		exits: []platform.Exit{exitOf(childSample, 0), exitOf(liveSample(6, young+30, "service", 1, 0), 0)},
		want:  "service: 0s 0B 0 switches, 1 started, exited/0 1", wantUngrouped: 2},
	{
		name:  "exited child and parent, PID of the parent reused by a live process",
		live:  []platform.Sample{serviceSample, liveSample(6, young+30, "x", 1, 0)},
		exits: []platform.Exit{exitOf(parentSample, 0), exitOf(childSample, 0)},
		want:  "service: 3s 3000B 30 switches, 2 started, exited/0 2 (0 matched)",
	},
}

// TestGroupedAncestor checks which group an ungrouped process joins. The rules for
// live and for exited processes are the same.
func TestGroupedAncestor(t *testing.T) {
	for _, tt := range ancestorCases {
		t.Run(tt.name, func(t *testing.T) {
			if tt.rules == "" {
				tt.rules = "- {name: service, comm: [service]}\n"
			}
			first := []platform.Sample{initSample}
			for _, p := range tt.live {
				if p.Start == old {
					first = append(first, p)
				}
			}
			groups, tr := replay(t, tt.rules, replayOptions, []walkStep{
				{live: first},
				{live: append([]platform.Sample{initSample}, tt.live...), exits: tt.exits},
			})
			if got := usageOf(groups); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if got := tr.MatchCounts().UngroupedNanos / 1e9; got != tt.wantUngrouped {
				t.Errorf("got %d s of ungrouped processes, want %d", got, tt.wantUngrouped)
			}
		})
	}
}

// TestAncestorNamesStopAtReusedPID checks that the selector ancestor does not see a
// process that started after the child.
func TestAncestorNamesStopAtReusedPID(t *testing.T) {
	for start, want := range map[uint64]int{1100: 1, 1200: 0} {
		t.Run(strconv.FormatUint(start, 10), func(t *testing.T) {
			groups, _ := replay(t, "- {name: g, comm: [helper], ancestor: [service]}\n", replayOptions, []walkStep{
				{
					live: []platform.Sample{
						liveSample(1, 1, "init", 1, 0),
						liveSample(6, start, "service", 1, 0),
						childOf(6, liveSample(7, 1150, "helper", 1, 2)),
					},
				},
			})
			if len(groups) != 1 || groups[0].Procs != want {
				t.Errorf("got groups %+v, want one with %d processes", groups, want)
			}
		})
	}
}
