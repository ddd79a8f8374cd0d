package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// A pidReuser starts children that all have the same PID: see testdata/pidreuse.
type pidReuser struct{ *identityChanger }

// A pidReport is the output of testdata/pidreuse after a command.
type pidReport struct {
	pid    int
	tick   uint64 // start time of the child in clock ticks
	starts int    // number of children so far
	cpu    time.Duration
	faults int // page faults of the children
	own    int // page faults of the program
}

func startPIDReuse(t *testing.T) pidReuser {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("requires root: chooses PIDs")
	}
	path := testenv.CompileC(t, "pidreuse", pidReuseName())
	t.Setenv("TITLE", pidReuseTitle())
	return pidReuser{&identityChanger{startWorkerOf(t, exec.Command(path, strings.Repeat("-", 50))), path}}
}

func (r pidReuser) run(format string, args ...any) (c pidReport) {
	r.t.Helper()
	r.send(format, args...)
	return r.report()
}

func (r pidReuser) report() (c pidReport) {
	r.t.Helper()
	if !r.out.Scan() {
		r.t.Fatal("the process has exited")
	}
	if _, err := fmt.Sscan(r.out.Text(), &c.pid, &c.tick, &c.starts, &c.cpu, &c.faults, &c.own); err != nil {
		r.t.Fatalf("got %q: %v", r.out.Text(), err)
	}
	return c
}

// pidReuseTitle is the first word of the command lines of the children. The tests of other packages
// that run at the same time use another one.
func pidReuseTitle() string { return fmt.Sprintf("scraped%d", os.Getpid()) }

// pidReuseName is the unique name of the program. A child has it until its arguments are complete.
func pidReuseName() string { return fmt.Sprintf("pidreuse%d", os.Getpid()) }

// pidReuseRules make a group of each kind of child, and one of the parent and of new children.
func pidReuseRules() string {
	return fmt.Sprintf(`process_names:
- {name: 'kind {{.Matches.kind}}', cmdline: ['^%s (?P<kind>\d+) ']}
- {name: parent, comm: %s}
`, pidReuseTitle(), pidReuseName())
}

// isComplete reports whether a scrape read all processes before its deadline.
func (s sampleSet) isComplete() bool {
	return s["namedprocess_exporter_scrape_success{}"] == 1 && s["namedprocess_exporter_unidentified_processes{}"] == 0
}

// hasUnresponsive reports whether a process was skipped as unresponsive, so that it can be missing
// from its group.
func (s sampleSet) hasUnresponsive() bool {
	return s["namedprocess_exporter_unresponsive_processes{}"] > 0
}

// TestPIDReuse reuses the PID of a process for a process of another group. The next scrape must count
// only the second one, and the page faults of both exactly once. On a machine that is not busy, both
// start within one clock tick, in which the first one is scraped. TestPIDReuseWithinTick of package
// platform has such pairs on a busy machine too, because a walk takes less time than a scrape.
func TestPIDReuse(t *testing.T) {
	eachSource(t, reusePID)
}

// reusePID runs TestPIDReuse with one source.
func reusePID(t *testing.T, source string) {
	children := startPIDReuse(t)
	r := startSource(t, strings.TrimPrefix(source, "--source="), "--children=false", "--config.path",
		writeFile(t, "rules.yaml", pidReuseRules()))
	swaps, limit := 10, 3*time.Second
	if chaos {
		swaps, limit = 100, 5*time.Minute
	}
	before := children.run("end")
	last := make(sampleSet)
	last.update(t, r.Scrape())
	withinTick, complete, tries, incomplete := 0, 0, 0, 0
	check := func(kind int) bool {
		series := last.update(t, r.Scrape())
		if !series.isComplete() {
			incomplete++
			return false
		}
		for other := range 4 {
			want := 0.
			if other == kind {
				want = 1
			}
			if got := series[fmt.Sprintf(`namedprocess_namegroup_num_procs{groupname="kind %d"}`, other)]; got != want {
				if series.hasUnresponsive() {
					incomplete++
					return false
				}
				t.Fatalf("after %d reuses: got %v processes of kind %d, want %v", tries, got, other, want)
			}
		}
		return true
	}
	for start := time.Now(); withinTick < swaps && (complete == 0 || time.Since(start) < limit); tries++ {
		if time.Since(start) > limit+2*testTimeout {
			t.Fatalf("got no two complete scrapes in succession in %d tries", tries)
		}
		kind := tries % 4
		old := children.run("fresh %d", kind)
		oldComplete := check(kind)
		kind = (kind + 1 + tries/4%3) % 4
		now := children.run("next %d", kind)
		if !check(kind) || !oldComplete {
			continue
		}
		if complete++; now.tick == old.tick {
			withinTick++
		}
	}
	want := children.run("end").faults - before.faults
	got := 0.
	testenv.WaitFor(t, "all page faults", func() bool { // bpf counts the last faults at the exit
		got = last.update(t, r.Scrape()).sumOf("minor_page_faults_total", "kind ")
		return got >= float64(want) || incomplete > 0
	}, func() string { return fmt.Sprintf("%v of %d", got, want) })
	if got != float64(want) && incomplete == 0 {
		t.Errorf("got %v page faults, want %d", got, want)
	}
	t.Logf("%d of %d reuses with complete scrapes, %d within a tick; %v of %d page faults", complete, tries, withinTick, got, want)
}

