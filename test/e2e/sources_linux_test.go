package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// tolerances hold the allowed differences between the two sources.
var tolerances = map[string]float64{
	// procfs counts whole ticks of 10 ms for each process and thread, bpf nanoseconds.
	"cpu_seconds_total":        0.011 * 3,
	"thread_cpu_seconds_total": 0.011 * 3,
	// The kernel sums its per-CPU counters at different times.
	"memory_bytes": 64 * 4096 * 3,
	// procfs loses the switches of a thread between its last walk and its exit.
	"thread_context_switches_total": 10,
	// Whole seconds.
	"oldest_start_time_seconds": 1,
	// The two exporters read smaps at different times.
	"smaps_age_seconds": math.Inf(1),
}

// eachSource runs a test with every available process source.
func eachSource(t *testing.T, test func(t *testing.T, source string)) {
	t.Run("procfs", func(t *testing.T) { test(t, "--source=procfs") })
	t.Run("bpf", func(t *testing.T) {
		requireBPF(t)
		test(t, "--source=bpf")
	})
}

// TestSourcesAgree compares two exporters, one for each source, on the same processes, which compute,
// write, start threads and exit.
func TestSourcesAgree(t *testing.T) {
	requireBPF(t)
	rules := writeFile(t, "rules.yaml",
		"process_names:\n  - name: \"both-{{.Matches.name}}\"\n    cmdline: ['workload (?P<name>busy|threaded|writer|lived)$']\n")
	procfs := startExporter(t, "--source=procfs", "-config.path", rules)
	bpf := startExporter(t, "--source=bpf", "-config.path", rules)
	procfs.Scrape()
	bpf.Scrape()
	// Both exporters count these processes from their start.
	busy, threaded, writer := startWorker(t, "busy"), startWorker(t, "threaded"), startWorker(t, "writer")
	for range 5 {
		threaded.do("thread one 0")
	}
	for range 3 {
		busy.do("cpu 100")
		writer.do("write %d", 1<<20)
		writer.do("open 10")
		threaded.do("thread two 30")
		threaded.do("leave")
		threaded.do("thread three 10")
		procfs.Scrape()
		bpf.Scrape()
	}
	lived := startWorker(t, "lived")
	lived.do("cpu 50")
	lived.do("write %d", 1<<16)
	sourcesAgree(t, procfs, bpf)

	lived.end()
	testenv.WaitFor(t, "the exit event", func() bool {
		now, _ := parseMetrics(t, bpf.Scrape())
		return now[`namedprocess_namegroup_exits_total{code="0",groupname="both-lived",reason="exited"}`] == 1
	})
	now, _ := parseMetrics(t, bpf.Scrape())
	if got := now[`namedprocess_namegroup_starts_total{groupname="both-lived"}`]; got != 1 {
		t.Errorf("got %v starts of one process, want 1", got)
	}
	state := lived.command.ProcessState
	used := (state.UserTime() + state.SystemTime()).Seconds()
	if got := now.cpuSeconds("both-lived"); math.Abs(got-used) > 0.0001 {
		t.Errorf("got %v CPU seconds, want %v", got, used)
	}
}

var threadName = regexp.MustCompile(`,?threadname="[^"]*"`)

// withoutThreadNames returns the series with those of all threads of a group added up. The
// values of a renamed thread are divided between both names by the time of the walk.
func (s sampleSet) withoutThreadNames() sampleSet {
	out := make(sampleSet)
	for key, v := range s {
		out[threadName.ReplaceAllString(key, "")] += v
	}
	return out
}

