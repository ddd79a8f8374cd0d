package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// sleeps is the number of voluntary context switches of a thread of the worker.
const sleeps = 20_000

// switchesOf returns the voluntary context switches of a group.
func (r *instance) switchesOf(group string) float64 {
	r.t.Helper()
	series, _ := parseMetrics(r.t, r.Scrape())
	return series[fmt.Sprintf(`namedprocess_namegroup_context_switches_total{ctxswitchtype="voluntary",groupname=%q}`, group)]
}

// TestReloadThatEnablesThreads enables the metrics of threads by a reload. The usage of threads from
// before the start of the exporter does not count.
func TestReloadThatEnablesThreads(t *testing.T) {
	eachSource(t, func(t *testing.T, source string) {
		w := startWorker(t, "threaded")
		w.do("sleep sleeper %d", sleeps)
		w.do("thread user 300")
		const rules = "process_names:\n- {name: threaded, cmdline: workload threaded$, threads: %t}\n"
		path := writeFile(t, "rules.yaml", fmt.Sprintf(rules, false))
		r := startSource(t, strings.TrimPrefix(source, "--source="), "--config.path", path)
		for range 3 {
			r.Scrape()
		}
		if err := os.WriteFile(path, fmt.Appendf(nil, rules, true), 0o600); err != nil {
			t.Fatal(err)
		}
		r.Signal(syscall.SIGHUP)
		var body string
		testenv.WaitFor(t, "the threads", func() bool {
			body = r.Scrape()
			return strings.Contains(body, `namedprocess_namegroup_thread_count{groupname="threaded",threadname="sleeper"} 1`)
		})
		if got := r.switchesOf("threaded"); got > sleeps/2 {
			t.Errorf("got %v context switches, want fewer than %d", got, sleeps/2)
		}
		series, _ := parseMetrics(t, body)
		if got := series.sumOf("thread_cpu_seconds_total", "threaded"); got > 0.1 {
			t.Errorf("got %v CPU seconds of threads, want fewer than 0.1", got)
		}
	})
}

// TestUndumpableProcess scrapes a process that denies other processes of its user to trace it. The
// exporter then reads no addresses in its stat, as after execve(2), but its threads continue.
func TestUndumpableProcess(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("requires root: changes the user")
	}
	path := testenv.BuildGo(t, "workload")
	name := "undump" + uniqueToken()
	r := startAs(t, unprivileged(), "--source=procfs", "--procnames", name)
	r.Scrape()
	command := exec.Command(executableCopyOf(t, path, name), name)
	command.SysProcAttr = unprivileged()
	w := startWorkerOf(t, command)
	w.do("sleep sleeper %d", sleeps)
	testenv.WaitFor(t, "the context switches", func() bool { return r.switchesOf(name) >= sleeps },
		func() string { return fmt.Sprint(linesWith(strings.Split(r.Scrape(), "\n"), name)) })
	w.do("undumpable")
	unreadable := fmt.Sprintf(`namedprocess_namegroup_unreadable_procs{file="io",groupname=%q} 1`, name)
	testenv.WaitFor(t, "a process with unreadable io", func() bool { return strings.Contains(r.Scrape(), unreadable) })
	got, want := r.switchesOf(name), w.switches()
	if got > want || got < sleeps {
		t.Errorf("got %v context switches, want at most %v", got, want)
	}
}

// switches returns the voluntary context switches of all threads of a worker.
func (w *worker) switches() (sum float64) {
	w.t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", w.command.Process.Pid))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			w.t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var n float64
			if _, err := fmt.Sscanf(line, "voluntary_ctxt_switches: %g", &n); err == nil {
				sum += n
			}
		}
	}
	return sum
}
