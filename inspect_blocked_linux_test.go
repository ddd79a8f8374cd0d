package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/platform"
)

// blockedFacets are those that need the memory map of a process.
var blockedFacets = []string{"cmdline", "environ", "map_paths", "memory_footprint", "memory_maps", "memory_maps_ext"}

// startBlocked starts a process whose memory map nobody can read for as long as
// the test runs.
func startBlocked(t *testing.T) int {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a file system")
	}
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skipf("no file systems in user space: %v", err)
	}
	dir := t.TempDir()
	odd := filepath.Join(dir, "odd")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", odd, "./testdata/odd")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	server := exec.Command(odd, "fuse=write,"+filepath.Join(dir, "file"))
	stdin, err1 := server.StdinPipe()
	stdout, err2 := server.StdoutPipe()
	if err := errors.Join(err1, err2, server.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // which sets the process free
		_ = stdin.Close()
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("got %q, error %v", line, err)
	}
	parent, err := platform.OpenProcess(server.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer parent.Close()
	children, err := parent.Children()
	if err != nil || len(children) != 1 {
		t.Fatalf("got children %v, error %v, want one", children, err)
	}
	defer platform.CloseAll(children)
	eventually(t, "the process waits", func() bool {
		status, err := children[0].Status()
		return err == nil && status == platform.StatusDiskSleep
	})
	return children[0].PID()
}

// inspectBlocked runs the program, which has to end on its own.
func inspectBlocked(t *testing.T, pid int, args ...string) (stdout string) {
	t.Helper()
	cmd := exec.Command(binary, append([]string{"inspect", "--timeout", "300ms", strconv.Itoa(pid)}, args...)...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	exit := new(exec.ExitError)
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("%q: got error %v, want status 1", args, err)
	}
	if text := errs.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, strconv.Itoa(pid)+" (cmdline, environ, ") {
		t.Errorf("%q: got %q on stderr, want one line with the process and what it does not answer", args, text)
	}
	return string(out)
}

// TestInspectBlocked has everything shown that can be read, and the rest marked.
func TestInspectBlocked(t *testing.T) {
	pid := startBlocked(t)
	text := inspectBlocked(t, pid)
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		blocked := slices.Contains(blockedFacets, fields[0])
		if marked := strings.Contains(line, "does not answer"); marked != blocked {
			t.Errorf("got line %q, want it marked %v", line, blocked)
		}
	}
	for _, want := range []string{"disk-sleep", "io_counters", "open_files", "cpu_times"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in the report\n%s", want, text)
		}
	}

	var document struct {
		Processes []struct{ Attrs map[string]any }
	}
	if err := json.Unmarshal([]byte(inspectBlocked(t, pid, "--json")), &document); err != nil {
		t.Fatal(err)
	}
	for name, value := range document.Processes[0].Attrs {
		failed, _ := value.(map[string]any)
		if blocked := slices.Contains(blockedFacets, name); blocked != (failed["error"] == "DoesNotAnswer") {
			t.Errorf("%s: got %v", name, value)
		}
	}
	wantEveryFacet(t, document.Processes[0].Attrs)
}

func wantEveryFacet(t *testing.T, attrs map[string]any) {
	t.Helper()
	for _, name := range facetNames() {
		if _, ok := attrs[name]; !ok {
			t.Errorf("%s is missing", name)
		}
	}
}

// TestAskAgain asks a process that does not answer as --watch does. The
// goroutines that wait are no more in the end than after the first time.
func TestAskAgain(t *testing.T) {
	pid := startBlocked(t)
	a := newAsker(100 * time.Millisecond)
	waiting := func() int {
		a.mu.Lock()
		defer a.mu.Unlock()
		return len(a.left)
	}
	for range 3 {
		answers, err := a.ask(pid, attrsOf(facets()))
		if err != nil {
			t.Fatal(err)
		}
		if err := answers["cmdline"].err; !errors.Is(err, platform.ErrBlocked) {
			t.Errorf("got error %v, want ErrBlocked", err)
		}
		if answers["status"].value != platform.StatusDiskSleep {
			t.Errorf("got %+v", answers["status"])
		}
		if got := waiting(); got != len(blockedFacets)-1 { // the paths of maps are in the answer with the maps
			t.Errorf("got %d questions without an answer, want %d", got, len(blockedFacets)-1)
		}
	}
}
