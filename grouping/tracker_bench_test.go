package grouping

import (
	"context"
	"testing"

	"github.com/seed57308aee/process_exporter/platform"
)

// A staticSource returns the same processes and exits at every walk.
type staticSource struct {
	replaySource
	samples []platform.Sample
	exits   []platform.Exit
	walks   uint64
}

func (s *staticSource) Walk(_ context.Context, snap *platform.Snapshot) error {
	s.walks++
	snap.Samples, snap.Exits = append(snap.Samples[:0], s.samples...), s.exits
	snap.Now, snap.TicksPerSecond, snap.Kind = 1e6+100*s.walks, 100, platform.SourceBPF
	return nil
}

// benchmarkTracker returns a Tracker of a chain of 1000 processes, each with
// 4 threads, of which every tenth matches a rule, after its first Update.
func benchmarkTracker(b *testing.B, exits int) *Tracker {
	b.Helper()
	src := new(staticSource)
	init := liveSample(1, 1, "init", 1, 0)
	src.samples = append(src.samples, init)
	for pid := 2; pid <= 1000; pid++ {
		comm := "other"
		if pid%10 == 0 {
			comm = "job"
		}
		p := childOf(pid-1, liveSample(pid, 10, comm, 1, 3))
		for tid := pid; tid < pid+4; tid++ {
			p.Tasks = append(p.Tasks, platform.Task{TID: tid, Start: 10, Comm: comm, Have: platform.FieldStatus | platform.FieldTaskUsage})
		}
		src.samples = append(src.samples, p)
	}
	for pid := 5000; pid < 5000+exits; pid++ {
		src.exits = append(src.exits, exitOf(childOf(995, liveSample(pid, 2e6, "other", 1, 3)), 0))
	}
	rules, err := Parse("bench.yaml", []byte("process_names:\n- comm: [job, shell, service]\n"))
	if err != nil {
		b.Fatal(err)
	}
	tr := NewTracker(src, rules, Options{
		Children:   true,
		Collectors: CollectorSwitches | CollectorThreads,
	})
	if _, err := tr.Update(context.Background()); err != nil {
		b.Fatal(err)
	}
	return tr
}

func BenchmarkUpdate(b *testing.B) {
	benchmarks := []struct {
		name  string
		exits int
		setup func(*Tracker)
	}{
		{name: "unchanged"},
		{name: "exits", exits: 1000},
		{name: "reload", setup: func(t *Tracker) { t.SetMatcher(t.matcher) }},
	}
	for _, bb := range benchmarks {
		b.Run(bb.name, func(b *testing.B) {
			tr := benchmarkTracker(b, bb.exits)
			b.ReportAllocs()
			for b.Loop() {
				if bb.setup != nil {
					bb.setup(tr)
				}
				if _, err := tr.Update(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
