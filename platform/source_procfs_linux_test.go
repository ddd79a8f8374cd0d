package platform

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// everything has the fields that an exporter with all its metrics reads.
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

// walk makes a walk that reads fields of every process.
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

// TestWalkFindsThisProcess reads the own process completely in three walks in a row. On a busy
// machine another thread of it may hold its mmap lock for longer than readTimeout. The Go runtime
// may start a thread during a walk.
func TestWalkFindsThisProcess(t *testing.T) {
	src := openSource(t, "/proc")
	var snap Snapshot
	complete := 0
	testenv.Eventually(t, func() bool {
		walk(t, src, &snap, everything)
		at := snap.Index(os.Getpid())
		if at < 0 || snap.Samples[at].Have != everything || len(snap.Samples[at].Tasks) != snap.Samples[at].NumThreads {
			t.Logf("got index %d of %d for the own process", at, len(snap.Samples))
			complete = 0
			return false
		}
		s := &snap.Samples[at]
		if s.ResidentBytes == 0 || s.PSSBytes == 0 || s.FDs < 3 || s.FDLimit == 0 || s.PPID != os.Getppid() {
			t.Errorf("got %+v, want memory, files and the parent of the own process", s)
		}
		complete++
		return complete == 3
	})
}

// TestWalkWithoutProcesses walks over processes of which one, two or all exit after they were
// listed: their stat is then empty. A walk that finds no process must fail.
func TestWalkWithoutProcesses(t *testing.T) {
	tree := threeProcesses(t)
	src := openSource(t, tree.Root)
	for left := 2; left >= 0; left-- {
		writeFile(t, filepath.Join(tree.Root, strconv.Itoa(10+left), "stat"), nil)
		var snap Snapshot
		err := src.Walk(context.Background(), &snap)
		if len(snap.Samples) != left || errors.Is(err, errNoProcess) != (left == 0) {
			t.Errorf("got %d Samples and error %v, want %d and an error only without Samples", len(snap.Samples), err, left)
		}
	}
}

func BenchmarkWalk(b *testing.B) {
	src := openSource(b, "/proc")
	var snap Snapshot
	const fields = everything &^ (FieldSmaps | FieldTaskUsage)
	walk(b, src, &snap, fields)
	walk(b, src, &snap, fields)
	b.ReportAllocs()
	for b.Loop() {
		walk(b, src, &snap, fields)
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(len(snap.Samples)), "us/process")
}

func describe(s Sample) string { return fmt.Sprintf("%+v", s) }

// TestOpenRejectsOtherDirectories opens directories that are no process file system.
func TestOpenRejectsOtherDirectories(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, root := range map[string]string{
		"missing": "/no/such/place", "file": file, "empty directory": t.TempDir(), "another file system": "/sys",
	} {
		if src, err := Open(Options{Root: root}); err == nil {
			_ = src.Close()
			t.Errorf("%s: got no error for %s, want one", name, root)
		}
	}
}
