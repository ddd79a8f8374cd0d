package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// tolerances say how far the two sources may be apart, and why.
var tolerances = map[string]float64{
	// One counts ticks of 10 ms and drops what is less, for each process and
	// thread, the other nanoseconds.
	"cpu_seconds_total":        0.011 * 3,
	"thread_cpu_seconds_total": 0.011 * 3,
	// The counters of each CPU are added up now or in a moment.
	"memory_bytes": 64 * 4096 * 3,
	// One looks a little later at what works.
	"thread_context_switches_total": 10,
	// A thread that is renamed has faults under both names, by when it was seen.
	"thread_minor_page_faults_total": 10,
	// Whole seconds.
	"oldest_start_time_seconds": 1,
	// Each tells how long ago it looked itself.
	"smaps_age_seconds": math.Inf(1),
}

// TestSourcesAgree has two exporters, one for each source, look at the same
// processes, which compute, write, start and end threads and end.
func TestSourcesAgree(t *testing.T) {
	requireLinux(t)
	requireBPF(t)
	rules := writeFile(t, "rules.yaml", "process_names:\n  - name: \"both-{{.Matches.name}}\"\n    cmdline: ['workload (?P<name>\\S+)$']\n")
	busy, threaded, writer := startWorker(t, "busy"), startWorker(t, "threaded"), startWorker(t, "writer")
	for range 5 {
		threaded.do("thread one 0")
	}
	proc := startExporter(t, "--source=procfs", "-config.path", rules)
	kernel := startExporter(t, "--source=bpf", "-config.path", rules)
	for range 3 {
		busy.do("cpu 100")
		writer.do("write %d", 1<<20)
		writer.do("open 10")
		threaded.do("thread two 30")
		threaded.do("leave")
		threaded.do("thread three 10")
		proc.Scrape()
		kernel.Scrape()
	}
	lived := startWorker(t, "lived")
	lived.do("cpu 50")
	lived.do("write %d", 1<<16)
	sourcesAgree(t, proc, kernel)

	lived.end()
	eventually(t, "the end of a process", func() bool {
		now, _ := parseMetrics(t, kernel.Scrape())
		return now[`namedprocess_namegroup_exits_total{code="0",groupname="both-lived",reason="exited"}`] == 1
	})
	now, _ := parseMetrics(t, kernel.Scrape())
	if got := now[`namedprocess_namegroup_starts_total{groupname="both-lived"}`]; got != 1 {
		t.Errorf("got %v starts of a process that started once", got)
	}
	if used := lived.command.ProcessState; math.Abs(now.seriesOfGroups("both-lived").cpu("both-lived")-(used.UserTime()+used.SystemTime()).Seconds()) > 0.0001 {
		t.Errorf("got %v CPU seconds of a process that used %v", now.seriesOfGroups("both-lived").cpu("both-lived"), used.UserTime()+used.SystemTime())
	}
}

func sourcesAgree(t *testing.T, proc, kernel *instance) {
	t.Helper()
	var wrong []string
	eventually(t, "agreement of the sources", func() bool {
		a, _ := parseMetrics(t, proc.Scrape())
		b, _ := parseMetrics(t, kernel.Scrape())
		wrong = nil
		byProc, byKernel := a.seriesOfGroups("both-"), b.seriesOfGroups("both-")
		for key, want := range byProc {
			name, _, _ := strings.Cut(key, "{")
			got, ok := byKernel[key]
			if name == "context_switches_total" && got > want {
				continue // of threads that ended since the last look, which /proc forgets
			}
			if !ok || math.Abs(got-want) > tolerances[name] {
				wrong = append(wrong, fmt.Sprintf("%s: %v by the kernel (%v), %v by /proc", key, got, ok, want))
			}
		}
		for key := range byKernel {
			name, _, _ := strings.Cut(key, "{")
			if _, ok := byProc[key]; !ok && !slices.Contains(familiesOfThisExporter, name) {
				wrong = append(wrong, "only by the kernel: "+key)
			}
		}
		for _, name := range []string{"starts_total", "cpu_wait_seconds_total", "oom_kills_total"} {
			key := name + `{groupname="both-busy"}`
			if _, ok := byProc[key]; ok {
				wrong = append(wrong, "/proc cannot tell "+key)
			}
			if _, ok := byKernel[key]; !ok {
				wrong = append(wrong, "not by the kernel: "+key)
			}
		}
		if len(byProc) < 50 {
			wrong = append(wrong, fmt.Sprintf("only %d series", len(byProc)))
		}
		if len(wrong) > 0 {
			t.Logf("not yet: %q", wrong)
		}
		return len(wrong) == 0
	})
}

