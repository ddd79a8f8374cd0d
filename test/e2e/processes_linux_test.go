package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/internal/webui"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

// processReport returns the processes of a group.
func (r *instance) processReport(query string) (out webui.ProcessReport) {
	r.t.Helper()
	response, text := r.Get(webui.ProcessesPath + query)
	if response.StatusCode != http.StatusOK {
		r.t.Fatalf("%s: got status %d: %s", query, response.StatusCode, text)
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		r.t.Fatal(err)
	}
	return out
}

// TestProcessList compares the processes of a group with real processes: usage, user, start, a
// command line with markup and a secret, and, with the source bpf, processes that have ended.
func TestProcessList(t *testing.T) {
	const secret = "hunter2-list"
	busy := exec.Command("/bin/sh", "-c", "while :; do :; done", "listed-process", "--password="+secret, "<img onerror=x>")
	idle := exec.Command("/bin/sh", "-c", "read x", "listed-process")
	other := exec.Command("/bin/sh", "-c", "read x", "in-no-group")
	read, write, err := os.Pipe() // they wait for a line
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	defer write.Close()
	idle.Stdin, other.Stdin = read, read
	var before, after time.Time // of the start of busy
	for _, command := range []*exec.Cmd{idle, other, busy} {
		before = time.Now()
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		after = time.Now()
		t.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
	}
	config := writeFile(t, "c.yml", "process_names:\n  - {name: listed, cmdline: [listed-process]}\n"+
		"  - {name: rest, cmdline: [.+], children: false, not: {cmdline: [in-no-group]}}\n")
	eachSource(t, func(t *testing.T, source string) {
		r := startExporter(t, source, "--config.path", config)
		var got webui.ProcessReport
		testenv.WaitFor(t, "rates", func() bool { // on a busy machine, the process can have no CPU in one interval
			got = r.processReport("?group=listed")
			return got.Interval > 0 && len(got.Processes) > 0 && got.Processes[0].CPU != nil && *got.Processes[0].CPU >= 0.05
		})
		if got.Total != 2 || len(got.Processes) != 2 || got.Processes[0].PID != busy.Process.Pid {
			t.Fatalf("got %+v, want the busy process first", got)
		}
		p := got.Processes[0]
		if p.User != "root" || p.Name != "sh" || p.ResidentBytes == nil || *p.ResidentBytes < 1e5 {
			t.Errorf("got %+v, want user, name and memory", p)
		}
		const slack = time.Second // the exporter can have no CPU while it reads the clocks
		if p.Start.Before(before.Add(-slack)) || p.Start.After(after.Add(slack)) {
			t.Errorf("got a start at %v, want one within %v of %v to %v", p.Start, slack, before, after)
		}
		if want := "/bin/sh -c while :; do :; done listed-process --password=*** <img onerror=x>"; p.Command != want {
			t.Errorf("got command %q, want %q", p.Command, want)
		}
		r.checkUngrouped(other.Process.Pid)
		testenv.WaitFor(t, "the idle process only", func() bool {
			last := r.processReport("?group=listed&sort=cpu_ratio&limit=1").Processes
			return len(last) == 1 && last[0].PID == idle.Process.Pid && last[0].CPU != nil
		})
		if source == "--source=bpf" {
			checkEnded(t, r)
		}
	})
}

// checkEnded runs a process that fails, and requires its exit status, and the time of the exit,
// which is at most a clock tick after it.
func checkEnded(t *testing.T, r *instance) {
	t.Helper()
	command := exec.Command("/bin/sh", "-c", "exit 3 # listed-process")
	if err := command.Run(); err == nil {
		t.Fatal("got no error of a process that fails")
	}
	const tick = 10 * time.Millisecond // the kernel reports the time of the walk and of the exit in clock ticks
	reaped := time.Now().Add(tick)
	testenv.WaitFor(t, "the ended process", func() bool {
		for _, e := range r.processReport("?group=listed").Ended {
			if e.PID == command.Process.Pid {
				return e.Reason == "exited" && e.Code == "3" && e.Failed && !e.Approximate &&
					!e.End.Before(e.Start.Time) && e.End.Before(reaped)
			}
		}
		return false
	})
}

