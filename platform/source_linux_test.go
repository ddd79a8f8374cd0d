package platform

import (
	"context"
	"fmt"
	"os"
	"testing"
)

// everything is what an exporter with all its metrics wants.
const everything = FieldStat | FieldStatus | FieldIO | FieldFDs | FieldFDLimit | FieldWChan | FieldSmaps | FieldTasks | FieldTaskUsage

func openSource(t testing.TB, root string) Source {
	t.Helper()
	src, err := Open(Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = src.Close() })
	return src
}

// walk makes a walk that wants fields of every process.
func walk(t testing.TB, src Source, snap *Snapshot, fields Fields) {
	t.Helper()
	if err := src.Walk(context.Background(), snap); err != nil {
		t.Fatal(err)
	}
	for i := range snap.Samples {
		snap.Samples[i].Want = fields
	}
	src.Complete(context.Background(), snap)
}

// TestWalkFindsThisProcess whole, three walks in a row. On a busy machine one of
// our own threads may hold our memory for longer than a walk waits for it.
func TestWalkFindsThisProcess(t *testing.T) {
	src := openSource(t, "/proc")
	var snap Snapshot
	whole := 0
	eventually(t, func() bool {
		walk(t, src, &snap, everything)
		at := snap.Index(os.Getpid())
		if at < 0 || snap.Samples[at].Have != everything {
			t.Logf("got this process at %d of %d", at, len(snap.Samples))
			whole = 0
			return false
		}
		s := &snap.Samples[at]
		if s.ResidentBytes == 0 || s.PSSBytes == 0 || s.FDs < 3 || s.FDLimit == 0 || len(s.Tasks) != s.Threads || s.PPID != os.Getppid() {
			t.Errorf("got %+v", s)
		}
		whole++
		return whole == 3
	})
}

func BenchmarkWalk(b *testing.B) {
	src := openSource(b, "/proc")
	var snap Snapshot
	const lean = everything &^ (FieldSmaps | FieldTaskUsage)
	walk(b, src, &snap, lean)
	walk(b, src, &snap, lean)
	b.ReportAllocs()
	for b.Loop() {
		walk(b, src, &snap, lean)
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(len(snap.Samples)), "us/process")
}

func describe(s Sample) string { return fmt.Sprintf("%+v", s) }
