package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

var buildPIDReuse = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(binary), "pidreuse")
	if out, err := exec.Command("cc", "-O2", "-o", path, "testdata/pidreuse/pidreuse.c").CombinedOutput(); err != nil {
		return "", errors.New(string(out) + err.Error())
	}
	return path, nil
})

// A recycler has children that all have the same PID: see testdata/pidreuse.
type pidReuser struct{ *identityChanger }

// A recycled is what it answers.
type pidReport struct {
	pid    int
	tick   uint64 // of the birth of its child
	births int    // of all children
	cpu    time.Duration
	faults int // of its children
	own    int // its own
}

func startPIDReuse(t *testing.T) pidReuser {
	t.Helper()
	requireLinux(t)
	if os.Geteuid() != 0 {
		t.Skip("only root chooses PIDs")
	}
	requireProgram(t, "cc")
	path, err := buildPIDReuse()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TITLE", pidReuseTitle())
	return pidReuser{&identityChanger{startWorkerOf(t, exec.Command(path, strings.Repeat("-", 50))), path}}
}

func (r pidReuser) does(format string, args ...any) (c pidReport) {
	r.t.Helper()
	r.tell(format, args...)
	return r.answer()
}

func (r pidReuser) answer() (c pidReport) {
	r.t.Helper()
	if !r.out.Scan() {
		r.t.Fatal("the process has ended")
	}
	if _, err := fmt.Sscan(r.out.Text(), &c.pid, &c.tick, &c.births, &c.cpu, &c.faults, &c.own); err != nil {
		r.t.Fatalf("got %q: %v", r.out.Text(), err)
	}
	return c
}

// recycledTitle is what the arguments of its children begin with. The tests of other
// packages recycle beside us, with children that have the names of ours.
func pidReuseTitle() string { return fmt.Sprintf("scraped%d", os.Getpid()) }

// recycledRules make a group of each kind, and one of the process that has them.
func pidReuseRules() string {
	return fmt.Sprintf(`process_names:
- {name: 'kind {{.Matches.kind}}', cmdline: ['^%s (?P<kind>\d+) ']}
- {name: parent, cmdline: ['^%s/pidreuse --']}
`, pidReuseTitle(), regexp.QuoteMeta(filepath.Dir(binary)))
}

// sumOf adds up a metric over the groups whose name begins with prefix.
func (s sampleSet) sumOf(metric, prefix string) (sum float64) {
	for key, v := range s {
		if strings.HasPrefix(key, "namedprocess_namegroup_"+metric+"{") && strings.Contains(key, `groupname="`+prefix) {
			sum += v
		}
	}
	return sum
}

// isWhole reports whether a scrape had the time to read all processes, which on a
// busy machine it may not have had.
func (s sampleSet) isWhole() bool {
	return s["namedprocess_exporter_scrape_success{}"] == 1 && s["namedprocess_exporter_unidentified_processes{}"] == 0
}

// isExcused reports whether a process may be where it was because it seemed not to
// answer.
func (s sampleSet) isExcused() bool { return s["namedprocess_exporter_unresponsive_processes{}"] > 0 }

// TestPIDReuse gives the PID of a process of one group to one of another, in the
// clock tick in which both are born and the first is scraped. The next scrape finds
// the second in its group, and nobody in the other. The page faults of all of them
// are counted, and once.
func TestPIDReuse(t *testing.T) {
	eachSource(t, func(t *testing.T, source string) {
		children := startPIDReuse(t)
		r := startSource(t, strings.TrimPrefix(source, "--source="), "--children=false", "--config.path", writeFile(t, "rules.yaml", pidReuseRules()))
		swaps := 10
		if chaos {
			swaps = 100
		}
		before := children.does("end")
		last := make(sampleSet)
		last.follow(t, r.Scrape())
		within, tries, scrapes, missed := 0, 0, 0, 0
		look := func(kind int) {
			series := last.follow(t, r.Scrape())
			if !series.isWhole() {
				missed++
				return
			}
			scrapes++
			for other := range 4 {
				want := 0.
				if other == kind {
					want = 1
				}
				if got := series[fmt.Sprintf(`namedprocess_namegroup_num_procs{groupname="kind %d"}`, other)]; got != want {
					if series.isExcused() {
						missed++
						return
					}
					t.Fatalf("after %d swaps: got %v processes of kind %d, want %v", tries, got, other, want)
				}
			}
		}
		for end := time.Now().Add(3 * time.Second); within < swaps && (chaos || time.Now().Before(end)); tries++ {
			kind := tries % 4
			old := children.does("fresh %d", kind)
			look(kind)
			kind = (kind + 1 + tries/4%3) % 4
			now := children.does("next %d", kind)
			if now.tick == old.tick {
				within++
			}
			look(kind)
		}
		want := children.does("end").faults - before.faults
		got := 0.
		eventually(t, "the faults of all", func() bool { // bpf tells of the last with its end
			got = last.follow(t, r.Scrape()).sumOf("minor_page_faults_total", "kind ")
			return got >= float64(want) || missed > 0
		}, func() string { return fmt.Sprintf("%v of %d", got, want) })
		if got != float64(want) && missed == 0 {
			t.Errorf("got %v page faults, want %d", got, want)
		}
		t.Logf("%d of %d swaps within a tick, %d scrapes, and %d that were not whole; %v of %d faults", within, tries, scrapes, missed, got, want)
		if within == 0 || scrapes == 0 {
			t.Skip("this machine is too slow to scrape within a tick")
		}
	})
}

