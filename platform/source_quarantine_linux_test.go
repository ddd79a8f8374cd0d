package platform

import (
	"slices"
	"testing"

	"github.com/seed57308aee/process_exporter/test/procfstree"
)

// TestSkipsProcessThatMayBlock checks which processes are skipped because a read may block.
func TestSkipsProcessThatMayBlock(t *testing.T) {
	tree := procfstree.New(t, 1000)
	const one, other = 1000, 1001
	for pid, p := range map[int]procfstree.Process{
		10: {}, 11: {UIDs: [4]uint32{one, one, one, one}}, 12: {UIDs: [4]uint32{other, other, other, other}}, 13: {State: "D"},
	} {
		p.PID, p.Comm, p.Start, p.RSS = pid, "p", 5, 1
		tree.Set(p)
	}
	for _, tt := range []struct {
		name   string
		owners []uint32 // of the unresponsive processes
		want   []int    // PIDs to skip
	}{
		{"none", nil, nil},
		{"few", []uint32{one, one, one}, nil},
		{"many of one user", []uint32{one, one, one, one}, []int{11, 13}},
		{"some of each user", []uint32{2, 2, 3, 3, 4, 4}, []int{13}},
		{"almost the maximum", []uint32{2, 2, 2, 3, 3, 3, 4, 4, 4, 0}, []int{11, 12, 13}},
		{"of root", []uint32{0, 0, 0, 0}, []int{13}},
	} {
		src := openSource(t, tree.Root).(*procfsSource)
		for i, owner := range tt.owners {
			src.quarantine.add(new(worker), unresponsiveProcess{pid: 100 + i, owner: owner})
		}
		w := newWorker(src)
		var got []int
		for pid := 10; pid <= 13; pid++ {
			if w.skips(pid, 0) {
				got = append(got, pid)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestQuarantineOfReusedPID checks that the inode distinguishes processes with the same PID.
func TestQuarantineOfReusedPID(t *testing.T) {
	q := quarantine{processes: make(map[*worker]unresponsiveProcess)}
	released := new(worker)
	q.add(new(worker), unresponsiveProcess{pid: 10, inode: 5})
	q.add(released, unresponsiveProcess{pid: 10, inode: 7})
	q.add(new(worker), unresponsiveProcess{pid: 11})
	if q.release(released); q.size() != 2 {
		t.Errorf("got %d processes, want 2", q.size())
	}
	for _, tt := range []struct {
		pid   int
		inode uint64
		want  bool
	}{{10, 5, true}, {10, 0, true}, {10, 6, false}, {11, 6, true}, {12, 5, false}} {
		if got := q.contains(tt.pid, tt.inode); got != tt.want {
			t.Errorf("PID %d, inode %d: got %v, want %v", tt.pid, tt.inode, got, tt.want)
		}
	}
}
