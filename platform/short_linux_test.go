package platform

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/seed57308aee/process_exporter/testdata/proctree"
)

// TestFilesThatLackLines cuts the files of a process and of its thread behind
// each of their lines, as a read may that hands out less than it is asked for.
// What a walk says it has is what the whole files say.
func TestFilesThatLackLines(t *testing.T) {
	tree := proctree.New(t, 1000)
	process := proctree.Process{PID: 7, PPID: 3, Comm: "c", Args: []string{"x"}, Start: 77, VSize: 8192, RSS: 3, UIDs: [4]uint32{1, 2, 3, 4}, SwapKB: 6,
		ReadBytes: 900, WriteBytes: 1000, FDLimit: "11", MainThread: proctree.Thread{Voluntary: 70, Nonvol: 80},
		Threads: []proctree.Thread{{TID: 9, Comm: "w", Start: 78, UTime: 1, STime: 2, Voluntary: 5, Nonvol: 6, ReadBytes: 7, WriteBytes: 8, WChan: "io_schedule"}}}
	tree.Set(process)
	want := parted(t, tree)
	for _, file := range []string{"status", "io", "limits", "task/9/status", "task/9/io", "task/9/stat"} {
		t.Run(file, func(t *testing.T) {
			path := filepath.Join(tree.Root, "7", file)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			lines := bytes.SplitAfter(text, []byte("\n"))
			for n := 1; n < len(lines)-1; n++ {
				write(t, path, bytes.Join(lines[:n], nil))
				got := parted(t, tree)
				for part, value := range got {
					if value != want[part] {
						t.Errorf("without line %d, %q: %s: got %v, want %v or none", n, lines[n], part, value, want[part])
					}
				}
			}
			write(t, path, text)
			if got := parted(t, tree); len(got) != len(want) {
				t.Errorf("got %v of the whole files, want %v", got, want)
			}
		})
	}
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// parted returns what a walk has of the one process there is, part by part.
func parted(t *testing.T, tree *proctree.Tree) map[string]string {
	t.Helper()
	var snap Snapshot
	walk(t, openSource(t, tree.Root), &snap, everything)
	if len(snap.Samples) != 1 {
		t.Fatalf("got %d Samples, want 1", len(snap.Samples))
	}
	s := &snap.Samples[0]
	parts := make(map[string]string)
	take := func(part string, has bool, values ...any) {
		if has {
			parts[part] = fmt.Sprint(values...)
		}
	}
	take("status", s.Have&FieldStatus != 0, s.SwapBytes, s.EUID, s.VoluntarySwitches, s.NonvoluntarySwitches)
	take("io", s.Have&FieldIO != 0, s.ReadBytes, s.WriteBytes)
	take("limit", s.Have&FieldFDLimit != 0, s.FDLimit)
	if s.Have&FieldTasks != 0 {
		task := &s.Tasks[slices.IndexFunc(s.Tasks, func(t Task) bool { return t.TID == 9 })]
		take("thread's status", task.Have&FieldStatus != 0, task.VoluntarySwitches, task.NonvoluntarySwitches)
		take("thread's io", task.Have&FieldIO != 0, task.ReadBytes, task.WriteBytes)
		take("thread's use", task.Have&FieldTaskUsage != 0, task.Comm, task.Start, task.UserNanos, task.SystemNanos)
	}
	return parts
}

// TestOwnerUnknown cuts the status of a process before its owners. It is in
// doubt then whose it is, and not root's.
func TestOwnerUnknown(t *testing.T) {
	tree := proctree.New(t, 1000)
	tree.Set(proctree.Process{PID: 7, Comm: "c", Args: []string{"x"}, Start: 77, UIDs: [4]uint32{1, 1, 1, 1}})
	src := openSource(t, tree.Root)
	var snap Snapshot
	walk(t, src, &snap, FieldStat)
	path := filepath.Join(tree.Root, "7", "status")
	write(t, path, []byte("Name:\tc\nState:\tS (x)\n"))
	if id, err := src.Identify(context.Background(), &snap.Samples[0], IdentityUser); err == nil {
		t.Errorf("got %+v of a status without owners, want an error", id)
	}
	write(t, path, []byte("Uid:\t1\t1\t1\t1\n"))
	if id, err := src.Identify(context.Background(), &snap.Samples[0], IdentityUser); err != nil || id.EUID != 1 {
		t.Errorf("got %+v, error %v, want user 1", id, err)
	}
}
