package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"

	"github.com/seed57308aee/process_exporter/internal/webui"
)

// A screen is a terminal in tmux that a test types into and reads.
type screen struct {
	t      *testing.T
	tmux   string
	socket string
}

func newScreen(t *testing.T) *screen {
	t.Helper()
	s := &screen{t: t, tmux: testenv.RequireProgram(t, "tmux"), socket: filepath.Join(t.TempDir(), "tmux")}
	s.do("new-session", "-d", "-x", "100", "-y", "20", "env", "PS1=prompt> ", "ENV=", "TERM=screen", "sh")
	t.Cleanup(func() { _ = exec.Command(s.tmux, "-S", s.socket, "kill-server").Run() }) // it may have exited
	s.wait("the prompt", "prompt>")
	return s
}

func (s *screen) do(args ...string) string {
	s.t.Helper()
	out, err := exec.Command(s.tmux, append([]string{"-S", s.socket}, args...)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("tmux %q: %v: %s", args, err, out)
	}
	return string(out)
}

func (s *screen) text() string { return s.do("capture-pane", "-p") }

func (s *screen) keys(keys ...string) { s.do(append([]string{"send-keys"}, keys...)...) }

// wait waits until the screen shows all texts, and none that starts with "!".
func (s *screen) wait(what string, texts ...string) string {
	s.t.Helper()
	var seen string
	testenv.WaitFor(s.t, what, func() bool {
		seen = s.text()
		for _, text := range texts {
			if bad, not := strings.CutPrefix(text, "!"); strings.Contains(seen, bad) == not {
				return false
			}
		}
		return true
	}, func() string { return "the screen shows:\n" + seen })
	return seen
}

// child returns the PID of the program that the shell runs, or "".
func (s *screen) child() string {
	s.t.Helper()
	shell := strings.TrimSpace(s.do("display-message", "-p", "#{pane_pid}"))
	children, err := os.ReadFile("/proc/" + shell + "/task/" + shell + "/children")
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(string(children))
}

// waitForShell waits until the program has exited. Keys sent before would go to the program.
func (s *screen) waitForShell() {
	s.t.Helper()
	testenv.WaitFor(s.t, "the exit of the program", func() bool { return s.child() == "" }, s.text)
}

func topConfig(t *testing.T) string {
	return writeFile(t, "c.yml", "process_names:\n  - name: '{{.Comm}}'\n    comm: [topone, toptwo, topspin]\n")
}

// TestTop uses the terminal interface. Afterwards the terminal settings must be restored.
func TestTop(t *testing.T) {
	startIdleProcess(t, "topone")
	startIdleProcess(t, "topone")
	startIdleProcess(t, "toptwo")
	startBusy(t, "topspin")
	s := newScreen(t)
	s.keys("stty -a > "+s.socket+".before", "Enter")
	s.keys("echo before; "+binary+" top --interval 1s --source procfs --config.path "+topConfig(t), "Enter")
	s.wait("the table", "GROUP", "CPU% ↓", "topone", "toptwo", "topspin", "4 processes, 3 groups", "!prompt>")
	s.wait("rates", "topspin", "0B") // read per second
	first := func() string { return strings.Split(s.text(), "\n")[2] }
	testenv.WaitFor(t, "the busiest group first", func() bool { return strings.HasPrefix(first(), "topspin") }, s.text)
	s.keys("p")
	testenv.WaitFor(t, "most processes first", func() bool { return strings.HasPrefix(first(), "topone") }, s.text)
	s.keys("R")
	testenv.WaitFor(t, "fewest processes first", func() bool { return !strings.HasPrefix(first(), "topone") }, s.text)
	s.keys("/", "t", "w", "o", "Enter")
	s.wait("the filter", "filter: two", "toptwo", "(1 shown)", "!topone")
	s.keys("Enter")
	s.wait("details", "rule     1: {{.Comm}} (line 2)", "PID USER", "root", "/toptwo", "sleeping 1", "Press Esc to return")
	s.keys("Escape")
	s.wait("the table again", "filter: two")
	s.keys("Escape")
	s.wait("all groups", "topone", "topspin")
	s.keys("?")
	s.wait("help", "reverse the order")
	s.keys("x")
	s.do("resize-window", "-x", "45", "-y", "8")
	s.wait("a small table", "GROUP", "RSS", "!FDS", "!THREADS", "topone")
	s.do("resize-window", "-x", "160", "-y", "30")
	s.wait("a wide table", "CTXSW/S", "AGE", "CPU, ≤ ")
	s.keys("q")
	s.waitForShell()
	s.wait("what was there before", "before", "prompt>", "!GROUP")
	s.keys("stty -a > "+s.socket+".after", "Enter")
	testenv.WaitFor(t, "the terminal settings", func() bool {
		text, err := os.ReadFile(s.socket + ".after")
		return err == nil && bytes.HasSuffix(text, []byte("\n"))
	})
	before, after := sttySettings(t, s.socket+".before"), sttySettings(t, s.socket+".after")
	if before != after {
		t.Errorf("got terminal settings\n%[2]s\nwant\n%[1]s", before, after)
	}
	if s.do("display-message", "-p", "#{cursor_flag} #{alternate_on}") != "1 0\n" {
		t.Error("the cursor is hidden, or the alternate screen is active")
	}
}

