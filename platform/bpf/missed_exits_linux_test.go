//go:build amd64 || arm64

package bpf

import (
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// TestMissedExits checks that each exit is reported once when the kernel runs all exit programs,
// and when it runs only some of them. Linux 7 skips a program on a CPU where it was preempted.
func TestMissedExits(t *testing.T) {
	kernel, err := btf.LoadKernelSpec()
	if err != nil || !hasGroupDead(kernel) {
		t.Skip("requires Linux 6.16 or later")
	}
	for _, missed := range [][]string{nil, exitPrograms[:1], exitPrograms[:2], exitPrograms[1:]} {
		t.Run(fmt.Sprint(len(missed), missed), func(t *testing.T) {
			spec, err := loadTasks()
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range missed {
				delete(spec.Programs, name)
			}
			p, err := loadSpec(spec, Options{})
			if err != nil {
				t.Skipf("cannot load BPF programs: %v", err)
			}
			defer func() { _ = p.Close() }()
			if got, want := len(p.tracepoints), 1+len(exitPrograms)-len(missed); got != want {
				t.Fatalf("got %d tracepoints, want %d", got, want)
			}
			for pid, n := range exitEvents(t, p, 50) {
				if n != 1 {
					t.Errorf("process %d: got %d exit events, want 1", pid, n)
				}
			}
		})
	}
}

// exitEvents runs a number of processes and returns how often the exit of each was reported,
// by PID, when all were reported at least once.
func exitEvents(t *testing.T, p *Programs, processes int) map[int]int {
	t.Helper()
	reported := make(map[int]int)
	for range processes {
		child := exec.Command("true")
		if err := child.Run(); err != nil {
			t.Fatal(err)
		}
		reported[child.Process.Pid] = 0
	}
	var batch Batch
	testenv.Eventually(t, func() bool {
		var err error
		if batch, err = p.Events().Take(batch); err != nil {
			t.Fatal(err)
		}
		for batch.Next() {
			r := batch.IdentityRecord()
			if r == nil {
				continue
			}
			if _, own := reported[int(r.Pid)]; own {
				reported[int(r.Pid)]++
			}
		}
		return !slices.Contains(slices.Collect(maps.Values(reported)), 0)
	})
	return reported
}
