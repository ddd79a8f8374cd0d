package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// memoryGroup returns a new cgroup with a memory limit in bytes, or skips the test if root cannot
// create one.
func memoryGroup(t *testing.T, bytes int) (dir string) {
	t.Helper()
	const root = "/sys/fs/cgroup"
	dir, limit := filepath.Join(root, "memory"), "memory.limit_in_bytes"
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err == nil {
		dir, limit = root, "memory.max"
	}
	dir, err := os.MkdirTemp(dir, "process_exporter_test_")
	if err != nil {
		t.Skipf("cannot create a cgroup: %v", err)
	}
	t.Cleanup(func() { _ = os.Remove(dir) })
	if err := os.WriteFile(filepath.Join(dir, limit), []byte(strconv.Itoa(bytes)), 0); err != nil {
		t.Skipf("cannot limit the memory of a cgroup: %v", err)
	}
	_ = os.WriteFile(filepath.Join(dir, "memory.swap.max"), []byte("0"), 0) // for machines with swap
	return dir
}

// TestOOMKill counts a process that the OOM killer ended once, in its group, and does not count other
// killed processes.
func TestOOMKill(t *testing.T) {
	requireBPF(t)
	group := memoryGroup(t, 16<<20)
	config := writeFile(t, "rules.yaml", "process_names:\n  - name: \"{{.Matches.name}}\"\n    cmdline: ['oom-(?P<name>\\w+)']\n")
	r := startExporter(t, "--source=bpf", "-config.path", config)
	// tail keeps its last line in memory, and this line never ends. ulimit is for kernels that do not
	// limit the memory of the cgroup.
	eater := exec.Command("bash", "-c", `echo $$ >"$0/cgroup.procs" && ulimit -v 1048576 && exec -a oom-eater tail /dev/zero`, group)
	if err := eater.Run(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Skipf("the OOM killer did not end the process: %v", err)
	}
	other := exec.Command("bash", "-c", "kill -KILL $$", "oom-other")
	if err := other.Run(); err == nil {
		t.Fatal("got no error from a process that killed itself")
	}
	want := map[string]float64{
		`namedprocess_namegroup_oom_kills_total{groupname="eater"}`:                            1,
		`namedprocess_namegroup_exits_total{code="SIGKILL",groupname="eater",reason="killed"}`: 1,
		`namedprocess_namegroup_oom_kills_total{groupname="other"}`:                            0,
		`namedprocess_namegroup_exits_total{code="SIGKILL",groupname="other",reason="killed"}`: 1,
	}
	var got sampleSet
	testenv.WaitFor(t, "two exit events", func() bool {
		got, _ = parseMetrics(t, r.Scrape())
		return got[`namedprocess_namegroup_exits_total{code="SIGKILL",groupname="eater",reason="killed"}`] > 0 &&
			got[`namedprocess_namegroup_exits_total{code="SIGKILL",groupname="other",reason="killed"}`] > 0
	})
	for key, n := range want {
		if v, ok := got[key]; !ok || v != n {
			t.Errorf("%s: got %v (%v), want %v", key, v, ok, n)
		}
	}
}