// TestTopNetwork uses the columns of the network in narrow and wide terminals, with both sources.
func TestTopNetwork(t *testing.T) {
	requireBPF(t)
	address := freeAddress(t)
	startNamedWorker(t, t.TempDir(), "topserver", nil).do("listen %s", address)
	transfer(t, address)
	_, port, _ := net.SplitHostPort(address) // freeAddress has a port
	config := writeFile(t, "c.yml", "process_names:\n  - {name: topserver, comm: topserver, expect: {listen: ["+port+", udp/1]}}\n"+
		"  - {name: topother, comm: topother}\n")
	startIdleProcess(t, "topother")
	s := newScreen(t)
	for _, source := range []string{"bpf", "procfs"} {
		s.do("resize-window", "-x", "80", "-y", "20")
		s.keys("clear; "+binary+" top --interval 1s --collector.network --source "+source+" --config.path "+config, "Enter")
		seen := s.wait("the table", "GROUP", "CPU% ↓", "topserver", "topother", "1 expected port not listening", "!prompt>")
		if strings.Contains(seen, "SENT/S") != (source == "bpf") {
			t.Errorf("%s: got\n%s", source, seen)
		}
		s.keys("i")
		if source == "bpf" {
			s.wait("the column that sorts a narrow table", "RECV/S ↓")
		}
		s.keys("b")
		s.wait("connections", "CONNS ↓")
		testenv.WaitFor(t, "most connections first", func() bool {
			return strings.HasPrefix(strings.Split(s.text(), "\n")[2], "topserver")
		}, s.text)
		s.do("resize-window", "-x", "160", "-y", "20")
		s.wait("a wide table", "CONNS ↓", "CTXSW/S")
		s.keys("Enter")
		s.wait("the sockets of a group", "tcp      1 established", "listens  tcp/"+port+" in 1 process", "listens  udp/1 in no process, expected")
		s.keys("Escape")
		s.wait("the table again", "CONNS ↓")
		s.keys("q")
		s.waitForShell()
	}
}

// sttySettings returns the output of stty without the terminal size.
func sttySettings(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n")
	if !found {
		t.Fatalf("got %q from stty", text)
	}
	return rest
}

// TestTopOnSIGTERM ends top with SIGTERM, which must restore the terminal too.
func TestTopOnSIGTERM(t *testing.T) {
	startIdleProcess(t, "topone")
	s := newScreen(t)
	s.keys(binary+" top --interval 1s --source procfs --config.path "+topConfig(t), "Enter")
	s.wait("the table", "topone", "GROUP")
	pid, err := strconv.Atoi(s.child())
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.waitForShell()
	s.wait("the prompt", "prompt>", "!GROUP")
	s.keys("echo $((6*7))", "Enter")
	s.wait("an echo", "42")
}

