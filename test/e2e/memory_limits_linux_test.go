package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// ownStackFrame matches stack frames of this module or its dependencies.
var ownStackFrame = regexp.MustCompile(`(?m)^(main\.|github\.com/)`)

// checkStartupError checks that an exporter that failed to start printed one error line. If the Go
// runtime failed, it prints many lines, without frames of this module.
func (r *instance) checkStartupError() {
	r.t.Helper()
	status, log := r.Wait(), r.Log()
	text := strings.Join(log, "\n")
	switch {
	case status == 0 || len(log) == 0:
		r.t.Errorf("got exit status %d and log %q, want an error", status, text)
	case strings.Contains(text, "fatal error: "):
		if ownStackFrame.MatchString(text) {
			r.t.Errorf("got a stack trace of this module: %.3000s", text)
		}
	case len(log) != 1 || !strings.HasPrefix(text, program+": "):
		r.t.Errorf("got %.3000q, want one line", text)
	}
	r.t.Logf("error: %.200s", log[0])
}

// waitForStart waits until the exporter listens or exits, and reports whether it listens.
func (r *instance) waitForStart() bool {
	r.t.Helper()
	testenv.WaitFor(r.t, "the exporter to listen or exit", func() bool {
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

// checkManyProcs scrapes ten times and checks that all processes are counted.
func (r *instance) checkManyProcs(count int) {
	r.t.Helper()
	for range 10 {
		series, _ := parseMetrics(r.t, r.Scrape())
		if got := series[manyProcsSeries]; got < float64(count+1) || series["namedprocess_exporter_scrape_success{}"] != 1 {
			r.t.Errorf("got %v processes, success %v, want %d or more and success 1", got, series["namedprocess_exporter_scrape_success{}"],
				count+1)
		}
	}
}

// manyProcsCount returns the number of processes in the tests of memory limits.
func manyProcsCount() int {
	if chaos {
		return 10_000
	}
	return 500
}

// TestAddressSpaceLimit limits the address space: the exporter runs with 1 GB, and fails with an error
// line or a Go runtime error below that.
func TestAddressSpaceLimit(t *testing.T) {
	path := plainBinary(t)
	allowPIDs(t, manyProcsCount())
	for _, tt := range []struct {
		kilobytes string
		starts    bool
	}{{"1000000", true}, {"600000", false}, {"262144", false}, {"100000", false}} {
		t.Run(tt.kilobytes, func(t *testing.T) {
			r := startCommand(t, exec.Command("sh", "-c", `ulimit -v `+tt.kilobytes+`; exec "$0" "$@"`, path,
				"--web.listen-address=127.0.0.1:0", "--source=procfs", "--config.path", writeFile(t, "rules.yaml", manyProcsRules)))
			switch starts := r.waitForStart(); {
			case starts:
				r.Scrape()
				startManyProcs(t, "processes", manyProcsCount())
				r.checkManyProcs(manyProcsCount())
			case tt.starts:
				t.Errorf("the exporter did not start: %.3000q", r.Log())
			default:
				r.checkStartupError()
			}
		})
	}
}

// TestCgroupMemoryLimit runs the exporter in a cgroup with 64 MiB of memory next to many processes.
// The OOM killer must not end it.
func TestCgroupMemoryLimit(t *testing.T) {
	path := plainBinary(t)
	eachSource(t, func(t *testing.T, source string) {
		allowPIDs(t, manyProcsCount())
		group := memoryGroup(t, 64<<20)
		r := startCommand(t, exec.Command("sh", "-c", `echo $$ >"$0/cgroup.procs" && exec "$@"`, group, path, source,
			"--web.listen-address=127.0.0.1:0", "--config.path", writeFile(t, "rules.yaml", manyProcsRules)))
		r.URL = r.waitForURL()
		if inside := procText(t, r.PID, "cgroup"); !strings.Contains(inside, "/"+filepath.Base(group)) {
			t.Fatalf("got cgroup %q, want the new one", inside)
		}
		r.Scrape()
		startManyProcs(t, "processes", manyProcsCount())
		r.checkManyProcs(manyProcsCount())
		r.checkRunning()
		for _, file := range []string{"memory.max_usage_in_bytes", "memory.peak", "memory.failcnt", "memory.oom_control", "memory.events"} {
			if text, err := os.ReadFile(filepath.Join(group, file)); err == nil {
				t.Logf("%s: %s", file, strings.Join(strings.Fields(string(text)), " "))
				if killed := regexp.MustCompile(`oom_kill [1-9]`).FindString(string(text)); killed != "" {
					t.Errorf("the OOM killer ended a process: %s", killed)
				}
			}
		}
		if status := r.Stop(); status != 0 {
			t.Errorf("got exit status %d", status)
		}
	})
}
