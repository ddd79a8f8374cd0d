package grouping

import (
	"strconv"
	"testing"

	"github.com/seed57308aee/process_exporter/platform"
)

// TestGroupedAncestor checks which group an unmatched process joins. The rules for
// live and for exited processes are the same.
func TestGroupedAncestor(t *testing.T) {
	const old, young = 10, 1150 // start in ticks after boot: before and after the first walk
	init := liveSample(1, 1, "init", 1, 0)
	service := liveSample(5, old, "service", 1, 0)
	parent := childOf(5, liveSample(6, young, "shell", 1, 1))
	child := childOf(6, liveSample(7, young, "helper", 1, 2))
	tests := []struct {
		name        string
		rules       string // "" is one rule for service
		live        []platform.Sample
		exits       []platform.Exit
		want        string // usageOf the groups
		wantUnknown uint64 // seconds used by processes in no group
	}{
		{name: "live child of a live parent", live: []platform.Sample{service, childOf(5, child)},
			want: "service: 2s 2000B 20 switches, 1 started"},
		{name: "live child and live grandparent", live: []platform.Sample{service, parent, child},
			want: "service: 3s 3000B 30 switches, 2 started"},
		{name: "exited child of a live parent", live: []platform.Sample{service}, exits: []platform.Exit{exitOf(childOf(5, child), 0)},
			want: "service: 2s 2000B 20 switches, 1 started, exited/0 1"},
		{name: "exited child and exited parent", live: []platform.Sample{service}, exits: []platform.Exit{exitOf(child, 0), exitOf(parent, 0)},
			want: "service: 3s 3000B 30 switches, 2 started, exited/0 2"},
		{name: "all exited", exits: []platform.Exit{exitOf(child, 0), exitOf(parent, 0), exitOf(liveSample(5, young, "service", 1, 4), 0)},
			want: "service: 7s 7000B 70 switches, 3 started, exited/0 3"},
		{name: "exited child of an unknown parent", exits: []platform.Exit{exitOf(child, 0)},
			want: "service: 0s 0B 0 switches, 0 started", wantUnknown: 2},
		{name: "live child of an ignored parent", rules: "- {comm: [shell], ignore: true}\n- {name: service, comm: [service]}\n",
			live: []platform.Sample{service, parent, child},
			want: "service: 0s 0B 0 switches, 0 started", wantUnknown: 0},
		{name: "exited child of an ignored parent", rules: "- {comm: [shell], ignore: true}\n- {name: service, comm: [service]}\n",
			live: []platform.Sample{service}, exits: []platform.Exit{exitOf(child, 0), exitOf(parent, 0)},
			want: "service: 0s 0B 0 switches, 0 started", wantUnknown: 3},
		{name: "exited child of a rule without children", rules: "- {name: service, comm: [service], children: false}\n",
			live: []platform.Sample{service}, exits: []platform.Exit{exitOf(childOf(5, child), 0)},
			want: "service: 0s 0B 0 switches, 0 started", wantUnknown: 2},
		{name: "live child, PID of its parent reused", live: []platform.Sample{liveSample(6, young+30, "service", 1, 0), child},
			want: "service: 0s 0B 0 switches, 1 started", wantUnknown: 0},
		{name: "live grandchild, PID of its grandparent reused", live: []platform.Sample{liveSample(5, young+30, "service", 1, 0), parent, child},
			want: "service: 0s 0B 0 switches, 1 started", wantUnknown: 0},
		{name: "exited child, PID of its parent reused by a live process", live: []platform.Sample{liveSample(6, young+30, "service", 1, 0)},
			exits: []platform.Exit{exitOf(child, 0)},
			want:  "service: 0s 0B 0 switches, 1 started", wantUnknown: 2},
		{name: "exited child, PID of its parent reused by an exited process",
			exits: []platform.Exit{exitOf(child, 0), exitOf(liveSample(6, young+30, "service", 1, 0), 0)},
			want:  "service: 0s 0B 0 switches, 1 started, exited/0 1", wantUnknown: 2},
		{name: "exited child and parent, PID of the parent reused by a live process", live: []platform.Sample{service, liveSample(6, young+30, "x", 1, 0)},
			exits: []platform.Exit{exitOf(parent, 0), exitOf(child, 0)},
			want:  "service: 3s 3000B 30 switches, 2 started, exited/0 2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.rules == "" {
				tt.rules = "- {name: service, comm: [service]}\n"
			}
			first := []platform.Sample{init}
			for _, p := range tt.live {
				if p.Start == old {
					first = append(first, p)
				}
			}
			groups, tr := replay(t, tt.rules, replayOptions, []walkStep{
				{live: first},
				{live: append([]platform.Sample{init}, tt.live...), exits: tt.exits},
			})
			if got := usageOf(groups); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if got := tr.Coverage().UnmatchedNanos / 1e9; got != tt.wantUnknown {
				t.Errorf("got %d s of unmatched processes, want %d", got, tt.wantUnknown)
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
				{live: []platform.Sample{liveSample(1, 1, "init", 1, 0), liveSample(6, start, "service", 1, 0), childOf(6, liveSample(7, 1150, "helper", 1, 2))}},
			})
			if len(groups) != 1 || groups[0].Procs != want {
				t.Errorf("got groups %+v, want one with %d processes", groups, want)
			}
		})
	}
}
