package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// TestHugeMemory starts processes whose resident memory appears to be 100 GiB each, because they map
// the same 256 MiB 400 times. With -gather-smaps=false the exporter reads no smaps file. By default it
// only reads those of processes below --smaps.max-rss.
func TestHugeMemory(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("requires root: traces the exporter")
	}
	processes, maps := 1, 36 // 9 GiB
	if chaos {
		processes, maps = 5, 400
	}
	const rules = "process_names:\n- {name: 'manyprocs {{.PID}}', comm: manyprocs}\n- {name: '{{.Comm}}', cmdline: .+}\n"
	eachSource(t, func(t *testing.T, source string) {
		source = strings.TrimPrefix(source, "--source=")
		t.Run("off", func(t *testing.T) {
			r := startSource(t, source, "-gather-smaps=false", "--config.path", writeFile(t, "rules.yaml", rules))
			if opened := r.smapsOpened(t, processes, maps); len(opened) > 0 {
				t.Errorf("got %d smaps files opened, want none: %q", len(opened), opened[0])
			}
		})
		t.Run("above the limit", func(t *testing.T) { checkSmapsLimit(t, source, rules, processes, maps) })
		t.Run("budget", func(t *testing.T) { testSmapsBudget(t, source, processes, maps) })
	})
}

// checkSmapsLimit checks that no smaps file of a process above --smaps.max-rss is opened.
func checkSmapsLimit(t *testing.T, source, rules string, processes, maps int) {
	r := startSource(t, source, "--config.path", writeFile(t, "rules.yaml", rules))
	opened := r.smapsOpened(t, processes, maps)
	if len(opened) == 0 {
		t.Error("got no smaps file opened, want those of small processes")
	}
	series, _ := parseMetrics(t, r.Scrape())
	skipped := 0
	for key, value := range series {
		var pid int
		if _, err := fmt.Sscanf(key, `namedprocess_namegroup_memory_bytes{groupname="manyprocs %d",memtype="resident"}`, &pid); err != nil ||
			value < float64(maps)*(256<<20) {
			continue
		}
		skipped++
		for _, line := range opened {
			if of := smapsPath.FindStringSubmatch(line); of[1] == strconv.Itoa(pid) {
				t.Errorf("got %s of a process of %.1f GiB, want none", line, value/(1<<30))
			}
		}
		if got := series[fmt.Sprintf(`namedprocess_namegroup_unreadable_procs{file="smaps",groupname="manyprocs %d"}`, pid)]; got != 1 {
			t.Errorf("got %v processes with unreadable smaps in its group, want 1", got)
		}
	}
	if skipped != processes {
		t.Errorf("got %d processes above the limit, want %d", skipped, processes)
	}
	t.Logf("%d smaps files of other processes were opened", len(opened))
}

// TestSmapsReadsDoNotDelayMmap measures mmap(2) in a process while its smaps_rollup is read. During
// the read the kernel holds the lock of the mapping that it inspects. The kernel alone takes five
// milliseconds here, and longer if the reader waits for a CPU, so the test compares with bare reads.
// With several large mappings the kernel rarely releases the lock; --smaps.max-rss limits that.
func TestSmapsReadsDoNotDelayMmap(t *testing.T) {
	if !chaos {
		t.Skip("set PROCESS_EXPORTER_CHAOS: measures time")
	}
	t.Run("256 MiB", func(t *testing.T) {
		if bare, scraped := longestMmap(t, 1); scraped > 2*bare+5*time.Millisecond {
			t.Error("got a delay far above that of bare reads")
		}
	})
	t.Run("4 GiB", func(t *testing.T) { longestMmap(t, 16) })
}

