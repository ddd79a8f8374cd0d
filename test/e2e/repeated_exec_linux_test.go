package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// execLoop compiles testdata/execloop and makes the symbolic links that it executes.
func execLoop(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "execloop")
	for _, suffix := range []string{"", ".0", ".1"} {
		if err := os.Symlink(testenv.CompileC(t, "execloop", "execloop"), path+suffix); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// TestRepeatedExec makes a process execute another program repeatedly, from its main thread or another
// thread, with another name or only another argument. The next scrape must find it in the other group,
// and no counter decreases.
func TestRepeatedExec(t *testing.T) {
	path := execLoop(t)
	eachSource(t, func(t *testing.T, source string) {
		execs := 50
		if chaos {
			execs = 10_000
		}
		token := uniqueToken()
		rules := writeFile(t, "rules.yaml",
			"process_names:\n- {name: 'program {{.Matches.number}}', cmdline: ['"+token+" (?P<number>[01])$']}\n")
		w := startWorkerOf(t, exec.Command(path, token, "0"))
		r := startSource(t, strings.TrimPrefix(source, "--source="), "--children=false", "--config.path", rules)
		last := make(sampleSet)
		incomplete := 0
		check := func(number int) {
			t.Helper()
			series := last.update(t, r.Scrape())
			if !series.isComplete() {
				incomplete++
				return
			}
			procs := func(number int) float64 {
				return series[fmt.Sprintf(`namedprocess_namegroup_num_procs{groupname="program %d"}`, number)]
			}
			switch right := procs(number) == 1 && procs(1-number) == 0; {
			case !right && series.hasUnresponsive():
				incomplete++
			case !right:
				t.Fatalf("got %v and %v processes in the two groups, want one in group %d", procs(0), procs(1), number)
			}
		}
		check(0)
		for i := 1; i <= execs; i++ {
			if _, err := w.in.Write([]byte{"mtMTtmTM"[i%8]}); err != nil {
				t.Fatal(err)
			}
			w.expect("ready")
			if check(i % 2); t.Failed() {
				t.Fatalf("after %d executions", i)
			}
		}
		changes := last.sumOf("group_changes_total", "program ")
		if changes != float64(execs) && incomplete == 0 {
			t.Errorf("got %v group changes, want %d", changes, execs)
		}
		t.Logf("%d executions, %v group changes, %d incomplete scrapes", execs, changes, incomplete)
		if incomplete > execs/2 {
			t.Skip("this machine is too slow")
		}
	})
}
