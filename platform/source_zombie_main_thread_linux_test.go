package platform

import (
	"os"
	"testing"

	"github.com/seed57308aee/process_exporter/test/procfstree"
)

// TestZombieMainThread reads a process whose main thread has exited while another thread lives. The
// memory and files are those of that thread, unless it exits too. A zombie process has
// closed its files.
func TestZombieMainThread(t *testing.T) {
	threads := []procfstree.Thread{{TID: 11, Comm: "w", Start: 6, State: "R"}}
	exiting := []procfstree.Thread{{TID: 11, Comm: "w", Start: 6, State: "Z"}}
	zombie := procfstree.Thread{State: "Z"}
	tests := []struct {
		name       string
		process    procfstree.Process
		have, lost Fields
		fds, rss   uint64
	}{
		{"alive", procfstree.Process{FDs: 3, RSS: 7, StatRSS: 4, Threads: threads}, FieldFDs, 0, 3, 7},
		{"zombie main thread", procfstree.Process{FDs: 3, RSS: 7, StatRSS: 4, Threads: threads, MainThread: zombie}, FieldFDs, 0, 3, 7},
		{"all threads exiting", procfstree.Process{RSS: 7, Threads: exiting, MainThread: zombie}, 0, FieldFDs, 0, 0},
		{"zombie", procfstree.Process{State: "Z"}, FieldFDs, 0, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.process.PID, tt.process.Comm, tt.process.Start = 10, "c", 5
			tree := procfstree.New(t, 1000)
			tree.Set(tt.process)
			src := openSource(t, tree.Root)
			var snap Snapshot
			walk(t, src, &snap, everything)
			s := snap.Samples[0]
			if s.Have&FieldFDs != tt.have || s.Unreadable&FieldFDs != tt.lost || s.FDs != tt.fds ||
				s.ResidentBytes != tt.rss*uint64(os.Getpagesize()) {
				t.Errorf("got Have %b, Unreadable %b, FDs %d, %d bytes, want %b, %b, %d, %d pages",
					s.Have, s.Unreadable, s.FDs, s.ResidentBytes, tt.have, tt.lost, tt.fds, tt.rss)
			}
		})
	}
}
