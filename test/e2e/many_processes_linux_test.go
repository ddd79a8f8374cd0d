package e2e

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/internal/webserver"
)

var buildManyProcs = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(binary), "manyprocs")
	if out, err := exec.Command("cc", "-O2", "-pthread", "-o", path, "testdata/manyprocs/manyprocs.c").CombinedOutput(); err != nil {
		return "", fmt.Errorf("cc: %w: %s", err, out)
	}
	return path, nil
})

// startCrowd starts what testdata/manyprocs/manyprocs.c knows, which is all called crowd.
func startManyProcs(t *testing.T, kind string, counts ...int) *exec.Cmd {
	t.Helper()
	requireProgram(t, "cc")
	path, err := buildManyProcs()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(path, kind)
	for _, n := range counts {
		command.Args = append(command.Args, strconv.Itoa(n))
	}
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	command.Stderr = &said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	ready := lines.Scan() && lines.Text() == "ready"
	t.Cleanup(func() {
		_ = in.Close() // it ends all of them, and then itself
		if !ready {
			_ = command.Process.Kill()
		}
		_ = command.Wait()
	})
	if !ready {
		t.Fatalf("manyprocs %s %v: %s", kind, counts, said.String())
	}
	return command
}

// children returns the PIDs of a process's children.
func children(t *testing.T, pid int) (pids []int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range strings.Fields(string(text)) {
		child, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, child)
	}
	return pids
}

// allowPIDs lets the machine have so many processes and threads until the end of
// the test.
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
		t.Skipf("no room for %d processes: %v", count, err)
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

// TestManyProcesses has more processes appear than can be read in the time that a
// scrape has. Each scrape answers in time, with what there is, and the next goes
// on, until all are there; no counter falls.
func TestManyProcesses(t *testing.T) {
	requireLinux(t)
	eachSource(t, func(t *testing.T, source string) {
		count, timeout, interval := 2_000, "0.1", 100*time.Millisecond
		switch {
		case chaos:
			count, timeout, interval = 30_000, "1", time.Second
		case raceDetector:
			timeout = "1"
		}
		allowPIDs(t, count)
		r := startSource(t, strings.TrimPrefix(source, "--source="), "--config.path", writeFile(t, "rules.yaml", manyProcsRules))
		r.Scrape()
		startManyProcs(t, "processes", count)
		var told []string
		var worst time.Duration
		last, procs := make(sampleSet), 0.
		rhythm := time.NewTicker(interval) // of the scraper: without one, scrapes take turns with pauses
		defer rhythm.Stop()
		for i := 0; procs < float64(count+1) || i < 10; i++ {
			<-rhythm.C
			text, took := r.scrapeWithin(timeout)
			series := last.follow(t, text)
			now, shown := series[manyProcsSeries]
			whole := series.value(t, "namedprocess_exporter_scrape_success") == 1
			told = append(told, fmt.Sprintf("%v %v %v", took.Round(time.Millisecond), now, whole))
			worst = max(worst, took)
			switch {
			case whole && now != float64(count+1), shown && now < procs:
				t.Errorf("scrape %d: got %v processes, whole %v, and %v before", i, now, whole, procs)
			case shown: // otherwise not even a part was there in time
				procs = now
			}
			if i > 300 {
				t.Fatalf("got %v processes after %d scrapes", procs, i)
			}
		}
		if text, _ := r.scrapeWithin("20"); last.follow(t, text).value(t, "namedprocess_exporter_scrape_success") != 1 {
			t.Error("a scrape that has time is not whole")
		}
		t.Logf("time, processes, and whether that is all: %s", strings.Join(told, ", "))
		if checkTimes && worst > 900*time.Millisecond {
			t.Errorf("the slowest took %v", worst)
		}
	})
}

// scrapeWithin scrapes as Prometheus does that waits so many seconds.
func (r *instance) scrapeWithin(seconds string) (text string, took time.Duration) {
	r.t.Helper()
	request, err := http.NewRequest(http.MethodGet, r.URL+"/metrics", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set(webserver.TimeoutHeader, seconds)
	start := time.Now()
	response, text := r.do(request)
	if response.StatusCode != http.StatusOK {
		r.t.Fatalf("got %s", response.Status)
	}
	return text, time.Since(start)
}
