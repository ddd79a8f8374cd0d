//go:build amd64 || arm64

package platform

import (
	"context"
	"testing"
)

// TestWantedFields reads a process with several threads with each source and different
// sets of wanted fields, which change between walks. Both sources return the same fields, and
// none that is not wanted.
func TestWantedFields(t *testing.T) {
	c := startChild(t, nil, "threads=3")
	openProc := func(t testing.TB) Source {
		src := must[Source](t)(Open(Options{}))
		t.Cleanup(func() { _ = src.Close() })
		return src
	}
	sources := map[string]func(testing.TB) Source{
		"bpf":    openBPFSource,
		"procfs": openProc,
		"procfs without CPU clocks": func(t testing.TB) Source { // it detects sleeping threads one by one
			src := openProc(t)
			src.(*procfsSource).cpuClocks = false
			return src
		},
	}
	for name, open := range sources {
		t.Run(name, func(t *testing.T) {
			src := open(t)
			var snap Snapshot
			for _, want := range []Fields{
				everything, everything &^ FieldTaskUsage, everything, everything &^ FieldSmaps,
				everything &^ (FieldSmaps | FieldTaskUsage), 0, everything,
			} {
				for range 4 {
					checkWanted(t, walkWith(t, src, &snap, c.PID(), want), want)
				}
			}
		})
	}
}

// checkWanted checks that a Sample of a process with several threads has the wanted fields
// and no other.
func checkWanted(t *testing.T, s *Sample, want Fields) {
	t.Helper()
	if s.Have&^readWithStat != want&^readWithStat || (s.Unreadable|s.Skipped)&^want != 0 {
		t.Errorf("got fields %b, unreadable %b, skipped %b; want %b", s.Have, s.Unreadable, s.Skipped, want)
	}
	if want&FieldTasks == 0 {
		return
	}
	if len(s.Tasks) < 4 {
		t.Errorf("got %d threads, want at least 4", len(s.Tasks))
	}
	for i := range s.Tasks {
		if got := s.Tasks[i].Have & FieldTaskUsage; got != want&FieldTaskUsage {
			t.Errorf("thread %d: got usage %b with wanted fields %b", i, got, want)
		}
	}
}

// walkWith makes a walk, sets Want of one process, and returns its Sample.
func walkWith(t *testing.T, src Source, snap *Snapshot, pid int, want Fields) *Sample {
	t.Helper()
	ctx := context.Background()
	if err := src.Walk(ctx, snap); err != nil {
		t.Fatal(err)
	}
	at := snap.Index(pid)
	if at < 0 {
		t.Fatalf("got no Sample of process %d", pid)
	}
	snap.Samples[at].Want = want
	src.Complete(ctx, snap)
	return &snap.Samples[at]
}

// TestBPFReadsOnlyWantedFields checks which fields the source bpf reads from /proc for each set
// of wanted fields. It gets all others from the BPF programs.
func TestBPFReadsOnlyWantedFields(t *testing.T) {
	c := startChild(t, nil, "threads=3")
	b := openBPFSource(t).(*bpfSource)
	var snap Snapshot
	planned := func() (fields Fields) {
		for _, r := range b.reads {
			fields |= r.field
		}
		return fields
	}
	for _, tt := range []struct{ want, read Fields }{
		{everything &^ (FieldSmaps | FieldWChan), 0},
		{everything &^ FieldWChan, FieldSmaps},
		{0, 0},
		{FieldWChan | FieldTasks, FieldWChan},
		{everything &^ FieldSmaps, 0}, // wchan is known
	} {
		walkWith(t, b, &snap, c.PID(), tt.want)
		if got := planned(); got != tt.read {
			t.Errorf("got reads of the fields %b when %b become wanted, want %b", got, tt.want, tt.read)
		}
		if err := b.Walk(context.Background(), &snap); err != nil {
			t.Fatal(err)
		}
		if got := planned(); got&^tt.want != 0 {
			t.Errorf("got reads of the fields %b in a walk, want only fields of %b", got, tt.want)
		}
	}
}