// TestPIDReuseChain has a PID go through thousands of processes of ten groups
// while the exporter is scraped. No counter falls, and the kernel's programs tell of
// each birth and end, and of all that was used, once.
func TestPIDReuseChain(t *testing.T) {
	eachSource(t, func(t *testing.T, source string) {
		children := startPIDReuse(t)
		r := startSource(t, strings.TrimPrefix(source, "--source="), "--children=false", "--config.path", writeFile(t, "rules.yaml", pidReuseRules()))
		count := 1_000
		if chaos {
			count = 10_000
		}
		before := children.does("end")
		last := make(sampleSet)
		last.follow(t, r.Scrape())
		children.tell("chain %d 10", count)
		told := make(chan pidReport, 1)
		go func() {
			defer close(told)
			told <- children.answer()
		}()
		scrapes := 0
		var after pidReport
		for running := true; running; scrapes++ {
			select {
			case after = <-told:
				running = false
			default:
			}
			last.follow(t, r.Scrape())
		}
		if after.births != before.births+count {
			t.Fatalf("got %d births, want %d", after.births-before.births, count)
		}
		after = children.does("end")
		cpu := (after.cpu - before.cpu).Seconds()
		series := last.follow(t, r.Scrape())
		sum := func(metric string) float64 { return series.sumOf(metric, "kind ") + series.sumOf(metric, "parent") }
		if source == "--source=procfs" {
			// Of most it has seen nothing; that of the parent it has.
			if got := sum("cpu_seconds_total"); got > cpu+0.02 {
				t.Errorf("got %v CPU seconds, and %v were used", got, cpu)
			}
			t.Logf("%d scrapes, %v of %v CPU seconds", scrapes, sum("cpu_seconds_total"), cpu)
			return
		}
		eventually(t, "the ends of all", func() bool {
			series = last.follow(t, r.Scrape())
			return sum("exits_total") >= float64(count)
		}, func() string { return fmt.Sprint(sum("exits_total")) })
		if starts, exits := sum("starts_total"), sum("exits_total"); starts != float64(count) || exits != float64(count) {
			t.Errorf("got %v starts and %v exits of %d processes", starts, exits, count)
		}
		for kind := range 10 {
			if got := series[fmt.Sprintf(`namedprocess_namegroup_exits_total{code="SIGKILL",groupname="kind %d",reason="killed"}`, kind)]; got > float64(count/10) || got < float64(count/10-5) {
				// One that was met before it had its name may end under its parent's.
				t.Errorf("got %v exits of kind %d, want %d", got, kind, count/10)
			}
		}
		if got := series["namedprocess_exporter_lost_exit_events_total{}"]; got != 0 {
			t.Errorf("got %v lost events", got)
		}
		// The parent has faults while it answers, and the last microseconds of a
		// process come when its parent has been told already.
		faults := float64(after.faults + after.own - before.faults - before.own)
		if got := sum("minor_page_faults_total"); got < faults-20 || got > faults+20 {
			t.Errorf("got %v page faults, want %v", got, faults)
		}
		if got := sum("cpu_seconds_total"); got < 0.99*cpu || got > 1.1*cpu {
			t.Errorf("got %v CPU seconds, want the %v that the kernel charged", got, cpu)
		}
		t.Logf("%d scrapes, %v of %v faults, %v of %v CPU seconds", scrapes, sum("minor_page_faults_total"), faults, sum("cpu_seconds_total"), cpu)
	})
}
