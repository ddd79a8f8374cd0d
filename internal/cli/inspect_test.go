package cli

import (
	"encoding/json"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/internal/cli/inspect"
	"github.com/seed57308aee/process_exporter/platform/process"
	"github.com/seed57308aee/process_exporter/test/testenv"
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

// patient is the timeout of commands that read every process: other tests have processes that block.
const patient = "--timeout=1m"

// inspectSelf runs inspect on this process.
func inspectSelf(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	requireLinux(t)
	return runArgs(t, append(append([]string{"inspect", patient}, args...), strconv.Itoa(os.Getpid()))...)
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
	if status != 1 || !strings.Contains(out, `"error": "NoSuchProcess"`) || strings.Count(errs, "\n") != 1 {
		t.Errorf("got status %d, %q, %q, want 1 with NoSuchProcess and one line", status, out, errs)
	}
}

// TestInspectAttributesOfProcess checks that inspect has all attributes of package
// process and no others.
func TestInspectAttributesOfProcess(t *testing.T) {
	var want []string
	for _, name := range process.Attrs() {
		want = append(want, string(name))
	}
	got := inspect.Attrs()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got attributes %q, want %q", got, want)
	}
}

// TestInspectPsutilNames checks names of members and units in the JSON document.
func TestInspectPsutilNames(t *testing.T) {
	status, out, errs := inspectSelf(t, "--json")
	var document struct {
		Processes []struct {
			Attrs struct {
				CreateTime float64            `json:"create_time"`
				CPUPercent *float64           `json:"cpu_percent"`
				CPUTimes   map[string]float64 `json:"cpu_times"`
				MemoryEx   map[string]uint64  `json:"memory_info_ex"`
				Threads    []map[string]float64
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &document); err != nil || status != 0 || len(document.Processes) != 1 {
		t.Fatalf("got status %d, %q, error %v, want a document of one process", status, errs, err)
	}
	attrs := document.Processes[0].Attrs
	if age := time.Since(time.UnixMilli(int64(attrs.CreateTime * 1e3))); age < -2*time.Second || age > time.Hour {
		t.Errorf("got create_time %v, want the start of the test in seconds", attrs.CreateTime)
	}
	if attrs.CPUPercent == nil {
		t.Error("got no cpu_percent, want one")
	}
	names := func(want string, got []string) {
		slices.Sort(got)
		if strings.Join(got, " ") != want {
			t.Errorf("got members %q, want %q", got, want)
		}
	}
	names("children_system children_user iowait system user", slices.Collect(maps.Keys(attrs.CPUTimes)))
	names("data hugetlb peak_rss peak_vms rss rss_anon rss_file rss_shmem shared swap text vms", slices.Collect(maps.Keys(attrs.MemoryEx)))
	names("id system_time user_time", slices.Collect(maps.Keys(attrs.Threads[0])))
}

// TestInspectCPUPercent measures this process while it is busy.
func TestInspectCPUPercent(t *testing.T) {
	var done atomic.Bool
	var busy sync.WaitGroup
	busy.Go(func() {
		for !done.Load() {
		}
	})
	defer busy.Wait()
	defer done.Store(true)
	testenv.Eventually(t, func() bool { // other programs may use the CPU during the interval
		_, out, _ := inspectSelf(t, "--attrs", "cpu_percent")
		fields := strings.Fields(out)
		return len(fields) == 3 && fields[1] != "0.00" && fields[2] == "%"
	})
}
