package main

import (
	"encoding/json"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/internal/cli/inspect"
)

// inspectSelf runs the subcommand on this process.
func inspectSelf(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("no processes on " + runtime.GOOS)
	}
	var out, errs strings.Builder
	code = runInspect(append(args, strconv.Itoa(os.Getpid())), &out, &errs)
	return code, out.String(), errs.String()
}

func TestInspectJSON(t *testing.T) {
	code, out, errs := inspectSelf(t, "--json")
	if code != 0 || errs != "" {
		t.Fatalf("got status %d, %q", code, errs)
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
		t.Fatalf("got %+v", document)
	}
	attrs := document.Processes[0].Attrs
	for _, name := range inspect.Attrs() {
		if _, ok := attrs[name]; !ok {
			t.Errorf("%s is missing", name)
		}
	}
	if attrs["ppid"] != float64(os.Getppid()) {
		t.Errorf("got parent %v, want %d", attrs["ppid"], os.Getppid())
	}
}

func TestInspectHidesEnvironment(t *testing.T) {
	value := os.Getenv("PATH")
	if value == "" {
		t.Skip("no variable to look for")
	}
	for _, args := range [][]string{{}, {"--json"}} {
		_, hidden, _ := inspectSelf(t, args...)
		if strings.Contains(hidden, value) || !strings.Contains(hidden, "PATH") {
			t.Errorf("%q: the report shows the value of PATH, or not its name", args)
		}
		_, shown, _ := inspectSelf(t, append(args, "--show-environ", "--attrs", "environ")...)
		if !strings.Contains(shown, value) {
			t.Errorf("%q: got no value of PATH in %s", args, shown)
		}
	}
}

func TestInspectAttrs(t *testing.T) {
	code, out, errs := inspectSelf(t, "--attrs", "pid,ppid")
	if lines := strings.Split(strings.TrimSpace(out), "\n"); code != 0 || len(lines) != 2 || errs != "" {
		t.Errorf("got status %d, %q, %q, want two lines", code, out, errs)
	}
	if strings.Contains(out, "\x1b") {
		t.Errorf("got colours in %q, which is no terminal", out)
	}
}

func TestInspectByName(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no processes on " + runtime.GOOS)
	}
	_, name, _ := inspectSelf(t, "--attrs", "name")
	fields := strings.Fields(name)
	var out, errs strings.Builder
	if code := runInspect([]string{"--attrs", "pid", fields[len(fields)-1]}, &out, &errs); code != 0 {
		t.Fatalf("got status %d, %s", code, errs.String())
	}
	if !strings.Contains(out.String(), strconv.Itoa(os.Getpid())) {
		t.Errorf("got %q without this process", out.String())
	}
}

func TestInspectRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
	}{
		{"nothing", nil}, {"unknown attribute", []string{"--attrs", "nonsense", "1"}}, {"unknown flag", []string{"--nonsense", "1"}},
		{"backwards", []string{"--watch", "-1s", "1"}}, {"no such name", []string{"no process is called this"}},
		{"no such number", []string{"1073741824"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out, errs strings.Builder
			if code := runInspect(tt.args, &out, &errs); code != 1 || strings.Count(errs.String(), "\n") != 1 {
				t.Errorf("got status %d, %q, want 1 and one line", code, errs.String())
			}
		})
	}
}

func TestInspectGoneAsJSON(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no processes on " + runtime.GOOS)
	}
	var out, errs strings.Builder
	if code := runInspect([]string{"--json", "1073741824"}, &out, &errs); code != 0 || !strings.Contains(out.String(), `"error": "NoSuchProcess"`) {
		t.Errorf("got status %d, %q, %q", code, out.String(), errs.String())
	}
}
