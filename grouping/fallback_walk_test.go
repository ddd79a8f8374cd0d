package grouping

import (
	"testing"

	"github.com/seed57308aee/process_exporter/platform"
)

// withSerial returns a sample with a Serial as the source bpf has it.
func withSerial(p platform.Sample) platform.Sample {
	p.Serial = p.Start*10_000_000 + 1234
	return p
}

// TestFallbackWalk checks that nothing counts twice or is lost if the source bpf reads /proc
// in one walk. A walk of /proc does not know the Serial of a process that it finds first.
func TestFallbackWalk(t *testing.T) {
	const start = 1250 // after the first walk
	known, found := withSerial(liveSample(7, start, "job", 1, 1)), liveSample(7, start, "job", 1, 1)
	after := withSerial(liveSample(7, start, "job", 1, 3))
	bpf := func(live ...platform.Sample) walkStep {
		return walkStep{live: append([]platform.Sample{initSample}, live...)}
	}
	proc := func(live ...platform.Sample) walkStep {
		s := bpf()
		for _, p := range live {
			s.live = append(s.live, procfsSample(p))
		}
		s.procfs = true
		return s
	}
	exit := func(s walkStep) walkStep {
		s.exits = []platform.Exit{exitOf(after, 0)}
		return s
	}
	for _, tt := range []struct {
		name  string
		steps []walkStep
	}{
		{"known before", []walkStep{bpf(known), proc(known), exit(bpf())}},
		{"found by the fallback", []walkStep{bpf(), proc(found), bpf(after), exit(bpf())}},
		{"found by the fallback, ended after it", []walkStep{bpf(), proc(found), exit(bpf())}},
		{"missed before the fallback", []walkStep{bpf(known), bpf(), proc(found), exit(bpf())}},
		{"found by the fallback, missed after it", []walkStep{bpf(), proc(found), bpf(), bpf(after), bpf(after), exit(bpf())}},
		{"found by the fallback, exit event late", []walkStep{bpf(), proc(found), bpf(), exit(bpf())}},
		{"ended before the fallback", []walkStep{bpf(known), exit(proc())}},
		{"ended before the fallback, exit event late", []walkStep{bpf(known), proc(), exit(bpf())}},
		{"ended between two fallbacks", []walkStep{bpf(known), proc(known), proc(), exit(bpf())}},
		{"found by a fallback, ended between two", []walkStep{bpf(), proc(found), exit(proc()), bpf()}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			steps := append([]walkStep{bpf(), bpf()}, tt.steps...)
			steps = append(steps, bpf())
			tr := NewTracker(&replaySource{steps: steps, ready: make(chan struct{})}, parseRules(t, "- {name: job, comm: [job]}\n"), replayOptions)
			var groups []Group
			for range steps {
				var err error
				if groups, err = tr.Update(t.Context()); err != nil {
					t.Fatal(err)
				}
				for i := range groups {
					if !groups[i].ExitsKnown {
						t.Errorf("group %s: got no exits, want those that the source has reported", groups[i].Name)
					}
				}
			}
			if len(groups) != 1 || groups[0].UserNanos != 3e9 || groups[0].WriteBytes != 3000 || groups[0].Exits[0].Count != 1 {
				t.Errorf("got %s, want 3s 3000B and one exit", usageOf(groups))
			}
			if n := tr.MatchCounts().UngroupedNanos; n != 0 {
				t.Errorf("got %d ns of ungrouped processes, want 0", n)
			}
			if len(tr.awaitedExits) != 0 {
				t.Errorf("got %d awaited exits, want 0", len(tr.awaitedExits))
			}
		})
	}
}

// TestExitsOfReusedPID checks two processes with the same PID and the same start time, whose
// exit events arrive late and in any order. Each is counted once.
func TestExitsOfReusedPID(t *testing.T) {
	const start = 1250 // after the first walk
	first, second := liveSample(7, start, "job", 1, 1), liveSample(7, start, "job", 2, 2)
	first.Serial, second.Serial = start*10_000_000+1, start*10_000_000+2
	walk := func(live []platform.Sample, exits ...platform.Exit) walkStep {
		return walkStep{live: append([]platform.Sample{initSample}, live...), exits: exits}
	}
	for _, exits := range [][]platform.Exit{{exitOf(first, 0), exitOf(second, 0)}, {exitOf(second, 0), exitOf(first, 0)}} {
		steps := []walkStep{
			walk(nil), walk(nil), walk([]platform.Sample{first}), walk([]platform.Sample{second}), walk(nil),
			walk(nil, exits[0]), walk(nil, exits[1]),
		}
		tr := NewTracker(&replaySource{steps: steps}, parseRules(t, "- {name: job, comm: [job]}\n"), replayOptions)
		var groups []Group
		for range steps {
			var err error
			if groups, err = tr.Update(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if g := groups[0]; g.UserNanos != 3e9 || g.Starts != 2 || g.Exits[0].Count != 2 || len(tr.awaitedExits) != 0 {
			t.Errorf("got %s and %d awaited exits, want 3s, 2 starts, 2 exits and none", usageOf(groups), len(tr.awaitedExits))
		}
	}
}