// TestTopOnce prints the groups of this machine, and those of an exporter.
func TestTopOnce(t *testing.T) {
	startIdleProcess(t, "topone")
	startIdleProcess(t, "topone")
	config := topConfig(t)
	r := startExporter(t, "--config.path", config)
	for _, args := range [][]string{
		{"top", "--once", "--interval=1s", "--source=procfs", "--config.path", config},
		{"top", "--once", "--interval=1s", "--url", r.URL},
	} {
		stdout, stderr, status := runToExit(t, args...)
		if status != 0 || !strings.Contains(stdout, "topone") || !strings.Contains(stdout, "2 processes, 1 group  ") {
			t.Errorf("%q: got %d, %s%s", args, status, stdout, stderr)
		}
		args[1] = "--json"
		stdout, stderr, status = runToExit(t, args...)
		var report webui.Report
		if err := json.Unmarshal([]byte(stdout), &report); status != 0 || err != nil {
			t.Fatalf("%q: got %d, %v, %s%s", args, status, err, stdout, stderr)
		}
		if g := report.Groups[0]; g.Name != "topone" || g.Procs != 2 || g.CPU == nil || report.Interval < 1 {
			t.Errorf("%q: got %+v", args, report)
		}
	}
}

// TestTopBatch prints tables, and lines of JSON, for scripts.
func TestTopBatch(t *testing.T) {
	startIdleProcess(t, "topone")
	args := []string{"top", "--batch", "--repeat=2", "--interval=1s", "--source=procfs", "--config.path", topConfig(t)}
	stdout, stderr, status := runToExit(t, args...)
	if status != 0 || strings.Count(stdout, "GROUP") != 2 || strings.Count(stdout, "\ntopone") != 2 || strings.Contains(stdout, "\x1b") {
		t.Errorf("got %d, %s%s, want two tables without control sequences", status, stdout, stderr)
	}
	stdout, stderr, status = runToExit(t, append(args, "--json")...)
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if status != 0 || len(lines) != 2 {
		t.Fatalf("got %d, %s%s, want two lines", status, stdout, stderr)
	}
	for _, line := range lines {
		var report webui.Report
		if err := json.Unmarshal([]byte(line), &report); err != nil || len(report.Groups) == 0 || report.Groups[0].CPU == nil {
			t.Errorf("got %v for %s", err, line)
		}
	}
}

func TestTopErrors(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--interval=1ms"}, "use a second or more"},
		{[]string{"nginx"}, "only flags are allowed"},
		{[]string{"--repeat=3"}, "--repeat needs --batch"},
		{[]string{"--url=localhost:9256"}, "use a URL such as http://localhost:9256"},
		{[]string{"--url=http://127.0.0.1:1"}, "no response from http://127.0.0.1:1/api/v1/groups"},
	} {
		stdout, stderr, status := runToExit(t, append([]string{"top", "--once"}, tt.args...)...)
		if status != 1 || stdout != "" || !strings.Contains(stderr, tt.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: got %d, %q, %q, want one line with %q", tt.args, status, stdout, stderr, tt.want)
		}
	}
	web := writeFile(t, "web.yml", fmt.Sprintf("basic_auth_users: {alice: '%s'}\n", passwordHash))
	r := startListening(t, withListener([]string{"--web.config.file", web})...)
	if _, stderr, status := runToExit(t, "top", "--once", "--url", r.URL); status != 1 || !strings.Contains(stderr, "requires a password") {
		t.Errorf("got %d, %q", status, stderr)
	}
	with := strings.Replace(r.URL, "http://", "http://alice:"+strings.ReplaceAll(password, " ", "%20")+"@", 1)
	if stdout, stderr, status := runToExit(t, "top", "--once", "--interval=1s", "--url", with); status != 0 {
		t.Errorf("got %d, %q, %q", status, stdout, stderr)
	}
}