// TestEndedWithoutViewer requires that --web.retention keeps the processes that end before the
// first request for processes. The source procfs reports none.
func TestEndedWithoutViewer(t *testing.T) {
	config := writeFile(t, "c.yml", "process_names:\n  - {name: seldom, cmdline: [seldom-process]}\n")
	eachSource(t, func(t *testing.T, source string) {
		for _, tt := range []struct {
			retention string
			want      int
		}{{"5m", 3}, {"0s", 0}} {
			r := startExporter(t, source, "--config.path", config, "--web.retention="+tt.retention)
			r.Scrape()
			for range 3 {
				command := exec.Command("/bin/sh", "-c", "exit 3 # seldom-process")
				if err := command.Run(); err == nil {
					t.Fatal("got no error of a process that fails")
				}
			}
			if source == "--source=procfs" {
				tt.want = 0
			} else {
				testenv.WaitFor(t, "the exits", func() bool {
					return strings.Contains(r.Scrape(), `namedprocess_namegroup_exits_total{code="3",groupname="seldom",reason="exited"} 3`)
				})
			}
			if got := r.processReport("?group=seldom").Ended; len(got) != tt.want {
				t.Errorf("--web.retention=%s: got %+v, want %d ended processes", tt.retention, got, tt.want)
			}
		}
	})
}

// checkUngrouped checks that a shell with the argument in-no-group is listed as a process in no
// group, and that a rule for shells is suggested.
func (r *instance) checkUngrouped(pid int) {
	r.t.Helper()
	unmatched := r.processReport("?unmatched=true&sort=-start_time_seconds&limit=100")
	found := slices.ContainsFunc(unmatched.Processes, func(p webui.Process) bool {
		return p.PID == pid && p.Group == "" && p.User == "root" && strings.HasSuffix(p.Command, "in-no-group")
	})
	if !found || !strings.Contains(unmatched.SuggestedRules, "sh") {
		r.t.Errorf("got %+v, want process %d and a rule for it", unmatched, pid)
	}
}

// TestProcessesAreHidden requires that only clients of loopback listeners get processes by default,
// and that the page says why there are none.
func TestProcessesAreHidden(t *testing.T) {
	config := writeFile(t, "c.yml", "process_names:\n  - {name: self, comm: [process_exporte]}\n")
	for _, tt := range []struct {
		flag, address string
		want          int
	}{
		{"", "127.0.0.1:0", 200},
		{"", "[::1]:0", 200},
		{"", "0.0.0.0:0", 403},
		{"", ":0", 403},
		{"--web.show-processes=auto", ":0", 403},
		{"--web.show-processes=on", ":0", 200},
		{"--web.show-processes=off", "127.0.0.1:0", 403},
	} {
		t.Run(fmt.Sprint(tt.address, tt.flag), func(t *testing.T) {
			t.Parallel()
			args := []string{"--source=procfs", "--config.path", config, "--web.listen-address=" + tt.address}
			if tt.flag != "" {
				args = append(args, tt.flag)
			}
			r := startListening(t, args...)
			port := r.URL[strings.LastIndexByte(r.URL, ':'):]
			r.URL = "http://127.0.0.1" + port
			if strings.HasPrefix(tt.address, "[::1]") {
				r.URL = "http://[::1]" + port
			}
			testenv.WaitFor(t, "the first walk", func() bool {
				response, text := r.Get(webui.ProcessesPath + "?group=self")
				if response.StatusCode != tt.want {
					t.Fatalf("got status %d, want %d", response.StatusCode, tt.want)
				}
				return strings.Contains(text, config) == (tt.want == 200)
			})
			if _, groups := r.Get(webui.GroupsPath + "?group=self"); strings.Contains(groups, config) {
				t.Errorf("got a command line in %s", groups)
			}
		})
	}
}
