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
)

// buildTurns builds testdata/execloop, with the links that it is called by.
var buildExecLoop = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(binary), "execloop")
	if out, err := exec.Command("cc", "-O2", "-pthread", "-o", path, "testdata/execloop/execloop.c").CombinedOutput(); err != nil {
		return "", errors.New(string(out) + err.Error())
	}
	return path, errors.Join(os.Symlink(path, path+".0"), os.Symlink(path, path+".1"))
})

// TestRepeatedExec has a process become another program again and again, by its main
// thread and by another, under another name or with another argument only. One
// scrape after each finds it in the group of the other, and no counter falls.
func TestRepeatedExec(t *testing.T) {
	requireLinux(t)
	requireProgram(t, "cc")
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
		rules := writeFile(t, "rules.yaml", "process_names:\n- {name: 'program {{.Matches.number}}', cmdline: ['"+token+" (?P<number>[01])$']}\n")
		w := startWorkerOf(t, exec.Command(path, token, "0"))
		r := startSource(t, strings.TrimPrefix(source, "--source="), "--children=false", "--config.path", rules)
		last := make(sampleSet)
		missed := 0
		look := func(turn int) {
			t.Helper()
			series := last.follow(t, r.Scrape())
			if !series.isWhole() {
				missed++
				return
			}
			procs := func(turn int) float64 {
				return series[fmt.Sprintf(`namedprocess_namegroup_num_procs{groupname="program %d"}`, turn)]
			}
			switch right := procs(turn) == 1 && procs(1-turn) == 0; {
			case !right && series.isExcused():
				missed++
			case !right:
				t.Fatalf("got %v and %v processes in the two groups, want one in turn %d", procs(0), procs(1), turn)
			}
		}
		look(0)
		for i := 1; i <= execs; i++ {
			if _, err := w.in.Write([]byte{"mtMTtmTM"[i%8]}); err != nil {
				t.Fatal(err)
			}
			w.expect("ready")
			if look(i % 2); t.Failed() {
				t.Fatalf("after %d times", i)
			}
		}
		moves := last.sumOf("group_changes_total", "program ")
		if moves != float64(execs) && missed == 0 {
			t.Errorf("got %v moves from group to group, want %d", moves, execs)
		}
		t.Logf("%d times another program, %v moves seen, %d scrapes were not whole", execs, moves, missed)
		if missed > execs/2 {
			t.Skip("this machine is too slow")
		}
	})
}
