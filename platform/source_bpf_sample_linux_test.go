//go:build amd64 || arm64

package platform

import (
	"fmt"
	"testing"

	"github.com/seed57308aee/process_exporter/platform/bpf"
	"github.com/seed57308aee/process_exporter/platform/internal/host"
	"github.com/seed57308aee/process_exporter/test/procfstree"
)

func TestCPUTimes(t *testing.T) {
	const ms = 1_000_000
	tests := []struct {
		name                 string
		usage                bpf.Usage
		lastUser, lastSystem uint64
		wantUser, wantSystem uint64
	}{
		{"no sampled tick", bpf.Usage{Runtime: 3 * ms}, 0, 0, 3 * ms, 0},
		{"only in user mode", bpf.Usage{Runtime: 9 * ms, Utime: 12 * ms}, 0, 0, 9 * ms, 0},
		{"only in the kernel", bpf.Usage{Runtime: 9 * ms, Stime: 12 * ms}, 0, 0, 0, 9 * ms},
		{"by the ratio of ticks", bpf.Usage{Runtime: 90 * ms, Utime: 20 * ms, Stime: 40 * ms}, 0, 0, 30 * ms, 60 * ms},
		{"years of CPU time", bpf.Usage{Runtime: 1 << 62, Utime: 1 << 61, Stime: 1 << 61}, 0, 0, 1 << 61, 1 << 61},
		{"user time does not decrease", bpf.Usage{Runtime: 90 * ms, Utime: 20 * ms, Stime: 40 * ms}, 50 * ms, 0, 50 * ms, 40 * ms},
		{"system time does not decrease", bpf.Usage{Runtime: 90 * ms, Utime: 20 * ms, Stime: 40 * ms}, 0, 70 * ms, 20 * ms, 70 * ms},
		{"not below the times in /proc",
			bpf.Usage{Runtime: 90 * ms, Utime: 20 * ms, Stime: 40 * ms, PrevUtime: 40 * ms, PrevStime: 45 * ms}, 0, 0, 40 * ms, 50 * ms},
		{"runtime below the last times", bpf.Usage{Runtime: 9 * ms, Utime: 20 * ms}, 8 * ms, 4 * ms, 8 * ms, 4 * ms},
	}
	for _, tt := range tests {
		if user, system := cpuTimes(&tt.usage, tt.lastUser, tt.lastSystem); user != tt.wantUser || system != tt.wantSystem {
			t.Errorf("%s: got %d and %d, want %d and %d", tt.name, user, system, tt.wantUser, tt.wantSystem)
		}
	}
}

func TestStateLetter(t *testing.T) {
	tests := []struct {
		state, exit uint32
		want        byte
	}{
		{0, 0, 'R'}, {1, 0, 'S'}, {2, 0, 'D'}, {4, 0, 'T'}, {8, 0, 't'}, {0x80, 0x10, 'X'}, {0x80, 0x20, 'Z'}, {0x40, 0, 'P'},
		{0x402, 0, 'I'}, {0x102, 0, 'D'}, {0x1000, 0, 'D'}, {0x8000, 0, 'D'}, {0x2001, 0, 'S'},
	}
	for _, tt := range tests {
		if got := stateLetter(tt.state, tt.exit); got != tt.want {
			t.Errorf("%#x, %#x: got %c, want %c", tt.state, tt.exit, got, tt.want)
		}
	}
}

// TestThreadOrder adds threads in the order of their TIDs, which differs from the order of
// their processes after the PIDs have wrapped around.
func TestThreadOrder(t *testing.T) {
	b := &bpfSource{procfsSource: &procfsSource{pageSize: 4096}, times: timeConverter{host.TickConverter{TickNanos: 10_000_000}}}
	b.states.processes = make([]processState, 2)
	thread := func(pid, tid int32, runtime, ended uint64) *bpf.Thread {
		return &bpf.Thread{Pid: pid, Tid: tid, ExitedRuntime: ended, Usage: bpf.Usage{Runtime: runtime}}
	}
	snap := &Snapshot{Samples: make([]Sample, 2)}
	for i, p := range []bpf.Process{
		{Pid: 50, Threads: 3, Usage: bpf.Usage{Runtime: 1}},
		{Pid: 60, Threads: 2, ExitedRuntime: 7, Usage: bpf.Usage{Runtime: 10 + 7}},
	} {
		snap.Samples[i] = b.sample(&p, nil)
		b.threadSums = append(b.threadSums, newThreadSum(i, &p, nil))
	}
	b.threads = []*bpf.Thread{
		thread(60, 40, 100, 6), // read before its process, may have exited in between
		thread(50, 45, 20, 0),
		thread(50, 50, 1, 0),
		thread(60, 60, 10, 7),
		thread(50, 70, 300, 0),
		thread(60, 80, 4000, 7),
		thread(90, 95, 5, 0), // its process had one thread when it was read
	}
	b.assignThreads(snap)
	for i, want := range []struct {
		tids  []int
		nanos uint64
	}{{[]int{45, 50, 70}, 321}, {[]int{40, 60, 80}, 4017}} {
		s := &snap.Samples[i]
		var tids []int
		for _, task := range s.Tasks {
			tids = append(tids, task.TID)
		}
		if fmt.Sprint(tids) != fmt.Sprint(want.tids) || s.UserNanos != want.nanos {
			t.Errorf("process %d: got threads %v and %d ns, want %v and %d", s.PID, tids, s.UserNanos, want.tids, want.nanos)
		}
	}
}

// TestSmapsOfReusedPID reads smaps of a process found by a scan, and of one whose PID
// belongs to another process since.
func TestSmapsOfReusedPID(t *testing.T) {
	tree := procfstree.New(t, 1000)
	tree.Set(procfstree.Process{PID: 7, Comm: "p", Args: []string{"x"}, Start: 151, RSS: 3, PSSKB: 12})
	w := newWorker(openSource(t, tree.Root).(*procfsSource))
	w.walkNumber = 1
	for start, want := range map[uint64]Fields{151: FieldSmaps, 150: 0} {
		for _, known := range []bool{false, true} {
			s := procfsSample{Sample: Sample{ID: ID{PID: 7, Start: start}, State: 'S', NumThreads: 1, Want: FieldSmaps}}
			s.state.smaps.stale = true
			w.readSmapsOf(&s, procRead{known: known})
			if s.Have != want || s.Unreadable != 0 {
				t.Errorf("start %d, known %v: got %+v, want Have %b", start, known, s, want)
			}
		}
	}
}
