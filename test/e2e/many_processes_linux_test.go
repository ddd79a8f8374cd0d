package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"

	"github.com/seed57308aee/process_exporter/internal/webserver"
)

// startManyProcs starts testdata/manyprocs. All its processes are called manyprocs.
func startManyProcs(t *testing.T, kind string, counts ...int) *exec.Cmd {
	t.Helper()
	return startManyProcsIn(t, nil, kind, counts...)
}

// startManyProcsIn is like startManyProcs, with a command prefix such as nsenter.
func startManyProcsIn(t *testing.T, prefix []string, kind string, counts ...int) *exec.Cmd {
	t.Helper()
	args := append(slices.Clone(prefix), testenv.CompileC(t, "manyprocs", "manyprocs"), kind)
	for _, n := range counts {
		args = append(args, strconv.Itoa(n))
	}
	command := exec.Command(args[0], args[1:]...)
	var stderr strings.Builder
	command.Stderr = &stderr
	in, out := testenv.StartPiped(t, command)
	lines := bufio.NewScanner(out)
	ready := lines.Scan() && lines.Text() == "ready"
	t.Cleanup(func() {
		_ = in.Close() // ends the children and the program
		if !ready {
			_ = command.Process.Kill()
		}
		_ = command.Wait()
	})
	if !ready {
		t.Fatalf("manyprocs %s %v: %s", kind, counts, stderr.String())
	}
	return command
}

// TestManyProcsFailure checks that manyprocs exits if one of its processes fails.
func TestManyProcsFailure(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.RequireNamespaces(t)
	setpriv := testenv.RequireProgram(t, "setpriv")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// Without CAP_SETUID, the first process can set its user to 0 and the second one cannot set it to 1.
	command := exec.CommandContext(ctx, setpriv, "--bounding-set=-setuid", testenv.CompileC(t, "manyprocs", "manyprocs"), "users", "2", "0")
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID} // the kernel ends its children with it
	var out strings.Builder
	command.Stdout, command.Stderr = &out, &out
	command.WaitDelay = time.Second
	if err := command.Run(); err == nil || ctx.Err() != nil || !strings.Contains(out.String(), "setresuid") {
		t.Errorf("got error %v and output %q, want an exit with an error of setresuid", err, out.String())
	}
}

// allowPIDs raises kernel.pid_max until the end of the test, if it is too low for count processes.
func allowPIDs(t *testing.T, count int) {
	t.Helper()
	const path = "/proc/sys/kernel/pid_max"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if limit, err := strconv.Atoi(strings.TrimSpace(string(text))); err != nil || limit > count+10_000 {
		return
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(4*count)), 0); err != nil {
		t.Skipf("kernel.pid_max is too low for %d processes: %v", count, err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(path, text, 0); err != nil {
			t.Error(err)
		}
	})
}

const (
	manyProcsRules  = "process_names:\n- {name: manyprocs, comm: manyprocs}\n- {name: '{{.Comm}}', cmdline: .+}\n"
	manyProcsSeries = `namedprocess_namegroup_num_procs{groupname="manyprocs"}`
)

// TestManyProcesses starts more processes than the scrape timeout allows to read. Each scrape responds
// in time with partial results, the next scrape continues, and finally all processes are counted. No
// counter decreases.
func TestManyProcesses(t *testing.T) {
	eachSource(t, func(t *testing.T, source string) {
		count, timeout, interval := 1_000, 0.1, 100*time.Millisecond // timeout in seconds
		switch {
		case chaos:
			count, timeout, interval = 30_000, 1, time.Second
		case raceDetector:
			timeout = 1
		}
		allowPIDs(t, count)
		r := startSource(t, strings.TrimPrefix(source, "--source="), "--config.path", writeFile(t, "rules.yaml", manyProcsRules))
		r.Scrape()
		startManyProcs(t, "processes", count)
		var results []string
		var worst time.Duration
		last, procs := make(sampleSet), 0.
		ticker := time.NewTicker(interval) // scrape interval; scrapes without pauses are rate limited
		defer ticker.Stop()
		increased := 0 // scrape in which the number of processes increased last
		for i := 0; procs < float64(count+1) || i < 10; i++ {
			<-ticker.C
			text, took := r.scrapeWithin(strconv.FormatFloat(timeout, 'g', -1, 64))
			series := last.update(t, text)
			now, exported := series[manyProcsSeries]
			complete := series.value(t, "namedprocess_exporter_scrape_success") == 1
			results = append(results, fmt.Sprintf("%v %v %v", took.Round(time.Millisecond), now, complete))
			worst = max(worst, took)
			switch {
			case complete && now != float64(count+1), exported && now < procs:
				t.Errorf("scrape %d: got %v processes, complete %v, and %v in the previous scrape", i, now, complete, procs)
			case exported && now > procs: // otherwise even partial results were not ready in time
				procs, increased = now, i
			}
			if i > increased+100 && !chaos { // other programs use the CPUs: a scrape needs more time
				timeout, increased = 2*timeout, i
			}
			if i > increased+200 || timeout > 10 {
				t.Fatalf("got %v processes in scrapes %d to %d, want more with time: %s", procs, increased, i, strings.Join(results, ", "))
			}
		}
		if text, _ := r.scrapeWithin("20"); last.update(t, text).value(t, "namedprocess_exporter_scrape_success") != 1 {
			t.Error("got an incomplete scrape with a timeout of 20 s")
		}
		t.Logf("duration, processes, complete: %s", strings.Join(results, ", "))
		if checkTimes && worst > 900*time.Millisecond {
			t.Errorf("got a scrape of %v, want at most 900 ms", worst)
		}
	})
}

// scrapeWithin scrapes with the timeout header that Prometheus sends.
func (r *instance) scrapeWithin(seconds string) (text string, took time.Duration) {
	r.t.Helper()
	request, err := http.NewRequest(http.MethodGet, r.URL+"/metrics", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set(webserver.TimeoutHeader, seconds)
	testenv.WaitFor(r.t, "a response", func() bool {
		start := time.Now()
		response, body := r.do(request)
		text, took = body, time.Since(start)
		// Scrapes that use too much CPU are delayed, those with a short timeout have status 503.
		busy := response.StatusCode == http.StatusServiceUnavailable && response.Header.Get("Retry-After") != ""
		if !busy && response.StatusCode != http.StatusOK {
			r.t.Fatalf("got %s, want 200", response.Status)
		}
		return !busy
	})
	return text, took
}
