//go:build amd64 || arm64

package platform

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/seed57308aee/process_exporter/procfs"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

// residentBytes returns the resident memory of a process, as in the file statm of one of
// its threads.
func residentBytes(t *testing.T, pid, tid int) uint64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/statm", pid, tid))
	var st procfs.Statm
	if err != nil || procfs.ParseStatm(text, &st) != nil {
		t.Fatalf("statm: %v, %q", err, text)
	}
	return st.Resident * uint64(os.Getpagesize())
}

// skipWithoutExactStatm skips the test on kernels whose statm leaves out the part of the
// counters that each CPU has: Linux 6.2 to 6.15, without a backport.
func skipWithoutExactStatm(t *testing.T, pid int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	var st procfs.Stat
	if err != nil || procfs.ParseStat(text, &st) != nil {
		t.Fatalf("stat: %v, %q", err, text)
	}
	old := !procfs.KernelBefore(6, 2) && procfs.KernelBefore(6, 16)
	if exact := residentBytes(t, pid, pid); old && exact == st.ResidentPages*uint64(os.Getpagesize()) {
		t.Skip("statm of this kernel is not exact")
	}
}

// TestResidentMemory compares the resident memory of stopped processes with statm. That of
// stat differs: about a dozen pages for each CPU on which the process ran.
func TestResidentMemory(t *testing.T) {
	children := make(map[string]*child)
	for name, verbs := range map[string][]string{
		"one thread": nil, "threads": {"threads=20"}, "memory": {"map=anonymous,3000000"}, "shared memory": {"map=shared,3000000"},
	} {
		children[name] = startChild(t, nil, verbs...)
		if err := syscall.Kill(children[name].PID(), syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		testenv.Eventually(t, func() bool { return allStopped(children[name].PID()) })
	}
	skipWithoutExactStatm(t, children["memory"].PID())
	sources := map[SourceKind]func(testing.TB) Source{
		SourceBPF:    openBPFSource,
		SourceProcfs: func(t testing.TB) Source { return openSource(t, "/proc") },
	}
	for kind, open := range sources {
		t.Run(string(kind), func(t *testing.T) {
			src := open(t)
			var snap Snapshot
			for range 2 {
				walkAll(t, src, &snap)
				for name, c := range children {
					got, want := snap.Samples[snap.Index(c.PID())].ResidentBytes, residentBytes(t, c.PID(), c.PID())
					if got != want {
						t.Errorf("%s: got %d bytes, want %d", name, got, want)
					}
				}
			}
		})
	}
}