// TestPIDReuseChain reuses one PID for thousands of processes of ten groups while the exporter is
// scraped. No counter decreases, and bpf counts each start, exit, and all usage exactly once.
func TestPIDReuseChain(t *testing.T) {
	eachSource(t, reusePIDChain)
}

// reusePIDChain runs TestPIDReuseChain with one source.
func reusePIDChain(t *testing.T, source string) {
	children := startPIDReuse(t)
	r := startSource(t, strings.TrimPrefix(source, "--source="), "--children=false", "--config.path",
		writeFile(t, "rules.yaml", pidReuseRules()))
	count := 1_000
	if chaos {
		count = 10_000
	}
	before := children.run("end")
	last := make(sampleSet)
	last.update(t, r.Scrape())
	children.send("chain %d 10", count)
	reports := make(chan pidReport, 1)
	go func() {
		defer close(reports)
		reports <- children.report()
	}()
	scrapes := 0
	var after pidReport
	for running := true; running; scrapes++ {
		select {
		case after = <-reports:
			running = false
		default:
		}
		last.update(t, r.Scrape())
	}
	if after.starts != before.starts+count {
		t.Fatalf("got %d starts, want %d", after.starts-before.starts, count)
	}
	after = children.run("end")
	cpu := (after.cpu - before.cpu).Seconds()
	series := last.update(t, r.Scrape())
	sum := func(metric string) float64 { return series.sumOf(metric, "kind ") + series.sumOf(metric, "parent") }
	if source == "--source=procfs" {
		// procfs misses most children, but not the parent.
		if got := sum("cpu_seconds_total"); got > cpu+0.02 {
			t.Errorf("got %v CPU seconds, want at most the used %v", got, cpu)
		}
		t.Logf("%d scrapes, %v of %v CPU seconds", scrapes, sum("cpu_seconds_total"), cpu)
		return
	}
	testenv.WaitFor(t, "all exit events", func() bool {
		series = last.update(t, r.Scrape())
		return sum("exits_total") >= float64(count)
	}, func() string { return fmt.Sprint(sum("exits_total")) })
	if starts, exits := sum("starts_total"), sum("exits_total"); starts != float64(count) || exits != float64(count) {
		t.Errorf("got %v starts and %v exits, want %d", starts, exits, count)
	}
	checkExitsOfKinds(t, series, count)
	if got := series["namedprocess_exporter_lost_exit_events_total{}"]; got != 0 {
		t.Errorf("got %v lost exit events, want 0", got)
	}
	// The parent has more page faults while it prints its report, and the kernel charges the last
	// microseconds of a child after the parent has reaped it.
	faults := float64(after.faults + after.own - before.faults - before.own)
	if got := sum("minor_page_faults_total"); got < faults-20 || got > faults+20 {
		t.Errorf("got %v page faults, want %v", got, faults)
	}
	if got := sum("cpu_seconds_total"); got < 0.99*cpu || got > 1.1*cpu {
		t.Errorf("got %v CPU seconds, want the charged %v", got, cpu)
	}
	t.Logf("%d scrapes, %v of %v page faults, %v of %v CPU seconds", scrapes, sum("minor_page_faults_total"), faults,
		sum("cpu_seconds_total"), cpu)
}

// checkExitsOfKinds checks the exits of the ten groups of TestPIDReuseChain.
func checkExitsOfKinds(t *testing.T, series sampleSet, count int) {
	t.Helper()
	for kind := range 10 {
		got := series[fmt.Sprintf(`namedprocess_namegroup_exits_total{code="SIGKILL",groupname="kind %d",reason="killed"}`, kind)]
		// A child that was seen before it had its name can exit in the group of its parent.
		if got > float64(count/10) || got < float64(count/10-5) {
			t.Errorf("got %v exits of kind %d, want %d", got, kind, count/10)
		}
	}
}
