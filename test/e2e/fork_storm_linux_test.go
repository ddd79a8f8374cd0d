package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestForkStorm has thousands of processes a second live and die beside a thousand
// that sleep, while the exporter is scraped. None of that counts as an error, no
// counter falls, and no memory stays with it.
func TestForkStorm(t *testing.T) {
	requireLinux(t)
	const sleeping = 1_000
	warm, storm, pause := time.Second, time.Second, 100*time.Millisecond
	if chaos {
		warm, storm, pause = 5*time.Second, time.Minute, time.Second
	}
	l := newLoad(t)
	longer := l.of("#!/bin/sh\nsleep 0.02\n") // so that walks meet it, and it ends before all of it is read
	eachSource(t, func(t *testing.T, source string) {
		crowd := startManyProcs(t, "processes", sleeping)
		rules := fmt.Sprintf("process_names:\n- {name: storm, cmdline: ['^(/bin/sh )?(%s|%s)$']}\n- {name: manyprocs, cmdline: ['^%s ']}\n", l.program, longer.program, crowd.Path)
		r := startCommand(t, exec.Command(l.exporter, source, "--children=false", "--web.listen-address=127.0.0.1:0", "--config.path", writeFile(t, "rules.yaml", rules)))
		r.URL = r.waitForURL()
		s := &stormTest{instance: r, walks: source == "--source=bpf", loads: map[*load]rate{l: loadRate, longer: loadRate / 20}, last: make(sampleSet)}
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
		after := statusKB(t, r.PID, "VmRSS")
		t.Logf("%d processes, %.0f a second: %d scrapes, %v of CPU; %d KiB before, %d after", main.count, main.perSecond(), scrapes, used, before, after)
		if after > before+8<<10 && !raceDetector {
			t.Errorf("got %d KiB of memory after the storm, and %d before", after, before)
		}
		loadRate.checkRate(t, main)
	})
}

// of returns a load of a script.
func (l *load) of(script string) *load {
	l.t.Helper()
	other := *l
	other.program = filepath.Join(filepath.Dir(l.program), "script")
	if err := os.WriteFile(other.program, []byte(script), 0o700); err != nil {
		l.t.Fatal(err)
	}
	return &other
}

// A stormy is an exporter that is scraped while processes come and go.
type stormTest struct {
	*instance
	walks   bool // by itself, between scrapes
	loads   map[*load]rate
	last    sampleSet // of each counter
	before  sampleSet // the answer before
	scrapes int
}

// during scrapes while the loads run.
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

// scrape scrapes once. All sleepers are there, and nothing counts as an error.
func (s *stormTest) scrape(t *testing.T) {
	t.Helper()
	s.scrapes++
	series := s.last.follow(t, s.Scrape())
	defer func() { s.before = series }()
	if s.before == nil {
		return
	}
	if got := series[manyProcsSeries]; got != 1_001 { // with the one that started them
		t.Errorf("scrape %d: got %v processes that sleep, want 1,001", s.scrapes, got)
	}
	// The memory of a zombie counts as a partial error, as it always has. One that
	// is met between its end and its parent's wait has a group by its last words. With
	// bpf there are walks that nobody asked for, of which only the sum is told.
	zombies := series[`namedprocess_namegroup_states{groupname="storm",state="Zombie"}`]
	for name, want := range map[string]float64{"namedprocess_scrape_errors": 0, "namedprocess_scrape_procread_errors": 0, "namedprocess_scrape_partial_errors": zombies} {
		if got := series.value(t, name) - s.before.value(t, name); got != want && !(s.walks && name == "namedprocess_scrape_partial_errors" && got > want) {
			t.Errorf("scrape %d: got %v more of %s, want %v", s.scrapes, got, name, want)
		}
	}
	if series.value(t, "namedprocess_exporter_scrape_success") != 1 {
		t.Errorf("scrape %d was no success", s.scrapes)
	}
	for key, value := range series {
		if strings.HasPrefix(key, "namedprocess_namegroup_unreadable_procs{") && value != 0 {
			t.Errorf("scrape %d: got %s %v", s.scrapes, key, value)
		}
	}
}
