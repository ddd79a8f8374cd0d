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
			reported := make(map[int]int) // exits by PID
			for range 50 {
				child := exec.Command("true")
				if err := child.Run(); err != nil {
					t.Fatal(err)
				}
				reported[child.Process.Pid] = 0
			}
			var batch Batch
			testenv.Eventually(t, func() bool {
				if batch, err = p.Events().Take(batch); err != nil {
					t.Fatal(err)
				}
				for batch.Next() {
					if r := batch.IdentityRecord(); r != nil {
						if _, own := reported[int(r.Pid)]; own {
							reported[int(r.Pid)]++
						}
					}
				}
				return !slices.Contains(slices.Collect(maps.Values(reported)), 0)
			})
			for pid, n := range reported {
				if n != 1 {
					t.Errorf("process %d: got %d exit events, want 1", pid, n)
				}
			}
		})
	}
}
