//go:build amd64 || arm64

package platform

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/procfs"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

// testSources runs a test with each source.
func testSources(t *testing.T, test func(t *testing.T, src Source)) {
	t.Run("procfs", func(t *testing.T) { test(t, openSource(t, "/proc")) })
	t.Run("bpf", func(t *testing.T) { test(t, openBPFSource(t)) })
}

// TestPIDReuseWithinTick gives a PID to another process between two walks, all within one
// clock tick. The second walk must find another process, without values of the first.
func TestPIDReuseWithinTick(t *testing.T) {
	testSources(t, reusePIDWithinTick)
}

// clockTick is the unit of start times in /proc.
const clockTick = 10 * time.Millisecond

func reusePIDWithinTick(t *testing.T, src Source) {
	r := testenv.StartPIDReuse(t)
	want := testenv.Rounds(20, 2_000)
	var snap Snapshot
	shortest := time.Hour // walk
	sample := func(pid int) Sample {
		start := time.Now()
		walk(t, src, &snap, withoutSmaps)
		shortest = min(shortest, time.Since(start))
		at := snap.Index(pid)
		if at < 0 {
			t.Fatalf("process %d is missing", pid)
		}
		return snap.Samples[at]
	}
	within, tries := 0, 0
	const limit = 20 * time.Second // after it, one pair is enough; on a busy machine a walk takes longer than a tick
	for start := time.Now(); within < want && (within == 0 || testenv.Chaos() || time.Since(start) < limit); tries++ {
		if within == 0 && time.Since(start) > 4*limit {
			if shortest > clockTick/2 { // a pair has a walk and the start of a process
				t.Skipf("requires a machine with fewer processes: a walk takes %v, and a clock tick is %v", shortest, clockTick)
			}
			t.Fatalf("got no two processes within one tick in %d pairs", tries)
		}
		kind := tries % 7
		old := r.Do("fresh %d", kind+2)
		before := sample(old.PID)
		now := r.Do("next %d", kind)
		if now.Tick != old.Tick {
			continue
		}
		within++
		after := sample(now.PID)
		if after.ID == before.ID || after.Start != before.Start {
			t.Fatalf("got ID %+v after %+v, want another one with the same start", after.ID, before.ID)
		}
		checkReusedPID(t, src, &after, kind, now.Number)
		for range 2 {
			if again := sample(now.PID); again.ID != after.ID {
				t.Fatalf("got ID %+v, want %+v as before", again.ID, after.ID)
			}
		}
	}
	t.Logf("%d of %d pairs within one tick", within, tries)
}

// checkReusedPID compares a Sample with the process of a kind and a number.
func checkReusedPID(t *testing.T, src Source, s *Sample, kind, number int) {
	t.Helper()
	id, err := src.Identify(context.Background(), s, IdentityArgs)
	title := fmt.Sprintf("pidreuse %d %d", kind, number)
	if err != nil || len(id.Args) != 1 || id.Args[0] != title {
		t.Fatalf("got arguments %q and error %v, want %q", id.Args, err, title)
	}
	if s.Comm != fmt.Sprintf("kind %d", kind) || s.FDs != uint64(kind+4) || s.FDLimit != uint64(1000*(kind+4)) {
		t.Fatalf("got %+v, want kind %d", s, kind)
	}
}

// TestPIDReuseDuringWalks makes walks while a PID is reused many times. All values of a
// Sample must be those of one process.
func TestPIDReuseDuringWalks(t *testing.T) {
	testSources(t, func(t *testing.T, src Source) {
		r := testenv.StartPIDReuse(t)
		count := testenv.Rounds(1_000, 10_000)
		pid := r.Do("next 0").PID
		done := make(chan error, 1)
		chain := func() {
			_, err := r.Try("chain %d 10", count)
			done <- err
		}
		go chain()
		var snap Snapshot
		walks, complete := 0, 0
		end := time.Now().Add(time.Minute)
		for running := true; running; walks++ {
			select {
			case err := <-done:
				if err != nil {
					t.Fatal(err)
				}
				if running = complete == 0 && time.Now().Before(end); running { // on a busy machine
					go chain()
				}
			default:
			}
			walk(t, src, &snap, withoutSmaps)
			at := snap.Index(pid)
			if at < 0 || !running { // the last process does not exit
				continue
			}
			s := &snap.Samples[at]
			const fields = FieldFDs | FieldFDLimit
			kind, ok := testenv.PIDReuseKind(s.Comm)
			if !ok || s.Have&fields != fields || s.State == 'Z' || s.FDs == 0 { // it has closed its files
				continue
			}
			complete++
			if s.FDs != uint64(kind+4) || s.FDLimit != uint64(1000*(kind+4)) {
				t.Errorf("got %+v, want kind %d", s, kind)
			}
		}
		t.Logf("%d walks with %d complete Samples of %d processes", walks, complete, count)
		if complete == 0 {
			t.Error("got no complete Sample")
		}
	})
}

// TestListedInodes checks that the inode number of a listed process does not change, and is
// not that of the next process with its PID.
func TestListedInodes(t *testing.T) {
	r := testenv.StartPIDReuse(t)
	mount, err := procfs.Open("/proc")
	if err != nil {
		t.Fatal(err)
	}
	defer mount.Close()
	reader := procfs.NewReader(mount)
	inode := func(pid int) (inode uint64) {
		listed, err := reader.AppendProcesses(nil)
		if err != nil {
			t.Fatal(err)
		}
		pids, err := reader.AppendPIDs(nil)
		if err != nil || len(pids) == 0 {
			t.Fatal(pids, err)
		}
		for _, e := range listed {
			if e.PID == pid {
				inode = e.Inode
			}
		}
		return inode
	}
	c := r.Do("next 1")
	first := inode(c.PID)
	if again := inode(c.PID); again != first || first == 0 {
		t.Errorf("got inodes %d and %d of one process, want the same", first, again)
	}
	if second := inode(r.Do("next 1").PID); second == first {
		t.Errorf("got inode %d for two processes, want different ones", first)
	}
}
