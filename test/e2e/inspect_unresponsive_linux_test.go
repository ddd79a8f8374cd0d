package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/internal/cli/inspect"
	"github.com/seed57308aee/process_exporter/platform/process"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

// unresponsiveAttributes are the attributes that need the memory map of a process.
var unresponsiveAttributes = []string{"cmdline", "environ", "memory_footprint", "memory_full_info", "memory_maps", "memory_maps_ext"}

// startUnresponsiveChild starts a process whose memory map stays locked until the end of the test. It
// returns its PID.
func startUnresponsiveChild(t *testing.T) int {
	t.Helper()
	server := startFuse(t, "fuse=write")
	parent, err := process.Open(server.command.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer parent.Close()
	children, err := parent.Children()
	if err != nil || len(children) != 1 {
		t.Fatalf("got children %v, error %v, want one child", children, err)
	}
	defer process.CloseAll(children)
	testenv.WaitFor(t, "the process to block", func() bool {
		status, err := children[0].Status()
		return err == nil && status == process.StatusDiskSleep
	})
	return children[0].PID()
}

// inspectUnresponsive runs the inspect command, which must time out by itself. The
// timeout is long, so that reads that do not block also finish on a busy machine.
func inspectUnresponsive(t *testing.T, pid int, args ...string) (stdout string) {
	t.Helper()
	cmd := exec.Command(binary, append([]string{"inspect", "--timeout", "5s", strconv.Itoa(pid)}, args...)...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	exit := new(exec.ExitError)
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("%q: got error %v, want status 1", args, err)
	}
	if text := errs.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, strconv.Itoa(pid)+" (cmdline, environ, ") {
		t.Errorf("%q: got %q on stderr, want one line with the process and its unreadable attributes", args, text)
	}
	return string(out)
}

// TestInspectUnresponsive shows all attributes that can be read, and marks the others.
func TestInspectUnresponsive(t *testing.T) {
	pid := startUnresponsiveChild(t)
	text := inspectUnresponsive(t, pid)
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		blocked := slices.Contains(unresponsiveAttributes, fields[0])
		if marked := strings.Contains(line, "(unresponsive)"); marked != blocked {
			t.Errorf("got line %q, want it marked: %v", line, blocked)
		}
	}
	for _, want := range []string{"disk-sleep", "io_counters", "open_files", "cpu_times"} {
		if !strings.Contains(text, want) {
			t.Errorf("got no %s in the report\n%s", want, text)
		}
	}

	var document struct {
		Processes []struct{ Attrs map[string]any }
	}
	if err := json.Unmarshal([]byte(inspectUnresponsive(t, pid, "--json")), &document); err != nil {
		t.Fatal(err)
	}
	for name, value := range document.Processes[0].Attrs {
		failed, _ := value.(map[string]any)
		if blocked := slices.Contains(unresponsiveAttributes, name); blocked != (failed["error"] == "Unresponsive") {
			t.Errorf("%s: got %v", name, value)
		}
	}
	checkAllAttributes(t, document.Processes[0].Attrs)
}

func checkAllAttributes(t *testing.T, attrs map[string]any) {
	t.Helper()
	for _, name := range inspect.Attrs() {
		if _, ok := attrs[name]; !ok {
			t.Errorf("got no attribute %s", name)
		}
	}
}

// TestInspectWatchUnresponsive reports an unresponsive process repeatedly. The number of blocked
// threads must not grow with each report: the tolerance is less than one thread per report.
func TestInspectWatchUnresponsive(t *testing.T) {
	const maxReports, tolerance = 20, 10
	pid := startUnresponsiveChild(t)
	cmd := exec.Command(binary, "inspect", "--timeout", "100ms", "--watch", "10ms", "--attrs", "pid,cmdline,environ", strconv.Itoa(pid))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	threads, reports := 0, 0
	for lines := bufio.NewScanner(out); reports < maxReports && lines.Scan(); {
		if !strings.Contains(lines.Text(), "environ") {
			continue
		}
		reports++
		p, err := process.Open(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		now, err := p.NumThreads()
		p.Close()
		switch {
		case err != nil:
			t.Fatal(err)
		case reports == 2: // all threads of one report are blocked
			threads = now
		case threads > 0 && now > threads+tolerance:
			t.Errorf("report %d: got %d threads, want about %d as in the second report", reports, now, threads)
		}
	}
	if reports < maxReports {
		t.Errorf("got %d reports, want %d", reports, maxReports)
	}
}
