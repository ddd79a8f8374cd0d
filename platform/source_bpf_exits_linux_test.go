//go:build amd64 || arm64

package platform

import (
	"fmt"
	"slices"
	"testing"

	"github.com/seed57308aee/process_exporter/platform/bpf"
	"github.com/seed57308aee/process_exporter/platform/internal/host"
)

// An eventReplay passes exit events to a bpfSource without BPF programs.
type eventReplay struct {
	src  *bpfSource
	log  *exitTable
	snap Snapshot
}

func newEventReplay() *eventReplay {
	src := &bpfSource{times: timeConverter{host.TickConverter{TickNanos: 1}}}
	src.exits = newExitTable(&src.times, 1)
	return &eventReplay{src: src, log: &src.exits, snap: Snapshot{Now: 1}}
}

// identity replays an IdentityRecord whose command line is comm.
func (r *eventReplay) identity(kind uint32, tgid uint32, start uint64, comm string, runtime uint64) {
	e := &bpf.IdentityRecord{Kind: kind, Pid: int32(tgid), Tgid: tgid, Start: start}
	for i := range comm {
		e.Comm[i], e.Args[i] = int8(comm[i]), int8(comm[i])
	}
	e.ArgsLen, e.Usage.Runtime = uint32(len(comm)), runtime
	r.log.addIdentity(e, r.snap.Now)
}

// free replays a ReapedRecord.
func (r *eventReplay) free(tgid uint32, start, runtime uint64) {
	r.log.addReaped(&bpf.ReapedRecord{Tgid: tgid, Start: start, Usage: bpf.Usage{Runtime: runtime}})
}

// freeLost replays the ReapedRecord of a process whose IdentityRecord was dropped.
func (r *eventReplay) freeLost(tgid uint32, start, runtime uint64) {
	r.log.addReaped(&bpf.ReapedRecord{Tgid: tgid, Start: start, Flags: bpf.EventLost, Usage: bpf.Usage{Runtime: runtime}})
}

// walk ends a walk. The next one begins some clock ticks later.
func (r *eventReplay) walk(ticks uint64) {
	r.src.expireExits(&r.snap)
	r.snap.Now += ticks
}

// exitEventTests are sequences of exit events in which some are missing.
var exitEventTests = []struct {
	name   string
	replay func(*eventReplay)
	want   []string // name, arguments and nanoseconds of every exit
}{
	{"complete", func(r *eventReplay) {
		r.identity(bpf.KindExit, 7, 1, "a", 10)
		r.free(7, 1, 12)
	}, []string{"a a 12"}},
	{"execve before", func(r *eventReplay) {
		r.identity(bpf.KindExec, 7, 1, "a", 0)
		r.identity(bpf.KindExec, 7, 1, "b", 0)
		r.identity(bpf.KindExit, 7, 1, "c", 10)
		r.free(7, 1, 12)
	}, []string{"c c 12"}},
	{"no command line at exit", func(r *eventReplay) {
		r.identity(bpf.KindExec, 7, 1, "a", 0)
		r.log.addIdentity(&bpf.IdentityRecord{Kind: bpf.KindExit, Pid: 7, Tgid: 7, Start: 1, Comm: [16]int8{'b'}}, 0)
		r.free(7, 1, 12)
	}, []string{"b a 12"}},
	{"exited before the programs were loaded", func(r *eventReplay) { r.free(7, 1, 12) }, []string{"  12"}},
	{"identity lost", func(r *eventReplay) { r.freeLost(7, 1, 12) }, []string{"  12 lost"}},
	{"exit identity lost", func(r *eventReplay) {
		r.identity(bpf.KindExec, 7, 1, "a", 0)
		r.freeLost(7, 1, 12)
	}, []string{"a a 12 lost"}},
	{"PID reused", func(r *eventReplay) {
		r.identity(bpf.KindExit, 7, 1, "a", 10)
		r.identity(bpf.KindExit, 7, 2, "b", 20)
		r.free(7, 1, 12)
		r.free(7, 2, 22)
	}, []string{"a a 12", "b b 22"}},
	{"zombie", func(r *eventReplay) {
		r.identity(bpf.KindExit, 7, 1, "a", 10)
		r.snap.Samples = []Sample{{ID: r.src.times.id(7, 1), State: 'Z'}}
		r.snap.Now += reapedRecordTicks
	}, nil},
	{"PID reused within a clock tick", func(r *eventReplay) {
		r.src.times.TickNanos = 10
		r.identity(bpf.KindExit, 7, 11, "a", 10)
		r.snap.Samples = []Sample{{ID: r.src.times.id(7, 12), State: 'S'}}
		r.walk(reapedRecordTicks)
	}, []string{"a a 10"}},
	{"free record lost", func(r *eventReplay) {
		r.identity(bpf.KindExit, 7, 1, "a", 10)
		r.walk(reapedRecordTicks)
	}, []string{"a a 10"}},
	{"free record late", func(r *eventReplay) {
		r.identity(bpf.KindExit, 7, 1, "a", 10)
		r.walk(reapedRecordTicks)
		r.walk(0)
		r.free(7, 1, 12) // it was reported already
	}, []string{"a a 10"}},
	{"reaped after a long time as a zombie, free record after the next walk", func(r *eventReplay) {
		r.identity(bpf.KindExit, 7, 1, "a", 10)
		zombie := []Sample{{ID: r.src.times.id(7, 1), State: 'Z'}}
		r.snap.Samples = zombie
		r.walk(5 * reapedRecordTicks)
		r.snap.Samples = nil
		r.walk(1)
		r.snap.Samples = zombie // a scan can miss a process
		r.walk(reapedRecordTicks)
		r.snap.Samples = nil
		r.walk(1)
		r.free(7, 1, 12)
	}, []string{"a a 12"}},
	{"of other PID namespaces", func(r *eventReplay) {
		r.log.nested = true
		r.identity(bpf.KindExit, 7, 1, "a", 10)
		r.free(7, 1, 12)
		r.free(8, 1, 500)
		r.freeLost(9, 1, 500)
	}, []string{"a a 12"}},
	{"running", func(r *eventReplay) {
		r.identity(bpf.KindExec, 7, 1, "a", 0)
		r.snap.Now += reapedRecordTicks
	}, nil},
}

