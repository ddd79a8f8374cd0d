//go:build amd64 || arm64

package platform

import (
	"fmt"
	"slices"
	"testing"

	"github.com/seed57308aee/process_exporter/platform/bpf"
)

// An eventPlayer hands recorded events to a source that no kernel feeds.
type eventPlayer struct {
	k    *kernelSource
	snap Snapshot
}

// words is an event that tells what a process is called.
func (p *eventPlayer) words(kind uint32, tgid uint32, start uint64, comm string, runtime uint64) {
	w := &bpf.IdentityRecord{Kind: kind, Pid: int32(tgid), Tgid: tgid, Start: start}
	for i := range comm {
		w.Comm[i], w.Args[i] = int8(comm[i]), int8(comm[i])
	}
	w.ArgsLen, w.Usage.Runtime = uint32(len(comm)), runtime
	p.k.remember(w, p.snap.Now)
}

// freed is an event that tells what a process has used.
func (p *eventPlayer) freed(tgid uint32, start, runtime uint64) {
	p.k.finish(&bpf.FreeRecord{Tgid: tgid, Start: start, Usage: bpf.Usage{Runtime: runtime}})
}

// TestEventSequences tells of every process once, whatever is lost of it.
func TestEventSequences(t *testing.T) {
	tests := []struct {
		name string
		play func(*eventPlayer)
		want []string // name, arguments and nanoseconds of every exit
	}{
		{"as usual", func(p *eventPlayer) {
			p.words(bpf.KindExit, 7, 1, "a", 10)
			p.freed(7, 1, 12)
		}, []string{"a a 12"}},
		{"other programs before", func(p *eventPlayer) {
			p.words(bpf.KindExec, 7, 1, "a", 0)
			p.words(bpf.KindExec, 7, 1, "b", 0)
			p.words(bpf.KindExit, 7, 1, "c", 10)
			p.freed(7, 1, 12)
		}, []string{"c c 12"}},
		{"no command line in the end", func(p *eventPlayer) {
			p.words(bpf.KindExec, 7, 1, "a", 0)
			p.k.remember(&bpf.IdentityRecord{Kind: bpf.KindExit, Pid: 7, Tgid: 7, Start: 1, Comm: [16]int8{'b'}}, 0)
			p.freed(7, 1, 12)
		}, []string{"b a 12"}},
		{"it ended before we came", func(p *eventPlayer) { p.freed(7, 1, 12) }, []string{"  12"}},
		{"the words are lost", func(p *eventPlayer) {
			p.k.finish(&bpf.FreeRecord{Tgid: 7, Start: 1, Flags: bpf.EventLost, Usage: bpf.Usage{Runtime: 12}})
		}, []string{"  12 untold"}},
		{"the last words are lost", func(p *eventPlayer) {
			p.words(bpf.KindExec, 7, 1, "a", 0)
			p.k.finish(&bpf.FreeRecord{Tgid: 7, Start: 1, Flags: bpf.EventLost, Usage: bpf.Usage{Runtime: 12}})
		}, []string{"a a 12 untold"}},
		{"the number is used again", func(p *eventPlayer) {
			p.words(bpf.KindExit, 7, 1, "a", 10)
			p.words(bpf.KindExit, 7, 2, "b", 20)
			p.freed(7, 1, 12)
			p.freed(7, 2, 22)
		}, []string{"a a 12", "b b 22"}},
		{"not reaped", func(p *eventPlayer) {
			p.words(bpf.KindExit, 7, 1, "a", 10)
			p.snap.Samples = []Sample{{ID: p.k.ticks.id(7, 1), State: 'Z'}}
			p.snap.Now += patienceTicks
		}, nil},
		{"the number is used again within a tick", func(p *eventPlayer) {
			p.k.ticks.nanos = 10
			p.words(bpf.KindExit, 7, 11, "a", 10)
			p.snap.Samples = []Sample{{ID: p.k.ticks.id(7, 12), State: 'S'}}
			p.snap.Now += patienceTicks
		}, []string{"a a 10"}},
		{"the end is lost", func(p *eventPlayer) {
			p.words(bpf.KindExit, 7, 1, "a", 10)
			p.snap.Now += patienceTicks
		}, []string{"a a 10"}},
		{"the end is late", func(p *eventPlayer) {
			p.words(bpf.KindExit, 7, 1, "a", 10)
			p.snap.Now += patienceTicks
			p.k.giveUp(&p.snap)
			p.freed(7, 1, 12) // without a name it counts for nobody
		}, []string{"a a 10", "  12"}},
		{"a program that goes on", func(p *eventPlayer) {
			p.words(bpf.KindExec, 7, 1, "a", 0)
			p.snap.Now += patienceTicks
		}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := &kernelSource{ended: make(map[birth]*ending), ticks: ticks{nanos: 1, page: 1}}
			// What the memory held before is not seen any more.
			k.spare = []*ending{{Exit: Exit{Sample: Sample{Comm: "old", UserNanos: 99}, Args: []byte("old")}}}
			p := &eventPlayer{k: k, snap: Snapshot{Now: 1}}
			tt.play(p)
			k.giveUp(&p.snap)
			var got []string
			for i := range p.snap.Exits {
				e := &p.snap.Exits[i]
				text := fmt.Sprintf("%s %s %d", e.Comm, e.Args, e.UserNanos+e.SystemNanos)
				if e.EventLost {
					text += " untold"
				}
				got = append(got, text)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestForgottenWords of programs whose end was never told do not pile up.
func TestForgottenWords(t *testing.T) {
	p := &eventPlayer{k: &kernelSource{ended: make(map[birth]*ending), ticks: ticks{nanos: 1, page: 1}}}
	p.snap.Samples, p.snap.Now = []Sample{{ID: p.k.ticks.id(1, 1)}}, 1
	for i := range uint32(5000) {
		p.words(bpf.KindExec, 1+i, 1, "a", 0)
		p.k.giveUp(&p.snap)
	}
	if n := len(p.k.ended); n != 5000 {
		t.Errorf("remembers %d of 5,000 programs that it has just been told of", n)
	}
	p.snap.Now += patienceTicks
	for i := range uint32(3000) { // that have ended, and are reaped in a moment
		p.words(bpf.KindExit, 10_000+i, 1, "b", 1)
	}
	p.k.giveUp(&p.snap)
	for i := range uint32(3000) {
		p.freed(10_000+i, 1, 2)
	}
	p.k.giveUp(&p.snap)
	if n := len(p.snap.Exits); n != 3000 || p.snap.Exits[0].Comm != "b" {
		t.Errorf("got %d ends, the first of %q, want 3,000", n, p.snap.Exits[0].Comm)
	}
	if n := len(p.k.ended); n > 1100 {
		t.Errorf("remembers %d programs while one process lives", n)
	}
	if p.k.ended[birth{1, 1}] == nil {
		t.Error("has forgotten the process that lives")
	}
}
