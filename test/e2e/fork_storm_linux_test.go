package e2e

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestForkStorm starts and reaps thousands of processes per second next to a thousand sleeping
// processes, while the exporter is scraped. Scrapes report no errors, no counter decreases, and the
// exporter frees its memory.
func TestForkStorm(t *testing.T) {
	const sleeping = 1_000
	warm, storm, pause := time.Second, time.Second, 100*time.Millisecond
	if chaos {
		warm, storm, pause = 5*time.Second, time.Minute, time.Second
	}
	l := newLoad(t)
	longer := l.withScript("#!/bin/sh\nsleep 0.02\n") // lives long enough to be found by a walk, and exits during its reads
	eachSource(t, func(t *testing.T, source string) {
		procs := startManyProcs(t, "processes", sleeping)
		rules := fmt.Sprintf("process_names:\n- {name: storm, cmdline: ['^(/bin/sh )?(%s|%s)$']}\n- {name: manyprocs, cmdline: ['^%s ']}\n",
			l.program, longer.program, procs.Path)
		r := startCommand(t, exec.Command(l.exporter, source, "--children=false", "--web.listen-address=127.0.0.1:0", "--config.path",
			writeFile(t, "rules.yaml", rules)))
		r.URL = r.waitForURL()
		s := &stormTest{instance: r, backgroundWalks: source == "--source=bpf", loads: map[*load]rate{l: loadRate, longer: loadRate / 20},
			last: make(sampleSet)}
		s.scrape(t)
		first := s.during(t, warm, pause)
		before := statusKB(t, r.PID, "VmRSS")
		used, scrapes := r.cpu(), s.scrapes
		main := s.during(t, storm, pause)
		used, scrapes = r.cpu()-used, s.scrapes-scrapes
		if source == "--source=bpf" {
			checkNoLostExits(t, r, first.count+main.count)
		}
		s.scrape(t)
		if s.partialErrors < s.zombies/2 {
			t.Errorf("got %v partial errors of %v zombies, want at least half as many", s.partialErrors, s.zombies)
		}
		after := statusKB(t, r.PID, "VmRSS")
		t.Logf("%d processes, %.0f per second: %d scrapes, %v of CPU time; memory %d KiB before, %d KiB after", main.count, main.perSecond(),
			scrapes, used, before, after)
		if after > before+8<<10 && !raceDetector {
			t.Errorf("got %d KiB of memory after the storm, want about the %d KiB before it", after, before)
		}
		loadRate.checkRate(t, main)
	})
}

// withScript returns a load that runs a script.
func (l *load) withScript(script string) *load {
	l.t.Helper()
	other := *l
	other.program = filepath.Join(filepath.Dir(l.program), "script")
	if err := os.WriteFile(other.program, []byte(script), 0o700); err != nil {
		l.t.Fatal(err)
	}
	return &other
}

// A stormTest is an exporter that is scraped while processes start and exit.
type stormTest struct {
	*instance
	backgroundWalks bool // the source also walks between scrapes
	loads           map[*load]rate
	last            sampleSet // last value of each counter
	before          sampleSet // previous response
	scrapes         int

	// Sums of all scrapes with procfs: zombies, and partial errors of them.
	zombies, partialErrors float64
}

// during runs the loads and scrapes until they end.
func (s *stormTest) during(t *testing.T, d, pause time.Duration) (all loadResult) {
	t.Helper()
	done := make(chan loadResult)
	for l, at := range s.loads {
		go func() { done <- l.run(d, at) }()
	}
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for left := len(s.loads); left > 0; {
		select {
		case ran := <-done:
			all.count, all.took = all.count+ran.count, max(all.took, ran.took)
			left--
		case <-ticker.C:
			s.scrape(t)
		}
	}
	return all
}

// scrape scrapes once and checks that all sleeping processes are counted and no errors are reported.
func (s *stormTest) scrape(t *testing.T) {
	t.Helper()
	s.scrapes++
	series := s.last.update(t, s.Scrape())
	defer func() { s.before = series }()
	if s.before == nil {
		return
	}
	if got := series[manyProcsSeries]; got != 1_001 { // includes the parent of the others
		t.Errorf("scrape %d: got %v sleeping processes, want 1,001", s.scrapes, got)
	}
	// The unreadable memory of a zombie counts as a partial error, as in the predecessor. A zombie
	// that its parent has not reaped yet belongs to the group of its last identity. With bpf there are
	// also walks between scrapes, which the counters include. With procfs, a zombie that is reaped
	// between the reads of its files has no error.
	zombies := series[`namedprocess_namegroup_states{groupname="storm",state="Zombie"}`]
	const partialErrors = "namedprocess_scrape_partial_errors"
	partial := [2]float64{0, zombies}
	if s.backgroundWalks {
		partial = [2]float64{zombies, math.Inf(1)}
	} else {
		s.zombies += zombies
		s.partialErrors += series.value(t, partialErrors) - s.before.value(t, partialErrors)
	}
	unresponsive := series.value(t, "namedprocess_exporter_unresponsive_processes") // processes of other tests
	for name, want := range map[string][2]float64{"namedprocess_scrape_errors": {}, "namedprocess_scrape_procread_errors": {0, unresponsive},
		partialErrors: partial} {
		if got := series.value(t, name) - s.before.value(t, name); got < want[0] || got > want[1] {
			t.Errorf("scrape %d: got %v more of %s, want %v to %v", s.scrapes, got, name, want[0], want[1])
		}
	}
	if series.value(t, "namedprocess_exporter_scrape_success") != 1 {
		t.Errorf("scrape %d failed", s.scrapes)
	}
	for key, value := range series {
		if strings.HasPrefix(key, "namedprocess_namegroup_unreadable_procs{") && value != 0 {
			t.Errorf("scrape %d: got %s %v, want 0", s.scrapes, key, value)
		}
	}
}