// TestBPFWithoutRoot takes four capabilities and no more.
func TestBPFWithoutRoot(t *testing.T) {
	requireLinux(t)
	requireBPF(t)
	if os.Getuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	theirs := startWorker(t, "of-root")
	theirs.do("write 4096")
	config := writeFile(t, "rules.yaml", "process_names:\n  - name: \"{{.Matches.name}}\"\n    cmdline: ['workload (?P<name>\\S+)$']\n")
	makeReadable(t, config)
	with := startAs(t, unprivileged(unix.CAP_BPF, unix.CAP_PERFMON, unix.CAP_SYS_PTRACE, unix.CAP_DAC_READ_SEARCH), "-config.path", config)
	got, _ := parseMetrics(t, with.Scrape())
	for key, least := range map[string]float64{
		`namedprocess_exporter_source{source="bpf"}`:                                              1,
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
		t.Error("something cannot be read")
	}

	without := startAs(t, unprivileged(), "-config.path", config)
	if got, _ := parseMetrics(t, without.Scrape()); got[`namedprocess_exporter_source{source="procfs"}`] != 1 {
		t.Error("without capabilities the source is not procfs")
	}
	if line := without.waitForLog(`msg="reading processes"`); !strings.Contains(line, "CAP_BPF") || strings.Count(strings.Join(without.Log(), "\n"), "CAP_BPF") != 1 {
		t.Errorf("got %q, want one line that names the capabilities", without.Log())
	}

	refused := exec.Command(executableCopy(t), "--source=bpf", "--web.listen-address=127.0.0.1:0")
	refused.SysProcAttr = unprivileged()
	out, err := refused.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "CAP_BPF") || strings.Count(string(out), "\n") != 1 {
		t.Errorf("got %q (%v), want one line that names the capabilities", out, err)
	}
}

// readable lets every user read a file.
func makeReadable(t *testing.T, path string) {
	t.Helper()
	for dir := path; dir != "/tmp" && dir != "/"; dir = dir[:max(1, strings.LastIndexByte(dir, '/'))] {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBPFInPIDNamespace sees the processes of its own PID namespace, by the numbers
// that they have there.
func TestBPFInPIDNamespace(t *testing.T) {
	requireLinux(t)
	requireBPF(t)
	path, err := buildWorkload()
	if err != nil {
		t.Fatal(err)
	}
	config := writeFile(t, "rules.yaml", "process_names:\n  - name: \"{{.PID}}-{{.Comm}}\"\n    cmdline: ['.']\n")
	script := fmt.Sprintf("sleep 1000 | %s inside & exec %s --source=bpf --web.listen-address=127.0.0.1:0 -config.path %s", path, binary, config)
	command := exec.Command("unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", script)
	r := startCommand(t, command)
	eventually(t, "a listener", func() bool {
		r.checkRunning()
		return len(r.addresses()) > 0
	})
	r.URL = "http://" + r.addresses()[0]
	eventually(t, "the processes inside", func() bool {
		got, _ := parseMetrics(t, r.Scrape())
		groups := make(map[string]bool)
		for key := range got {
			if _, name, ok := strings.Cut(key, `namedprocess_namegroup_num_procs{groupname="`); ok {
				groups[strings.TrimSuffix(name, `"}`)] = true
			}
		}
		for name := range groups {
			if number, _, _ := strings.Cut(name, "-"); number == "" || len(number) > 2 {
				t.Fatalf("%q is none of the few processes inside", name)
			}
		}
		return groups["1-process_exporte"] && len(groups) == 3
	})
}

// TestBPFNeedsProcfsOfItsNamespace reads the /proc that it is given, where that shows the
// processes of another PID namespace.
func TestBPFNeedsProcfsOfItsNamespace(t *testing.T) {
	requireLinux(t)
	requireBPF(t)
	command := exec.Command("unshare", "--pid", "--fork", "--kill-child", binary, "--web.listen-address=127.0.0.1:0") // with the outer /proc
	r := startCommand(t, command)
	r.waitForLog(`msg="reading processes"`, "source=procfs", "own PID namespace")
}

// TestBPFObjectsAreReleased of a process that had no time to tidy up.
func TestBPFObjectsAreReleased(t *testing.T) {
	requireLinux(t)
	requireBPF(t)
	requireProgram(t, "bpftool")
	before := loadedBPFObjects(t)
	r := startExporter(t, "--source=bpf")
	eventually(t, "programs of ours", func() bool { return loadedBPFObjects(t) > before })
	r.Signal(syscall.SIGKILL)
	r.Wait()
	eventually(t, "nothing of ours", func() bool { return loadedBPFObjects(t) <= before })
}

// loaded counts the programs and maps with our names that the kernel has.
func loadedBPFObjects(t *testing.T) (n int) {
	t.Helper()
	ours := []string{"iterate_tasks", "thread_exits", "process_freed", "exited_threads", "identity_buffer", "process_buffer"}
	for _, kind := range []string{"prog", "map"} {
		out, err := exec.Command("bpftool", "--json", kind, "show").Output()
		if err != nil {
			t.Fatal(err)
		}
		var list []struct{ Name string }
		if err := json.Unmarshal(out, &list); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for _, item := range list {
			if slices.ContainsFunc(ours, func(name string) bool { return item.Name != "" && strings.HasPrefix(name, item.Name) }) {
				n++
			}
		}
	}
	return n
}
