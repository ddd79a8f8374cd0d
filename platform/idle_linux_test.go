//go:build amd64 || arm64

package platform

import "testing"

// TestIdle checks which walks report that a process has not run since the previous walk.
func TestIdle(t *testing.T) {
	schedstat := openSource(t, "/proc")
	schedstat.(*procfsSource).cpuClocks = false // as in another PID namespace
	tests := []struct {
		name        string
		open        func(testing.TB) Source
		fields      Fields
		mayBeActive bool // an idle process may be reported as active
	}{
		{"bpf", openBPFSource, everything, false},
		{"bpf, nothing wanted", openBPFSource, 0, false},
		{"procfs", func(t testing.TB) Source { return openSource(t, "/proc") }, everything, false},
		{"procfs, nothing wanted", func(t testing.TB) Source { return openSource(t, "/proc") }, 0, false},
		{"procfs without CPU clocks", func(testing.TB) Source { return schedstat }, withoutSmaps, false},
		{"procfs without CPU clocks, nothing wanted", func(testing.TB) Source { return schedstat }, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src, s := tt.open(t), startShell(t)
			if p, ok := src.(*procfsSource); ok && !p.cpuClocks && !tt.mayBeActive && p != schedstat {
				t.Skip("CPU clocks are not precise on this machine")
			}
			var snap Snapshot
			idle := func() bool {
				walk(t, src, &snap, tt.fields)
				return snap.Samples[snap.Index(s.pid)].Idle
			}
			idle()
			idle() // reads the other parts for the first time
			idle()
			for range 2 * refreshInterval {
				if !idle() && !tt.mayBeActive {
					t.Error("got an active process, want an idle one: it sleeps")
				}
			}
			for range 2 * alwaysActiveWalks {
				s.run(":")
				if idle() {
					t.Error("got an idle process, want an active one: it has run")
				}
			}
		})
	}
}
