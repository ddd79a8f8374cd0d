package e2e

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// Names and paths of the public interface.
const (
	program     = "process_exporter"
	healthyPath = "/-/healthy"
	readyPath   = "/-/ready"
	reloadPath  = "/-/reload"
	pprofPath   = "/debug/pprof/"
)

// binary is the path of the exporter, built once with the race detector.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndTest(m)) }

func buildAndTest(m *testing.M) int {
	// Paths in the tests are relative to the module root.
	if err := os.Chdir("../.."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	dir, err := os.MkdirTemp("", "process_exporter")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "process_exporter")
	build := exec.Command("go", "build", "-race", "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	// A data race makes the exporter exit with status 66. Without atexit_sleep_ms each exporter would
	// sleep for a second at its exit.
	if err := os.Setenv("GORACE", "halt_on_error=1 atexit_sleep_ms=0"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	flag.Parse()
	given := func(name string) bool { return flag.Lookup(name).Value.String() != "" }
	if !testing.Short() && !given("test.run") && !given("test.list") {
		defer prebuildPrometheus()()
	}
	return testenv.Main(m)
}

// testTimeout bounds the wait for something that takes milliseconds on an idle machine.
const testTimeout = 30 * time.Second

// An instance is a running exporter.
type instance struct {
	URL     string // of the first listener, without a trailing slash
	PID     int
	Client  *http.Client
	t       *testing.T
	command *exec.Cmd
	stderr  io.Closer
	started time.Time
	refused bool // the test causes system calls that the sandbox refuses
	exited  chan struct{}

	mu  sync.Mutex // guards log
	log []string
}

// startExporter starts the exporter on a free port and waits until it is ready. The test cleanup
// stops it.
func startExporter(t *testing.T, args ...string) *instance {
	t.Helper()
	r := startListening(t, withListener(args)...)
	testenv.WaitFor(t, "readiness of "+strings.Join(args, " "), func() bool {
		r.checkRunning()
		response, err := r.Client.Get(r.URL + readyPath)
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	return r
}

// withListener adds a listener on a free port unless args contain one.
func withListener(args []string) []string {
	for _, arg := range args {
		if strings.Contains(arg, "web.listen-address") || strings.Contains(arg, "web.systemd-socket") {
			return args
		}
	}
	return append(slices.Clone(args), "--web.listen-address=127.0.0.1:0")
}

// startListening starts the exporter and waits until it listens.
func startListening(t *testing.T, args ...string) *instance {
	t.Helper()
	r := startCommand(t, exec.Command(binary, args...))
	testenv.WaitFor(t, "a listener of "+strings.Join(args, " "), func() bool {
		r.checkRunning()
		return len(r.addresses()) > 0
	})
	r.URL = "http://" + r.addresses()[0]
	return r
}

// startCommand starts a command that executes the exporter, and collects its log.
func startCommand(t *testing.T, command *exec.Cmd) *instance {
	t.Helper()
	if filepath.Base(command.Path) == "unshare" {
		testenv.RequireNamespaces(t)
	}
	r := &instance{
		started: time.Now(),
		t:       t, command: command, exited: make(chan struct{}),
		Client: &http.Client{Timeout: testTimeout, Transport: &http.Transport{DisableKeepAlives: true}},
	}
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	r.stderr = stderr
	r.PID = command.Process.Pid
	go func() {
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			r.mu.Lock()
			r.log = append(r.log, lines.Text())
			r.mu.Unlock()
		}
		_ = command.Wait() // the ProcessState has the result
		close(r.exited)
	}()
	t.Cleanup(func() {
		_ = command.Process.Kill() // it may have exited
		<-r.exited
		if len(linesWith(r.Log(), "DATA RACE")) > 0 {
			t.Error("the race detector reported a data race")
		}
		if refused := refusedCalls(r.PID, r.started); len(refused) > 0 && !r.refused {
			t.Errorf("the exporter made system calls that its sandbox refuses: %q", refused)
		}
		if t.Failed() {
			t.Logf("log of the exporter:\n%s", strings.Join(r.Log(), "\n"))
		}
	})
	return r
}

var listening = regexp.MustCompile(`msg="Listening on" address=(\S+)`)

// closeLog closes the pipe that the exporter logs to.
func (r *instance) closeLog() {
	r.t.Helper()
	if err := r.stderr.Close(); err != nil {
		r.t.Fatal(err)
	}
}

// addresses returns the listen addresses in the log.
func (r *instance) addresses() []string {
	var out []string
	for _, line := range r.Log() {
		if m := listening.FindStringSubmatch(line); m != nil {
			out = append(out, m[1])
		}
	}
	return out
}

// Log returns the log lines so far.
func (r *instance) Log() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.log)
}

// waitForLog waits for a log line that contains all texts, and returns it.
func (r *instance) waitForLog(texts ...string) string {
	r.t.Helper()
	found := ""
	testenv.WaitFor(r.t, "the log line "+strings.Join(texts, " "), func() bool {
		for _, line := range r.Log() {
			if !slices.ContainsFunc(texts, func(s string) bool { return !strings.Contains(line, s) }) {
				found = line
			}
		}
		return found != ""
	})
	return found
}

// checkRunning fails the test if the exporter has exited.
func (r *instance) checkRunning() {
	r.t.Helper()
	select {
	case <-r.exited:
		r.t.Fatalf("the exporter has exited: %v", r.command.ProcessState)
	default:
	}
}

// Get returns the response to a GET request, and its body.
func (r *instance) Get(path string) (*http.Response, string) {
	r.t.Helper()
	request, err := http.NewRequest(http.MethodGet, r.URL+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.do(request)
}

func (r *instance) do(request *http.Request) (*http.Response, string) {
	r.t.Helper()
	response, err := r.Client.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return response, string(body)
}

// Scrape returns the metrics in the text format.
func (r *instance) Scrape() string {
	r.t.Helper()
	response, body := r.Get("/metrics")
	if response.StatusCode != http.StatusOK {
		r.t.Fatalf("scrape: %s: %s", response.Status, body)
	}
	return body
}

// Signal sends a signal to the exporter.
func (r *instance) Signal(sig syscall.Signal) {
	r.t.Helper()
	if err := r.command.Process.Signal(sig); err != nil {
		r.t.Fatal(err)
	}
}

// Stop sends SIGTERM, waits, and returns the exit status.
func (r *instance) Stop() int {
	r.t.Helper()
	r.Signal(syscall.SIGTERM)
	return r.Wait()
}

// Wait waits until the exporter exits, and returns its exit status.
func (r *instance) Wait() int {
	r.t.Helper()
	select {
	case <-r.exited:
	case <-time.After(testTimeout):
		r.t.Fatalf("the exporter did not exit within %v", testTimeout)
	}
	return r.command.ProcessState.ExitCode()
}

// linesWith returns the lines that contain text.
func linesWith(lines []string, text string) (found []string) {
	for _, line := range lines {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// runToExit runs the binary until it exits, and returns its output and exit status.
func runToExit(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, errs bytes.Buffer
	command := exec.CommandContext(t.Context(), binary, args...)
	command.Stdout, command.Stderr = &out, &errs
	if err := command.Run(); err != nil && command.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), command.ProcessState.ExitCode()
}

// writeFile writes a file to a temporary directory and returns its path.
func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// oneGroup returns a configuration that assigns every process with a command line to one group.
func oneGroup(name string) string {
	return "process_names:\n  - name: " + name + "\n    cmdline: ['.+']\n"
}

// waitForURL waits until the exporter listens, and returns its URL.
func (r *instance) waitForURL() string {
	r.t.Helper()
	testenv.WaitFor(r.t, "a listener", func() bool { r.checkRunning(); return len(r.addresses()) > 0 })
	return "http://" + r.addresses()[0]
}

// startReady starts a command that executes the exporter, and waits until it is ready.
func startReady(t *testing.T, command *exec.Cmd) *instance {
	t.Helper()
	r := startCommand(t, command)
	testenv.WaitFor(t, "readiness", func() bool {
		r.checkRunning()
		if len(r.addresses()) == 0 {
			return false
		}
		r.URL = "http://" + r.addresses()[0]
		response, err := r.Client.Get(r.URL + readyPath)
		if err != nil {
			return false
		}
		return response.Body.Close() == nil && response.StatusCode == 200
	})
	return r
}

// startSource starts the exporter without the race detector, with one source.
func startSource(t *testing.T, source string, args ...string) *instance {
	t.Helper()
	r := startCommand(t, exec.Command(plainBinary(t), append(args, "--source="+source, "--web.listen-address=127.0.0.1:0")...))
	r.URL = r.waitForURL()
	return r
}

// plainBinary returns the exporter without the race detector, unless PROCESS_EXPORTER_RACE is set.
func plainBinary(t *testing.T) string {
	t.Helper()
	if raceDetector {
		return binary
	}
	return testenv.BuildExporter(t)
}

// freeAddress returns a loopback address with a free port.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