// longestMmap returns the longest time that mmap(2) of one page takes in a process with mappings of
// 256 MiB each: while its smaps_rollup is read all the time, and while the exporter is scraped all the
// time.
func longestMmap(t *testing.T, mappings int) (bare, scraped time.Duration) {
	t.Helper()
	longestFile := writeFile(t, "worst", "")
	t.Setenv("WORST", longestFile)
	procs := startManyProcs(t, "memory", 1, mappings)
	const span = 20 * time.Second
	longest := func(during func()) (took time.Duration, times int) {
		t.Helper()
		if err := os.Truncate(longestFile, 0); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(span); time.Now().Before(end); times++ {
			during()
		}
		text, err := os.ReadFile(longestFile)
		if err != nil {
			t.Fatal(err)
		}
		took, err = time.ParseDuration(strings.TrimSpace(string(text)) + "us")
		if err != nil {
			t.Fatal(err)
		}
		return took, times
	}
	alone, _ := longest(func() { <-time.After(span) })
	rollup := fmt.Sprintf("/proc/%d/smaps_rollup", children(t, procs.Process.Pid)[0])
	bare, reads := longest(func() {
		if _, err := os.ReadFile(rollup); err != nil {
			t.Fatal(err)
		}
	})
	r := startSource(t, "procfs", "--config.path", writeFile(t, "rules.yaml", manyProcsRules))
	scraped, scrapes := longest(func() { r.Scrape() })
	t.Logf("longest mmap %v, %v during %d bare reads, %v during %d scrapes", alone, bare, reads, scraped, scrapes)
	return bare, scraped
}

// smapsOpened starts processes, scrapes, and returns the system calls with which the exporter opened
// smaps files.
func (r *instance) smapsOpened(t *testing.T, processes, maps int) (opened []string) {
	t.Helper()
	r.Scrape() // after it, the first walk has ended
	// The source bpf may start a walk at any time. It must not be traced while the
	// processes still grow.
	startManyProcs(t, "memory", processes, maps)
	log := filepath.Join(t.TempDir(), "calls")
	command := exec.Command(testenv.RequireProgram(t, "strace"), "-f", "-qq", "-y", "-o", log, "-e", "trace=openat,open,openat2", "-p",
		fmt.Sprint(r.PID))
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	testenv.WaitFor(t, "strace to attach", func() bool { return statusKB(t, r.PID, "TracerPid") != 0 })
	for range 5 {
		r.Scrape()
	}
	_ = command.Process.Signal(syscall.SIGTERM)
	_ = command.Wait()
	text, err := os.ReadFile(log)
	if err != nil || !strings.Contains(string(text), "open") {
		t.Fatalf("got no system calls from strace: %v", err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if smapsPath.MatchString(line) {
			opened = append(opened, line)
		}
	}
	return opened
}

// smapsPath matches the system call that opens an smaps file, by a path below /proc or relative to the
// directory of the process. The submatch is the PID.
var smapsPath = regexp.MustCompile(`([0-9]+)(?:/|>, ")smaps`)

// testSmapsBudget measures the CPU time per scrape when all processes are read in turn and change all
// the time.
func testSmapsBudget(t *testing.T, source string, processes, maps int) {
	const budget = 50 * time.Millisecond // per scrape
	scrapes := 20
	if chaos {
		scrapes = 100 // each waits up to a second, see webserver.throttle
	}
	r := startSource(t, source, "--smaps.max-rss=0", "--config.path", writeFile(t, "rules.yaml", manyProcsRules))
	r.Scrape()
	startManyProcs(t, "memory", processes, maps)
	before := r.cpu()
	r.Scrape()
	first := r.cpu() - before
	// The budget can end a scrape before the processes that have grown.
	var text string
	testenv.WaitFor(t, "the proportional memory of the processes", func() bool {
		text = r.Scrape()
		series, _ := parseMetrics(t, text)
		return series[`namedprocess_namegroup_memory_bytes{groupname="manyprocs",memtype="proportionalResident"}`] >= 255<<20
	}, func() string { return strings.Join(linesWith(strings.Split(text, "\n"), "proportionalR"), "\n") })
	before = r.cpu()
	times := r.timeScrapes(scrapes)
	each := (r.cpu() - before) / time.Duration(scrapes)
	t.Logf("%d processes of %d GiB: %v of CPU time in the first scrape, then %v in each of %d scrapes; the slowest took %v", processes,
		maps/4, first, each, scrapes, slices.Max(times))
	if checkTimes && each > budget {
		t.Error("got more CPU time than the budget")
	}
}
