package cli

import (
	"encoding/json"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/internal/cli/inspect"
)

// runArgs runs the program in this process.
func runArgs(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	status = execute(t.Context(), args, &out, &errs)
	return status, out.String(), errs.String()
}

// requireLinux skips a test that reads processes on other systems.
func requireLinux(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("processes can only be read on Linux")
	}
}

// inspectSelf runs inspect on this process.
func inspectSelf(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	requireLinux(t)
	return runArgs(t, append(append([]string{"inspect"}, args...), strconv.Itoa(os.Getpid()))...)
}

func TestInspectJSON(t *testing.T) {
	status, out, errs := inspectSelf(t, "--json")
	if status != 0 || errs != "" {
		t.Fatalf("got status %d, %q, want 0 and no error", status, errs)
	}
	var document struct {
		Format    int
		Processes []struct {
			PID   int
			Attrs map[string]any
		}
	}
	if err := json.Unmarshal([]byte(out), &document); err != nil {
		t.Fatal(err)
	}
	if document.Format != inspect.Format || len(document.Processes) != 1 || document.Processes[0].PID != os.Getpid() {
		t.Fatalf("got %+v, want format %d and PID %d", document, inspect.Format, os.Getpid())
	}
	attrs := document.Processes[0].Attrs
	for _, name := range inspect.Attrs() {
		if _, ok := attrs[name]; !ok {
			t.Errorf("got no attribute %s, want one", name)
		}
	}
	if attrs["ppid"] != float64(os.Getppid()) {
		t.Errorf("got ppid %v, want %d", attrs["ppid"], os.Getppid())
	}
}

func TestInspectHidesEnvironment(t *testing.T) {
	value := os.Getenv("PATH")
	if value == "" {
		t.Skip("the environment has no PATH")
	}
	for _, args := range [][]string{{}, {"--json"}} {
		_, hidden, _ := inspectSelf(t, args...)
		if strings.Contains(hidden, value) || !strings.Contains(hidden, "PATH") {
			t.Errorf("%q: got %s, want the name PATH without its value", args, hidden)
		}
		_, shown, _ := inspectSelf(t, append(args, "--show-environ", "--attrs", "environ")...)
		if !strings.Contains(shown, value) {
			t.Errorf("%q: got %s, want the value of PATH", args, shown)
		}
	}
}

func TestInspectAttrs(t *testing.T) {
	status, out, errs := inspectSelf(t, "--attrs", "pid,ppid")
	if lines := strings.Split(strings.TrimSpace(out), "\n"); status != 0 || len(lines) != 2 || errs != "" {
		t.Errorf("got status %d, %q, %q, want two lines", status, out, errs)
	}
	if strings.Contains(out, "\x1b") {
		t.Errorf("got escape sequences in %q, want none without a terminal", out)
	}
}

func TestInspectByName(t *testing.T) {
	_, name, _ := inspectSelf(t, "--attrs", "name")
	fields := strings.Fields(name)
	status, out, errs := runArgs(t, "inspect", "--attrs", "pid", fields[len(fields)-1])
	if status != 0 {
		t.Fatalf("got status %d, %s, want 0", status, errs)
	}
	if !strings.Contains(out, strconv.Itoa(os.Getpid())) {
		t.Errorf("got %q, want PID %d", out, os.Getpid())
	}
}

func TestInspectInvalid(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
	}{
		{"no target", nil},
		{"unknown attribute", []string{"--attrs", "nonsense", "1"}},
		{"unknown flag", []string{"--nonsense", "1"}},
		{"negative interval", []string{"--watch", "-1s", "1"}},
		{"unknown name", []string{"no process is called this"}},
		{"unknown PID", []string{"1073741824"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if status, _, errs := runArgs(t, append([]string{"inspect"}, tt.args...)...); status != 1 || strings.Count(errs, "\n") != 1 {
				t.Errorf("got status %d, %q, want 1 and one line", status, errs)
			}
		})
	}
}

func TestInspectGoneAsJSON(t *testing.T) {
	requireLinux(t)
	status, out, errs := runArgs(t, "inspect", "--json", "1073741824")
	if status != 0 || !strings.Contains(out, `"error": "NoSuchProcess"`) {
		t.Errorf("got status %d, %q, %q, want NoSuchProcess", status, out, errs)
	}
}
