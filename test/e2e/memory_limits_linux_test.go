package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// ours are the lines of a stack that are of this program.
var ownStackFrame = regexp.MustCompile(`(?m)^(main\.|github\.com/)`)

// refusesCleanly holds that an exporter which gave up at its start says why in one
// line. Where there is too little for the runtime of Go, which says so in many, none
// of our functions has run.
func (r *instance) checkStartupError() {
	r.t.Helper()
	status, log := r.Wait(), r.Log()
	text := strings.Join(log, "\n")
	switch {
	case status == 0 || len(log) == 0:
		r.t.Errorf("got exit status %d with %q", status, text)
	case strings.Contains(text, "fatal error: "):
		if ownStackFrame.MatchString(text) {
			r.t.Errorf("got a crash of ours: %.3000s", text)
		}
	case len(log) != 1 || !strings.HasPrefix(text, program+": "):
		r.t.Errorf("got not one line but %.3000q", text)
	}
	r.t.Logf("refuses: %.200s", log[0])
}

// decided waits until an exporter listens or has exited, and reports whether it
// listens.
func (r *instance) waitForStart() bool {
	r.t.Helper()
	eventually(r.t, "a decision", func() bool {
		select {
		case <-r.exited:
			return true
		default:
			return len(r.addresses()) > 0
		}
	})
	if len(r.addresses()) == 0 {
		return false
	}
	r.URL = "http://" + r.addresses()[0]
	return true
}

// scrapeCrowd wants each of some scrapes to be whole and to have all processes of a
// crowd.
func (r *instance) checkManyProcs(count int) {
	r.t.Helper()
	for range 10 {
		series, _ := parseMetrics(r.t, r.Scrape())
		if got := series[manyProcsSeries]; got < float64(count+1) || series["namedprocess_exporter_scrape_success{}"] != 1 {
			r.t.Errorf("got %v processes, success %v, want %d or more", got, series["namedprocess_exporter_scrape_success{}"], count+1)
		}
	}
}

// crowdSize is how many processes the tests of little memory have.
func manyProcsCount() int {
	if chaos {
		return 10_000
	}
	return 500
}

// TestAddressSpaceLimit limits the address space to so much that the exporter lives, and
// to so little that no program in Go does.
func TestAddressSpaceLimit(t *testing.T) {
	requireLinux(t)
	path, err := plainBinary()
	if err != nil {
		t.Fatal(err)
	}
	allowPIDs(t, manyProcsCount())
	for _, tt := range []struct {
		kilobytes string
		lives     bool
	}{{"1000000", true}, {"600000", false}, {"262144", false}, {"100000", false}} {
		t.Run(tt.kilobytes, func(t *testing.T) {
			r := startCommand(t, exec.Command("sh", "-c", `ulimit -v `+tt.kilobytes+`; exec "$0" "$@"`, path,
				"--web.listen-address=127.0.0.1:0", "--source=procfs", "--config.path", writeFile(t, "rules.yaml", manyProcsRules)))
			switch lives := r.waitForStart(); {
			case lives:
				r.Scrape()
				startManyProcs(t, "processes", manyProcsCount())
				r.checkManyProcs(manyProcsCount())
			case tt.lives:
				t.Errorf("it gives up: %.3000q", r.Log())
			default:
				r.checkStartupError()
			}
		})
	}
}

// TestCgroupMemoryLimit runs the exporter in a control group of 64 MiB beside many
// processes. The kernel must not have to kill it.
func TestCgroupMemoryLimit(t *testing.T) {
	requireLinux(t)
	path, err := plainBinary()
	if err != nil {
		t.Fatal(err)
	}
	eachSource(t, func(t *testing.T, source string) {
		allowPIDs(t, manyProcsCount())
		group := memoryGroup(t, 64<<20)
		r := startCommand(t, exec.Command("sh", "-c", `echo $$ >"$0/cgroup.procs" && exec "$@"`, group, path, source,
			"--web.listen-address=127.0.0.1:0", "--config.path", writeFile(t, "rules.yaml", manyProcsRules)))
		r.URL = r.waitForURL()
		if inside := procText(t, r.PID, "cgroup"); !strings.Contains(inside, "/"+filepath.Base(group)) {
			t.Fatalf("it is in %q", inside)
		}
		r.Scrape()
		startManyProcs(t, "processes", manyProcsCount())
		r.checkManyProcs(manyProcsCount())
		r.checkRunning()
		for _, file := range []string{"memory.max_usage_in_bytes", "memory.peak", "memory.failcnt", "memory.oom_control", "memory.events"} {
			if text, err := os.ReadFile(filepath.Join(group, file)); err == nil {
				t.Logf("%s: %s", file, strings.Join(strings.Fields(string(text)), " "))
				if killed := regexp.MustCompile(`oom_kill [1-9]`).FindString(string(text)); killed != "" {
					t.Errorf("the kernel killed: %s", killed)
				}
			}
		}
		if status := r.Stop(); status != 0 {
			t.Errorf("got exit status %d", status)
		}
	})
}