func sourcesAgree(t *testing.T, procfs, bpf *instance) {
	t.Helper()
	var wrong []string
	testenv.WaitFor(t, "agreement of the sources", func() bool {
		a, _ := parseMetrics(t, procfs.Scrape())
		b, _ := parseMetrics(t, bpf.Scrape())
		wrong = nil
		procfsSeries, bpfSeries := a.seriesOfGroups("both-").withoutThreadNames(), b.seriesOfGroups("both-").withoutThreadNames()
		for key, want := range procfsSeries {
			name, _, _ := strings.Cut(key, "{")
			got, ok := bpfSeries[key]
			if name == "context_switches_total" && got > want {
				continue // procfs loses the switches of threads that exited since the last walk
			}
			if !ok || math.Abs(got-want) > tolerances[name] {
				wrong = append(wrong, fmt.Sprintf("%s: %v by the kernel (%v), %v by /proc", key, got, ok, want))
			}
		}
		for key := range bpfSeries {
			name, _, _ := strings.Cut(key, "{")
			if _, ok := procfsSeries[key]; !ok && !slices.Contains(familiesOfThisExporter, name) {
				wrong = append(wrong, "only by the kernel: "+key)
			}
		}
		for _, name := range []string{"starts_total", "cpu_wait_seconds_total", "oom_kills_total"} {
			key := name + `{groupname="both-busy"}`
			if _, ok := procfsSeries[key]; ok {
				wrong = append(wrong, "/proc cannot tell "+key)
			}
			if _, ok := bpfSeries[key]; !ok {
				wrong = append(wrong, "not by the kernel: "+key)
			}
		}
		if len(procfsSeries) < 50 {
			wrong = append(wrong, fmt.Sprintf("only %d series", len(procfsSeries)))
		}
		if len(wrong) > 0 {
			t.Logf("not yet: %q", wrong)
		}
		return len(wrong) == 0
	})
}

// TestBPFWithoutRoot runs the bpf source with four capabilities.
func TestBPFWithoutRoot(t *testing.T) {
	requireBPF(t)
	if os.Getuid() != 0 {
		t.Skip("requires root: changes the user")
	}
	target := startWorker(t, "of-root")
	target.do("write 4096")
	config := writeFile(t, "rules.yaml", "process_names:\n  - name: \"{{.Matches.name}}\"\n    cmdline: ['workload (?P<name>of-root)$']\n")
	makeReadable(t, config)
	with := startAs(t, unprivileged(unix.CAP_BPF, unix.CAP_PERFMON, unix.CAP_SYS_PTRACE, unix.CAP_DAC_READ_SEARCH), "-config.path", config)
	got, _ := parseMetrics(t, with.Scrape())
	for key, least := range map[string]float64{
		`namedprocess_exporter_source_info{source="bpf"}`:                                         1,
		`namedprocess_namegroup_num_procs{groupname="of-root"}`:                                   1,
		`namedprocess_namegroup_open_filedesc{groupname="of-root"}`:                               3,
		`namedprocess_namegroup_memory_bytes{groupname="of-root",memtype="resident"}`:             1,
		`namedprocess_namegroup_memory_bytes{groupname="of-root",memtype="proportionalResident"}`: 1,
	} {
		if got[key] < least {
			t.Errorf("%s: got %v, want at least %v", key, got[key], least)
		}
	}
	if strings.Contains(with.Scrape(), "namedprocess_namegroup_unreadable_procs{") {
		t.Error("got unreadable processes, want none")
	}

	without := startAs(t, unprivileged(), "-config.path", config)
	if got, _ := parseMetrics(t, without.Scrape()); got[`namedprocess_exporter_source_info{source="procfs"}`] != 1 {
		t.Error("got another source without capabilities, want procfs")
	}
	if line := without.waitForLog(`msg="reading processes"`); !strings.Contains(line, "CAP_BPF") ||
		strings.Count(strings.Join(without.Log(), "\n"), "CAP_BPF") != 1 {
		t.Errorf("got %q, want one line that names the capabilities", without.Log())
	}

	refused := exec.Command(executableCopy(t), "--source=bpf", "--web.listen-address=127.0.0.1:0")
	refused.SysProcAttr = unprivileged()
	out, err := refused.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "CAP_BPF") || strings.Count(string(out), "\n") != 1 {
		t.Errorf("got %q (%v), want one line that names the capabilities", out, err)
	}
}