// TestExitEventSequences checks that each process is reported once, whichever events are
// missing.
func TestExitEventSequences(t *testing.T) {
	for _, tt := range exitEventTests {
		t.Run(tt.name, func(t *testing.T) {
			r := newEventReplay()
			// The content of reused memory must not appear.
			r.log.reusable = []*pendingExit{{Exit: Exit{Sample: Sample{Comm: "old", UserNanos: 99}, Args: []byte("old")}}}
			tt.replay(r)
			r.src.expireExits(&r.snap)
			var got []string
			for i := range r.snap.Exits {
				e := &r.snap.Exits[i]
				text := fmt.Sprintf("%s %s %d", e.Comm, e.Args, e.UserNanos+e.SystemNanos)
				if e.EventLost {
					text += " lost"
				}
				got = append(got, text)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestPendingExitsAreBounded checks that identities whose exit event was lost are deleted.
func TestPendingExitsAreBounded(t *testing.T) {
	r := newEventReplay()
	r.snap.Samples = []Sample{{ID: r.src.times.id(1, 1)}}
	for i := range uint32(5000) {
		r.identity(bpf.KindExec, 1+i, 1, "a", 0)
		r.src.expireExits(&r.snap)
	}
	if n := len(r.log.pending); n != 5000 {
		t.Errorf("got %d recent identities, want 5000", n)
	}
	r.snap.Now += reapedRecordTicks
	for i := range uint32(3000) { // exited, reaped soon
		r.identity(bpf.KindExit, 10_000+i, 1, "b", 1)
	}
	r.src.expireExits(&r.snap)
	for i := range uint32(3000) {
		r.free(10_000+i, 1, 2)
	}
	r.src.expireExits(&r.snap)
	if n := len(r.snap.Exits); n != 3000 || r.snap.Exits[0].Comm != "b" {
		t.Errorf("got %d exits, the first of %q, want 3000 of \"b\"", n, r.snap.Exits[0].Comm)
	}
	if n := len(r.log.pending); n > 1100 {
		t.Errorf("got %d identities with one live process, want at most 1100", n)
	}
	if r.log.pending[processKey{1, 1}] == nil {
		t.Error("the identity of the live process was deleted")
	}
}

// TestExitedProcessIsNotKept checks that a walk of /proc cannot keep the Sample of a process
// that has been reaped.
func TestExitedProcessIsNotKept(t *testing.T) {
	const seven, reused = 7, 8
	snap := Snapshot{Kind: SourceBPF, Samples: []Sample{
		{ID: ID{PID: seven, Start: 100, Serial: 1001}, Have: FieldStat},
		{ID: ID{PID: reused, Start: 200, Serial: 2002}, Have: FieldStat}, // the exited process had the same PID
	}}
	exits := []Exit{
		{Sample: Sample{ID: ID{PID: seven, Start: 100, Serial: 1001}}},
		{Sample: Sample{ID: ID{PID: reused, Start: 200, Serial: 2001}}},
		{Sample: Sample{ID: ID{PID: 9, Start: 300, Serial: 3001}}}, // started after the last walk
	}
	snap.blankExited(exits)
	if !snap.Samples[0].blank() || snap.Samples[0].PID != seven {
		t.Errorf("got %+v of an exited process, want a blank Sample", snap.Samples[0])
	}
	if snap.Samples[1].blank() {
		t.Error("the Sample of a live process is blank")
	}
	snap.Kind = SourceProcfs // which does not know the Serial
	snap.Samples[1].Serial = 0
	if snap.blankExited(exits); !snap.Samples[1].blank() {
		t.Errorf("got %+v of an exited process after a walk of /proc, want a blank Sample", snap.Samples[1])
	}
}
