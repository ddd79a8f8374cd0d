package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// buildExecLoop builds testdata/execloop, and the symbolic links that it executes.
var buildExecLoop = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(binary), "execloop")
	if out, err := exec.Command("cc", "-O2", "-pthread", "-o", path, "testdata/execloop/execloop.c").CombinedOutput(); err != nil {
		return "", errors.New(string(out) + err.Error())
	}
	return path, errors.Join(os.Symlink(path, path+".0"), os.Symlink(path, path+".1"))
})

// TestRepeatedExec makes a process execute another program repeatedly, from its main thread or another
// thread, with another name or only another argument. The next scrape must find it in the other group,
// and no counter decreases.
func TestRepeatedExec(t *testing.T) {
	requireLinux(t)
	testenv.RequireProgram(t, "cc")
	path, err := buildExecLoop()
	if err != nil {
		t.Fatal(err)
	}
	eachSource(t, func(t *testing.T, source string) {
		execs := 50
		if chaos {
			execs = 10_000
		}
		token := "e" + strconv.Itoa(os.Getpid()) + source[len("--source="):][:1]
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