// makeReadable lets every user read a file.
func makeReadable(t *testing.T, path string) {
	t.Helper()
	for dir := path; dir != "/tmp" && dir != "/"; dir = dir[:max(1, strings.LastIndexByte(dir, '/'))] {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBPFInPIDNamespace reads the processes of a PID namespace with the PIDs of that namespace.
func TestBPFInPIDNamespace(t *testing.T) {
	requireBPF(t)
	path := testenv.BuildGo(t, "workload")
	config := writeFile(t, "rules.yaml", "process_names:\n  - name: \"{{.PID}}-{{.Comm}}\"\n    cmdline: ['.']\n")
	script := fmt.Sprintf("sleep 1000 | %s inside & exec %s --source=bpf --web.listen-address=127.0.0.1:0 -config.path %s", path, binary,
		config)
	command := exec.Command("unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", script)
	r := startCommand(t, command)
	testenv.WaitFor(t, "a listener", func() bool {
		r.checkRunning()
		return len(r.addresses()) > 0
	})
	r.URL = "http://" + r.addresses()[0]
	testenv.WaitFor(t, "the processes of the namespace", func() bool {
		got, _ := parseMetrics(t, r.Scrape())
		groups := make(map[string]bool)
		for key, count := range got {
			_, name, ok := strings.Cut(key, `namedprocess_namegroup_num_procs{groupname="`)
			if !ok {
				continue
			}
			if number, _, _ := strings.Cut(name, "-"); number == "" || len(number) > 2 {
				t.Fatalf("got group %q, want only processes of the namespace", name)
			}
			// A process had another name before its execve(2) or prctl(2). That group stays without processes.
			if count > 0 {
				groups[strings.TrimSuffix(name, `"}`)] = true
			}
		}
		return groups["1-process_exporte"] && len(groups) == 3
	})
}

// TestBPFNeedsProcfsOfItsNamespace checks that the exporter uses procfs if /proc shows another PID
// namespace.
func TestBPFNeedsProcfsOfItsNamespace(t *testing.T) {
	requireBPF(t)
	// with /proc of the host
	command := exec.Command("unshare", "--pid", "--fork", "--kill-child", binary, "--web.listen-address=127.0.0.1:0")
	r := startCommand(t, command)
	r.waitForLog(`msg="reading processes"`, "source=procfs", "does not belong to the PID namespace")
}

// TestBPFObjectsAreReleased checks that SIGKILL leaves no BPF objects of the exporter in the kernel.
func TestBPFObjectsAreReleased(t *testing.T) {
	requireBPF(t)
	testenv.RequireProgram(t, "bpftool")
	testenv.RequireCapability(t, testenv.SysAdmin) // bpftool lists all objects
	r := startExporter(t, "--source=bpf")
	held := heldBPFObjects(t, r.PID)
	if loaded := loadedBPFObjects(t); len(held) == 0 || len(common(held, loaded)) != len(held) {
		t.Fatalf("got BPF objects %v, not all of them in %v", held, loaded)
	}
	r.Signal(syscall.SIGKILL)
	r.Wait()
	var left []string
	testenv.WaitFor(t, "the release of the BPF objects", func() bool {
		left = common(held, loadedBPFObjects(t))
		return len(left) == 0
	}, func() string { return fmt.Sprint(left) })
}

var bpfObjectID = regexp.MustCompile(`(?m)^(prog|map)_id:\t(\d+)$`)

// heldBPFObjects returns the programs and maps for which a process has file descriptors, such as
// "map 7".
func heldBPFObjects(t *testing.T, pid int) (held []string) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has been closed
		}
		for _, match := range bpfObjectID.FindAllStringSubmatch(string(text), -1) {
			held = append(held, match[1]+" "+match[2])
		}
	}
	slices.Sort(held)
	return slices.Compact(held)
}

// loadedBPFObjects returns all BPF programs and maps in the kernel.
func loadedBPFObjects(t *testing.T) (loaded []string) {
	t.Helper()
	for _, kind := range []string{"prog", "map"} {
		out, err := exec.Command("bpftool", "--json", kind, "show").Output()
		if err != nil {
			t.Fatal(err)
		}
		var list []struct{ ID int }
		if err := json.Unmarshal(out, &list); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for _, item := range list {
			loaded = append(loaded, fmt.Sprintf("%s %d", kind, item.ID))
		}
	}
	return loaded
}

// common returns the elements of a that b contains.
func common(a, b []string) (both []string) {
	for _, s := range a {
		if slices.Contains(b, s) {
			both = append(both, s)
		}
	}
	return both
}
