package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seed57308aee/process_exporter/test/procfstree"
)

// ungroupedRules leave most processes of ungroupedTree in no group.
const ungroupedRules = `process_names:
  - {name: nginx, comm: nginx}
  - {name: skipped, comm: noise, ignore: true}
`

// ungroupedTree returns a /proc with processes of which nginx is in a group.
func ungroupedTree(t *testing.T) *procfstree.Tree {
	tree := procfstree.New(t, 100_000)
	node := newProcess(903, 1, "MainThread", "/usr/bin/node", "--max-old-space-size=100", "-")
	tree.Set(
		newProcess(900, 1, "nginx", "nginx"),
		newProcess(901, 1, "sshd", "/usr/sbin/sshd", "-D"),
		newProcess(902, 1, "python3", "/usr/bin/python3", "/opt/report.py", "--password=hunter2"),
		node,
		newProcess(904, 1, "it's 1: odd", "odd"),
		newProcess(905, 1, "noise", "noise"),
		procfstree.Process{PID: 30, PPID: 2, Comm: "kworker/0:1-events", Flags: 0x200000, Start: 100},
	)
	return tree
}

// ungroupedOf returns the report of "groups --unmatched --json".
func ungroupedOf(t *testing.T, root, rules string, args ...string) (report ungroupedReport) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(path, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	args = append([]string{"groups", "--unmatched", "--json", "--procfs", root, "--config.path", path}, args...)
	status, out, errs := runArgs(t, args...)
	if status != 0 {
		t.Fatalf("got status %d, %s", status, errs)
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	return report
}

// TestUngrouped checks the list of the processes in no group, and that the suggested rules
// match them.
func TestUngrouped(t *testing.T) {
	tree := ungroupedTree(t)
	report := ungroupedOf(t, tree.Root, ungroupedRules, "--pause=0s")
	var got []string
	for _, p := range report.Processes {
		if p.CPU != nil {
			t.Errorf("%d: got CPU usage %v without a measurement", p.PID, *p.CPU)
		}
		got = append(got, p.User+" "+p.Comm+": "+p.Command+": "+strconv.Itoa(p.Ignored))
	}
	want := []string{
		"root sshd: /usr/sbin/sshd -D: 0", "root python3: /usr/bin/python3 /opt/report.py --password=***: 0",
		"root MainThread: /usr/bin/node --max-old-space-size=100 -: 0", "root it's 1: odd: odd: 0", "root noise: noise: 2",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if report.KernelThreads != 1 {
		t.Errorf("got %d kernel threads, want 1", report.KernelThreads)
	}
	rest := ungroupedOf(t, tree.Root, ungroupedRules+report.SuggestedRules, "--pause=0s")
	if len(rest.Processes) != 1 || rest.Processes[0].Comm != "noise" || rest.SuggestedRules != "" {
		t.Errorf("got %+v after appending\n%s\nwant the ignored process only", rest, report.SuggestedRules)
	}
}

// TestUngroupedCPU checks the CPU usage and the order of the list with real processes: this
// test uses CPU time, and its parent waits.
func TestUngroupedCPU(t *testing.T) {
	var stop atomic.Bool
	defer stop.Store(true)
	go func() {
		for !stop.Load() {
		}
	}()
	report := ungroupedOf(t, "/proc", "process_names:\n  - {name: none, comm: no-such-process}\n", "--pause=300ms")
	last := 1e9
	found := false
	for _, p := range report.Processes {
		if p.CPU == nil {
			continue
		}
		if *p.CPU > last {
			t.Errorf("process %d has a higher CPU usage than the previous one: %v, %v", p.PID, *p.CPU, last)
		}
		last = *p.CPU
		found = found || p.PID == os.Getpid() && *p.CPU > 0
	}
	if !found {
		t.Errorf("got no CPU usage of process %d: %+v", os.Getpid(), report.Processes)
	}
}

// TestGroupsCountUngrouped checks that groups prints the number of processes in no group.
func TestGroupsCountUngrouped(t *testing.T) {
	tree := ungroupedTree(t)
	path := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(path, []byte(ungroupedRules), 0o600); err != nil {
		t.Fatal(err)
	}
	status, out, errs := runArgs(t, "groups", "--pause=0s", "--procfs", tree.Root, "--config.path", path)
	const want = "\n5 processes and 1 kernel thread in no group; --unmatched lists the processes.\n"
	if status != 0 || !strings.HasSuffix(out, want) {
		t.Errorf("got status %d, %s%s, want at the end %q", status, out, errs, want)
	}
	status, out, _ = runArgs(t, "groups", "--unmatched", "--pause=0s", "--procfs", tree.Root, "--config.path", path)
	parts := []string{"5 processes in no group, and 1 kernel thread.", "(ignored by rule 2)", "--password=***", "append to process_names"}
	for _, want := range parts {
		if status != 0 || !strings.Contains(out, want) {
			t.Errorf("got status %d, %s, want %q", status, out, want)
		}
	}
}
