package platform

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/procfstree"
)

func TestIdentify(t *testing.T) {
	tree := procfstree.New(t, 1000)
	tree.Set(procfstree.Process{PID: 7, Comm: "c", Args: []string{"/bin/x", "", "a b"}, Start: 150,
		UIDs: [4]uint32{0, 4242424, 0, 0}, Cgroup: "9:name=systemd:/a:b\n0::/x.scope\n"})
	src := openSource(t, tree.Root)
	var snap Snapshot
	walk(t, src, &snap, FieldStat)
	got, err := src.Identify(context.Background(), &snap.Samples[0], IdentityArgs|IdentityUser|IdentityCgroups)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Args) != 3 || got.Args[2] != "a b" || got.Comm != "c" || got.EUID != 4242424 || got.Username != "4242424" ||
		len(got.Cgroups) != 2 || got.Cgroups[0] != "/a:b" || got.Cgroups[1] != "/x.scope" ||
		!got.StartTime.Equal(time.Unix(procfstree.BootTime+1, 5e8)) {
		t.Errorf("got %+v", got)
	}
	tree.Set(procfstree.Process{PID: 7, Comm: "other", Start: 151})
	if _, err := src.Identify(context.Background(), &snap.Samples[0], IdentityArgs); !errors.Is(err, ErrGone) {
		t.Errorf("got error %v of a reused PID, want ErrGone", err)
	}
}

// TestIdentifyWithoutStatus identifies a process whose status cannot be read. Its user is
// unknown, and not root with user ID 0.
func TestIdentifyWithoutStatus(t *testing.T) {
	tree := procfstree.New(t, 1000)
	tree.Set(
		procfstree.Process{PID: 10, Comm: "a", Start: 5, UIDs: [4]uint32{0, 4242424, 0, 0}},
		procfstree.Process{PID: 11, Comm: "b", Start: 5},
	)
	if err := os.Remove(filepath.Join(tree.Root, "11/status")); err != nil {
		t.Fatal(err)
	}
	src := openSource(t, tree.Root)
	var snap Snapshot
	walk(t, src, &snap, FieldStat)
	for i, want := range []string{"4242424", ""} { // nor the user of the first process
		id, err := src.Identify(context.Background(), &snap.Samples[i], IdentityUser)
		if err != nil || id.Username != want {
			t.Errorf("got user %q, error %v of process %d, want %q", id.Username, err, snap.Samples[i].PID, want)
		}
	}
}

// TestIdentifyExitingProcess identifies processes that lost their command line after the
// walk, because they exit. An empty command line would put them in a different group.
func TestIdentifyExitingProcess(t *testing.T) {
	tests := []struct {
		name   string
		now    procfstree.Process
		before procfstree.Process
		gone   bool
	}{
		{"became a zombie", procfstree.Process{State: "Z"}, procfstree.Process{Args: []string{"x"}}, true},
		{"released its memory", procfstree.Process{State: "D", Flags: flagExiting}, procfstree.Process{Args: []string{"x"}}, true},
		{"zombie before", procfstree.Process{State: "Z"}, procfstree.Process{State: "Z"}, false},
		{"kernel thread", procfstree.Process{Flags: flagKernel | flagExiting}, procfstree.Process{Flags: flagKernel}, false},
		{"alive", procfstree.Process{Args: []string{"x"}}, procfstree.Process{Args: []string{"x"}}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.before.PID, tt.before.Comm, tt.before.Start = 10, "c", 5
			tt.now.PID, tt.now.Comm, tt.now.Start = 10, "c", 5
			tree := procfstree.New(t, 1000)
			tree.Set(tt.before)
			src := openSource(t, tree.Root)
			var snap Snapshot
			walk(t, src, &snap, FieldStat)
			tree.Set(tt.now)
			id, err := src.Identify(context.Background(), &snap.Samples[0], IdentityArgs)
			if tt.gone != errors.Is(err, ErrGone) || !tt.gone && (err != nil || id.Comm != "c") {
				t.Errorf("got %+v, error %v, want ErrGone %v", id, err, tt.gone)
			}
		})
	}
}

// TestIdentifyTruncatedStatus truncates the status of a process before its user IDs. The user
// is then unknown, and not root.
func TestIdentifyTruncatedStatus(t *testing.T) {
	tree := procfstree.New(t, 1000)
	tree.Set(procfstree.Process{PID: 7, Comm: "c", Args: []string{"x"}, Start: 77, UIDs: [4]uint32{1, 1, 1, 1}})
	src := openSource(t, tree.Root)
	var snap Snapshot
	walk(t, src, &snap, FieldStat)
	path := filepath.Join(tree.Root, "7", "status")
	writeFile(t, path, []byte("Name:\tc\nState:\tS (x)\n"))
	if id, err := src.Identify(context.Background(), &snap.Samples[0], IdentityUser); err == nil {
		t.Errorf("got %+v of a status without user IDs, want an error", id)
	}
	writeFile(t, path, []byte("Uid:\t1\t1\t1\t1\n"))
	if id, err := src.Identify(context.Background(), &snap.Samples[0], IdentityUser); err != nil || id.EUID != 1 {
		t.Errorf("got %+v, error %v, want user 1", id, err)
	}
}

// TestFingerprintBudget checks that a call reads at least one process, and that the next
// processes are left to other calls when the CPU time is used up.
func TestFingerprintBudget(t *testing.T) {
	tree := procfstree.New(t, 1000)
	for pid := 10; pid < 13; pid++ {
		tree.Set(procfstree.Process{PID: pid, Comm: "c", Args: []string{"x"}, Start: 5})
	}
	for budget, want := range map[time.Duration]int{time.Hour: 3, 0: 1} {
		src := openSource(t, tree.Root)
		src.(*procfsSource).fingerprintBudget = budget
		var snap Snapshot
		walk(t, src, &snap, FieldStat)
		fingerprints := []uint64{1, 1, 1}
		read := src.Fingerprints(context.Background(), &snap, []int{0, 1, 2}, IdentityArgs, fingerprints)
		if read != want {
			t.Errorf("got %d processes with a budget of %v, want %d", read, budget, want)
		}
		for i, f := range fingerprints {
			if i < want && f <= 1 || i >= want && f != 0 {
				t.Errorf("got fingerprints %d with a budget of %v, want the first %d", fingerprints, budget, want)
			}
		}
	}
}
