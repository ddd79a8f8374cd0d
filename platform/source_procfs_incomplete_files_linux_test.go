package platform

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/seed57308aee/process_exporter/test/procfstree"
)

// TestTruncatedFiles truncates the files of a process and of its thread after each line, as a
// short read may. Every value in Have must be that of the complete file.
func TestTruncatedFiles(t *testing.T) {
	tree := procfstree.New(t, 1000)
	process := procfstree.Process{PID: 7, PPID: 3, Comm: "c", Args: []string{"x"}, Start: 77, VSize: 8192, RSS: 3,
		UIDs: [4]uint32{1, 2, 3, 4}, SwapKB: 6,
		ReadBytes: 900, WriteBytes: 1000, FDLimit: "11", MainThread: procfstree.Thread{Voluntary: 70, Nonvol: 80},
		Threads: []procfstree.Thread{{TID: 9, Comm: "w", Start: 78, UTime: 1, STime: 2, Voluntary: 5, Nonvol: 6,
			ReadBytes: 7, WriteBytes: 8, WChan: "io_schedule"}}}
	tree.Set(process)
	want := valuesByField(t, tree)
	for _, file := range []string{"status", "io", "limits", "task/9/status", "task/9/io", "task/9/stat"} {
		t.Run(file, func(t *testing.T) {
			path := filepath.Join(tree.Root, "7", file)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			lines := bytes.SplitAfter(text, []byte("\n"))
			for n := 1; n < len(lines)-1; n++ {
				writeFile(t, path, bytes.Join(lines[:n], nil))
				got := valuesByField(t, tree)
				for field, value := range got {
					if value != want[field] {
						t.Errorf("truncated before line %d, %q: %s: got %v, want %v or nothing", n, lines[n], field, value, want[field])
					}
				}
			}
			writeFile(t, path, text)
			if got := valuesByField(t, tree); len(got) != len(want) {
				t.Errorf("got %v of the complete files, want %v", got, want)
			}
		})
	}
}

func writeFile(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// valuesByField makes a walk and returns the values of the only process by field.
func valuesByField(t *testing.T, tree *procfstree.Tree) map[string]string {
	t.Helper()
	var snap Snapshot
	walk(t, openSource(t, tree.Root), &snap, everything)
	if len(snap.Samples) != 1 {
		t.Fatalf("got %d Samples, want 1", len(snap.Samples))
	}
	s := &snap.Samples[0]
	byField := make(map[string]string)
	add := func(field string, has bool, values ...any) {
		if has {
			byField[field] = fmt.Sprint(values...)
		}
	}
	add("status", s.Have&FieldStatus != 0, s.SwapBytes, s.EUID, s.VoluntarySwitches, s.NonvoluntarySwitches)
	add("io", s.Have&FieldIO != 0, s.ReadBytes, s.WriteBytes)
	add("limit", s.Have&FieldFDLimit != 0, s.FDLimit)
	if s.Have&FieldTasks != 0 {
		task := &s.Tasks[slices.IndexFunc(s.Tasks, func(t Task) bool { return t.TID == 9 })]
		add("thread status", task.Have&FieldStatus != 0, task.VoluntarySwitches, task.NonvoluntarySwitches)
		add("thread io", task.Have&FieldIO != 0, task.ReadBytes, task.WriteBytes)
		add("thread usage", task.Have&FieldTaskUsage != 0, task.Comm, task.Start, task.UserNanos, task.SystemNanos)
	}
	return byField
}
