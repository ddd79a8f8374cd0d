package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Paths and names that users depend on.
const (
	program     = "process_exporter"
	healthyPath = "/-/healthy"
	readyPath   = "/-/ready"
	reloadPath  = "/-/reload"
	pprofPath   = "/debug/pprof/"
)

// binary is the exporter as users run it, built once with the race detector.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndTest(m)) }

func buildAndTest(m *testing.M) int {
	// Paths in the tests are relative to the root of the module.
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
	// A race makes the exit status of the exporter 66. Without the second word
	// each of the many that the tests start would linger for a second.
	if err := os.Setenv("GORACE", "halt_on_error=1 atexit_sleep_ms=0"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// patience is how long a test waits for something that takes milliseconds
// unless the machine is very busy.
const testTimeout = 30 * time.Second

// eventually polls until ok, and fails the test if that never comes; instead may
// tell what came.
func eventually(t *testing.T, what string, ok func() bool, got ...func() string) {
	t.Helper()
	for deadline := time.Now().Add(testTimeout); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			for _, tell := range got {
				what += ": got " + tell()
			}
			t.Fatalf("waited %v in vain for %s", testTimeout, what)
		}
	}
}

// A running is an exporter that serves.
type instance struct {
	URL     string // of the first listener, without a slash at the end
	PID     int
	Client  *http.Client
	t       *testing.T
	command *exec.Cmd
	stderr  io.Closer
	exited  chan struct{}

	mu  sync.Mutex // guards log
	log []string
}

// startExporter starts the exporter on a free port and waits until it is
// ready. It is stopped at the end of the test, if the test does not stop it.
func startExporter(t *testing.T, args ...string) *instance {
	t.Helper()
	r := startListening(t, withListener(args)...)
	eventually(t, "readiness of "+strings.Join(args, " "), func() bool {
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

// withListener adds a listener of its own to args that name none.
func withListener(args []string) []string {
	for _, arg := range args {
		if strings.Contains(arg, "web.listen-address") || strings.Contains(arg, "web.systemd-socket") {
			return args
		}
	}
	return append(slices.Clone(args), "--web.listen-address=127.0.0.1:0")
}

// launch starts the exporter and waits until it listens.
func startListening(t *testing.T, args ...string) *instance {
	t.Helper()
	r := startCommand(t, exec.Command(binary, args...))
	eventually(t, "a listener of "+strings.Join(args, " "), func() bool {
		r.checkRunning()
		return len(r.addresses()) > 0
	})
	r.URL = "http://" + r.addresses()[0]
	return r
}

// startCommand starts a command that becomes an exporter, and collects its log.
func startCommand(t *testing.T, command *exec.Cmd) *instance {
	t.Helper()
	r := &instance{
		t: t, command: command, exited: make(chan struct{}),
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
		_ = command.Wait() // the state says how it went
		close(r.exited)
	}()
	t.Cleanup(func() {
		_ = command.Process.Kill() // it may be gone already
		<-r.exited
		if len(linesWith(r.Log(), "DATA RACE")) > 0 {
			t.Error("the race detector has found something")
		}
		if t.Failed() {
			t.Logf("log of the exporter:\n%s", strings.Join(r.Log(), "\n"))
		}
	})
	return r
}

var listening = regexp.MustCompile(`msg="Listening on" address=(\S+)`)

// closeLog breaks the pipe that the exporter logs to.
func (r *instance) closeLog() {
	r.t.Helper()
	if err := r.stderr.Close(); err != nil {
		r.t.Fatal(err)
	}
}

// addresses returns what the exporter says it listens on.
func (r *instance) addresses() []string {
	var out []string
	for _, line := range r.Log() {
		if m := listening.FindStringSubmatch(line); m != nil {
			out = append(out, m[1])
		}
	}
	return out
}

// Log returns the lines that the exporter has logged so far.
func (r *instance) Log() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.log)
}

// waitForLog waits for a line that contains all of texts and returns it.
func (r *instance) waitForLog(texts ...string) string {
	r.t.Helper()
	found := ""
	eventually(r.t, "the log line "+strings.Join(texts, " "), func() bool {
		for _, line := range r.Log() {
			if !slices.ContainsFunc(texts, func(s string) bool { return !strings.Contains(line, s) }) {
				found = line
			}
		}
		return found != ""
	})
	return found
}

// mustRun fails the test if the exporter has exited.
func (r *instance) checkRunning() {
	r.t.Helper()
	select {
	case <-r.exited:
		r.t.Fatalf("the exporter has exited: %v", r.command.ProcessState)
	default:
	}
}

// Get requests a path and returns the answer and its body.
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

// Stop asks the exporter to stop, waits, and returns its exit status.
func (r *instance) Stop() int {
	r.t.Helper()
	r.Signal(syscall.SIGTERM)
	return r.Wait()
}

// Wait waits until the exporter exits by itself and returns its exit status.
func (r *instance) Wait() int {
	r.t.Helper()
	select {
	case <-r.exited:
	case <-time.After(testTimeout):
		r.t.Fatalf("the exporter still runs after %v", testTimeout)
	}
	return r.command.ProcessState.ExitCode()
}

// grep returns the lines that contain a text.
func linesWith(lines []string, text string) (found []string) {
	for _, line := range lines {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// finish runs the binary to its end and returns what it printed.
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

// writeFile writes a file of this test and returns its path.
func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// groupOfAll is a configuration that puts each process with a command line into
// the group of this name.
func oneGroup(name string) string {
	return "process_names:\n  - name: " + name + "\n    cmdline: ['.+']\n"
}

func requireLinux(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("processes can only be read on Linux")
	}
}
