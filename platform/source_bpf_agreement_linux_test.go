//go:build amd64 || arm64

package platform

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// TestSourcesAgree compares the Samples of both sources for processes that do not run, in
// several walks.
func TestSourcesAgree(t *testing.T) {
	bpfSource := openBPFSource(t)
	proc, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer proc.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	manyFiles := func(cmd *exec.Cmd) {
		for range 700 {
			cmd.ExtraFiles = append(cmd.ExtraFiles, null)
		}
	}
	children := map[string]*child{
		"plain":        startChild(t, nil),
		"many files":   startChild(t, manyFiles),
		"many threads": startChild(t, nil, "threads=50"),
		"a name":       startChild(t, nil, "name=a ) b\n"),
		"a writer":     startChild(t, nil, "write="+t.TempDir()+"/file"),
	}
	children["a zombie"] = startZombie(t)
	for name, o := range children {
		if name != "a zombie" {
			if err := syscall.Kill(o.PID(), syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			testenv.Eventually(t, func() bool { return allStopped(o.PID()) })
		}
	}
	var a, b Snapshot
	for range 3 {
		walkAll(t, bpfSource, &a)
		walkAll(t, proc, &b)
	}
	for name, o := range children {
		i, j := a.Index(o.PID()), b.Index(o.PID())
		if i < 0 || j < 0 {
			t.Errorf("%s: got indices %d and %d, want both found", name, i, j)
			continue
		}
		for _, difference := range differences(&a.Samples[i], &b.Samples[j]) {
			t.Errorf("%s: %s", name, difference)
		}
	}
	// The identities of all other processes must agree too. A process may change its name
	// between two walks, so compare again.
	for tries := 0; ; tries++ {
		different := identityDifferences(&a, &b)
		if len(different) == 0 {
			break
		}
		if tries == 20 {
			t.Fatalf("got differences %q, want none", different)
		}
		walkAll(t, bpfSource, &a)
		walkAll(t, proc, &b)
	}
}

// allStopped reports whether all threads of a process are stopped and have left their CPU.
func allStopped(pid int) bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	for _, thread := range threads {
		stat, err := os.ReadFile(thread + "/stat")
		if err != nil || !strings.Contains(string(stat), ") T ") || !testenv.HasLeftCPU(thread) {
			return false
		}
	}
	return err == nil && len(threads) > 0
}

// identityDifferences lists the processes whose identities differ between two walks.
func identityDifferences(a, b *Snapshot) (list []string) {
	both := 0
	for i := range a.Samples {
		s := &a.Samples[i]
		j := b.Index(s.PID)
		if j < 0 || b.Samples[j].Start != s.Start {
			continue
		}
		o := &b.Samples[j]
		both++
		if o.Have&FieldStat == 0 {
			continue // unresponsive process of another test
		}
		if s.PPID != o.PPID || s.KernelThread != o.KernelThread || !s.KernelThread && s.Comm != o.Comm ||
			s.FDLimit != o.FDLimit && s.State != 'Z' {
			list = append(list, fmt.Sprintf("process %d: got %+v from bpf, %+v from procfs", s.PID, s, o))
		}
	}
	if both < len(b.Samples)/2 {
		list = append(list, fmt.Sprintf("got %d common processes of %d, want at least half", both, len(b.Samples)))
	}
	return list
}

// differences lists the values that differ between the Samples a of bpf and b of procfs of a
// process that does not run. CPU time has nanoseconds in one and clock ticks in the other;
// context switches are those of all threads or of the main thread.
func differences(a, b *Sample) (list []string) {
	differ := func(what string, x, y any) {
		if x != y {
			list = append(list, fmt.Sprintf("%s: got %v from bpf, %v from procfs", what, x, y))
		}
	}
	const tick = 10_000_000
	cpu := func(what string, x, y uint64) {
		if x < y || x-y >= 2*tick { // /proc rounds user and system time down separately
			differ(what, x, y)
		}
	}
	differ("state", string(a.State), string(b.State))
	differ("start", a.Start, b.Start)
	differ("parent", a.PPID, b.PPID)
	differ("name", a.Comm, b.Comm)
	differ("user", a.EUID, b.EUID)
	differ("threads", a.NumThreads, b.NumThreads)
	differ("virtual", a.VirtualBytes, b.VirtualBytes)
	differ("resident", a.ResidentBytes, b.ResidentBytes)
	differ("swap", a.SwapBytes, b.SwapBytes)
	differ("open files", a.FDs, b.FDs)
	differ("file limit", a.FDLimit, b.FDLimit)
	differ("minor faults", a.MinorFaults, b.MinorFaults)
	differ("major faults", a.MajorFaults, b.MajorFaults)
	differ("bytes read", a.ReadBytes, b.ReadBytes)
	differ("bytes written", a.WriteBytes, b.WriteBytes)
	// The vDSO page is shared by all processes, whose number changes.
	if x, y := a.PSSBytes, b.PSSBytes; max(x, y)-min(x, y) > 4096 {
		differ("proportional memory", x, y)
	}
	differ("unique memory", a.USSBytes, b.USSBytes)
	differ("wchan", a.WChan, b.WChan)
	differ("unreadable fields", a.Unreadable&everything, b.Unreadable&everything)
	differ("number of tasks", len(a.Tasks), len(b.Tasks))
	cpu("CPU time", a.UserNanos+a.SystemNanos, b.UserNanos+b.SystemNanos)
	var voluntary, nonvoluntary uint64
	for i := range min(len(a.Tasks), len(b.Tasks)) {
		x, y := &a.Tasks[i], &b.Tasks[i]
		differ("TID", x.TID, y.TID)
		differ("name of a thread", x.Comm, y.Comm)
		differ("state of a thread", string(x.State), string(y.State))
		differ("start of a thread", x.Start, y.Start)
		differ("switches of a thread", x.VoluntarySwitches, y.VoluntarySwitches)
		differ("switches of a thread", x.NonvoluntarySwitches, y.NonvoluntarySwitches)
		differ("faults of a thread", x.MinorFaults, y.MinorFaults)
		differ("bytes written by a thread", x.WriteBytes, y.WriteBytes)
		differ("wchan of a thread", x.WChan, y.WChan)
		cpu("CPU time of a thread", x.UserNanos+x.SystemNanos, y.UserNanos+y.SystemNanos)
		voluntary += x.VoluntarySwitches
		nonvoluntary += x.NonvoluntarySwitches
	}
	if len(a.Tasks) > 0 {
		differ("switches of all threads", a.VoluntarySwitches, voluntary)
		differ("switches of all threads", a.NonvoluntarySwitches, nonvoluntary)
	} else if a.State != 'Z' { // /proc has only the switches of the main thread
		differ("switches", a.VoluntarySwitches, b.VoluntarySwitches)
		differ("switches", a.NonvoluntarySwitches, b.NonvoluntarySwitches)
	}
	return list
}
