package platform

import (
	"bytes"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/procfstree"
)

// An openWatch records which files of directories are opened, with inotify(7).
type openWatch struct {
	fd    int
	names map[int32]string // of the directories
}

func newOpenWatch(t *testing.T) *openWatch {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return &openWatch{fd, make(map[int32]string)}
}

// add watches a directory. prefix is the prefix of its files in the result of opened.
func (w *openWatch) add(t *testing.T, dir, prefix string) {
	t.Helper()
	wd, err := unix.InotifyAddWatch(w.fd, dir, unix.IN_OPEN)
	if err != nil {
		t.Fatal(err)
	}
	w.names[int32(wd)] = prefix
}

// opened returns the files that were opened since the last call.
func (w *openWatch) opened(t *testing.T) map[string]bool {
	t.Helper()
	files := make(map[string]bool)
	buffer := make([]byte, 64<<10)
	for {
		n, err := unix.Read(w.fd, buffer)
		if err == unix.EAGAIN {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		for rest := buffer[:n]; len(rest) > 0; {
			e := (*unix.InotifyEvent)(unsafe.Pointer(&rest[0]))
			name := rest[unix.SizeofInotifyEvent : unix.SizeofInotifyEvent+e.Len]
			if name = bytes.TrimRight(name, "\x00"); len(name) > 0 {
				files[w.names[e.Wd]+string(name)] = true
			}
			rest = rest[unix.SizeofInotifyEvent+e.Len:]
		}
	}
}

// TestProcfsReadsOnlyWantedFiles checks which files the source procfs opens for each set of
// wanted fields, of a process with one thread and of one with two.
func TestProcfsReadsOnlyWantedFiles(t *testing.T) {
	tests := []struct {
		name  string
		want  Fields
		files string // in addition to stat
	}{
		{"nothing", 0, ""},
		{"stat", FieldStat, ""},
		{"status", FieldStatus, "status"},
		{"io", FieldIO, "io"},
		{"open files", FieldFDs, "fd"},
		{"limit", FieldFDLimit, "limits"},
		{"wchan", FieldWChan, "wchan"},
		{"smaps", FieldSmaps, "smaps_rollup"},
		{"threads", FieldTasks, "task task/status"},
		{"context switches", FieldStatus | FieldTasks, "status task task/status"},
		{"wchan of threads", FieldWChan | FieldTasks, "wchan task task/status task/wchan"},
		{"usage of threads", FieldTasks | FieldTaskUsage, "task task/status task/stat"},
		{"I/O of threads", FieldTasks | FieldTaskUsage | FieldIO, "io task task/status task/stat task/io"},
		{"everything", everything, "status io fd limits wchan smaps_rollup task task/status task/stat task/io task/wchan"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tree := procfstree.New(t, 1_000_000)
			one := procfstree.Process{PID: 100, Comm: "one", Start: 5, ReadBytes: 1, WChan: "do_poll"}
			two := procfstree.Process{PID: 200, Comm: "two", Start: 5, ReadBytes: 1, WChan: "do_poll",
				MainThread: procfstree.Thread{WChan: "do_poll"},
				Threads:    []procfstree.Thread{{TID: 201, Comm: "more", Start: 6, WChan: "do_poll"}}}
			tree.Set(one, two)
			w := newOpenWatch(t)
			for _, dir := range []string{"100", "200"} {
				w.add(t, filepath.Join(tree.Root, dir), "")
			}
			for _, dir := range []string{"200/task/200", "200/task/201"} {
				w.add(t, filepath.Join(tree.Root, dir), "task/")
			}
			src := openSource(t, tree.Root)
			var snap Snapshot
			walk(t, src, &snap, tt.want) // reads the wanted fields in Complete
			walk(t, src, &snap, tt.want) // reads them in Walk
			got := w.opened(t)
			for _, always := range []string{"stat", "statm", "schedstat", "task/schedstat"} {
				delete(got, always)
			}
			want := strings.Fields(tt.files)
			slices.Sort(want)
			if files := slices.Sorted(maps.Keys(got)); !slices.Equal(files, want) {
				t.Errorf("got reads of %v, want %v", files, want)
			}
		})
	}
}
