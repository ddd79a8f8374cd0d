package e2e

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// startZombie starts a process that exits at once, and is not reaped until the end of the test.
func startZombie(t *testing.T, name string) {
	t.Helper()
	command := exec.Command(executableNamed(t, name))
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Wait() })
	testenv.WaitFor(t, "a zombie", func() bool {
		return strings.Contains(procText(t, command.Process.Pid, "stat"), ") Z ")
	})
}

// executableNamed returns the path of true(1) with another name.
func executableNamed(t *testing.T, name string) string {
	t.Helper()
	path := t.TempDir() + "/" + name
	testenv.CopyProgram(t, "/bin/true", path)
	return path
}

// TestZombiesAtStart checks zombies that the exporter finds at its start: it cannot know their
// command line. They create no group with an empty part in its name, and do not count as unreadable.
func TestZombiesAtStart(t *testing.T) {
	startZombie(t, "zombie-task")
	startZombie(t, "zombie-worker")
	rules := writeFile(t, "rules.yaml", "process_names:\n"+
		"  - name: \"task:{{.App}}\"\n    comm: [zombie-task]\n"+
		"  - name: \"worker:{{.ExeBase}}\"\n    comm: [zombie-worker]\n")
	eachSource(t, func(t *testing.T, source string) {
		r := startExporter(t, source, "--config.path", rules)
		r.waitForScrape([]string{
			`num_procs{groupname="worker:zombie-worker"} 1`, `states{groupname="worker:zombie-worker",state="Zombie"} 1`,
		}, []string{`groupname="task:`, "namedprocess_namegroup_unreadable_procs{"})
		_, page := r.Get("/api/v1/groups")
		var report struct {
			Exporter struct {
				Unreadable   *int `json:"unreadable_procs"`
				Unresponsive *int `json:"unresponsive_processes"` // of other tests; they are unreadable
			}
		}
		err := json.Unmarshal([]byte(page), &report)
		unreadable, unresponsive := report.Exporter.Unreadable, report.Exporter.Unresponsive
		if err != nil || unreadable == nil || unresponsive == nil || *unreadable > *unresponsive {
			t.Errorf("got error %v, %s, want no unreadable process that is not unresponsive", err, page)
		}
	})
}
