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
)

// TestHugeMemory has processes whose resident memory seems to be 100 GiB each, for
// they map the same 256 MiB 400 times. Without -gather-smaps nothing reads how much
// of it is theirs, and with it only what is below --smaps.max-rss.
func TestHugeMemory(t *testing.T) {
	requireLinux(t)
	if os.Getuid() != 0 {
		t.Skip("only root can trace the exporter")
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
				t.Errorf("got %d files opened: %q", len(opened), opened[0])
			}
		})
		t.Run("above the limit", func(t *testing.T) {
			r := startSource(t, source, "--config.path", writeFile(t, "rules.yaml", rules))
			opened := r.smapsOpened(t, processes, maps)
			if len(opened) == 0 {
				t.Error("got no file opened, not even of small processes")
			}
			series, _ := parseMetrics(t, r.Scrape())
			skipped := 0
			for key, value := range series {
				var pid int
				if _, err := fmt.Sscanf(key, `namedprocess_namegroup_memory_bytes{groupname="manyprocs %d",memtype="resident"}`, &pid); err != nil || value < float64(maps)*(256<<20) {
					continue
				}
				skipped++
				for _, line := range opened {
					if of := smapsPath.FindStringSubmatch(line); of[1] == strconv.Itoa(pid) {
						t.Errorf("got %s of a process of %.1f GiB", line, value/(1<<30))
					}
				}
				if got := series[fmt.Sprintf(`namedprocess_namegroup_unreadable_procs{file="smaps",groupname="manyprocs %d"}`, pid)]; got != 1 {
					t.Errorf("got %v processes without smaps in its group, want 1", got)
				}
			}
			if skipped != processes {
				t.Errorf("got %d processes so large, want %d", skipped, processes)
			}
			t.Logf("%d smaps files of others were opened", len(opened))
		})
		t.Run("budget", func(t *testing.T) { testSmapsBudget(t, source, processes, maps) })
	})
}

// TestSmapsReadsDoNotDelayMmap has a process map pages while its proportional memory is
// read, during which the kernel lets nobody change the mapping that is looked at.
// That takes the kernel alone five milliseconds here, and longer if who reads has
// to wait for a CPU meanwhile: what reading does by itself is measured beside. At
// several large mappings the kernel looks one after the other and hardly lets go;
// that is what --smaps.max-rss is for.
func TestSmapsReadsDoNotDelayMmap(t *testing.T) {
	requireLinux(t)
	if !chaos {
		t.Skip("only with PROCESS_EXPORTER_CHAOS, for it measures time")
	}
	t.Run("256 MiB", func(t *testing.T) {
		if bare, watched := longestMmap(t, 1); watched > 2*bare+5*time.Millisecond {
			t.Error("that is far more than reading takes")
		}
	})
	t.Run("4 GiB", func(t *testing.T) { longestMmap(t, 16) })
}

// longestMapping returns how long it takes a process of so many mappings of 256 MiB,
// at most, to map a page while somebody reads its proportional memory all the time,
// and while the exporter does.
func longestMmap(t *testing.T, mappings int) (bare, watched time.Duration) {
	t.Helper()
	worst := writeFile(t, "worst", "")
	t.Setenv("WORST", worst)
	crowd := startManyProcs(t, "memory", 1, mappings)
	const span = 20 * time.Second
	longest := func(during func()) (took time.Duration, times int) {
		t.Helper()
		if err := os.Truncate(worst, 0); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(span); time.Now().Before(end); times++ {
			during()
		}
		text, err := os.ReadFile(worst)
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
	rollup := fmt.Sprintf("/proc/%d/smaps_rollup", children(t, crowd.Process.Pid)[0])
	bare, reads := longest(func() {
		if _, err := os.ReadFile(rollup); err != nil {
			t.Fatal(err)
		}
	})
	r := startSource(t, "procfs", "--config.path", writeFile(t, "rules.yaml", manyProcsRules))
	watched, scrapes := longest(func() { r.Scrape() })
	t.Logf("to map a page took %v at most, %v during %d bare reads and %v during %d scrapes", alone, bare, reads, watched, scrapes)
	return bare, watched
}

// smapsOpened starts a crowd and scrapes, and returns the system calls by which
// the exporter opened files of proportional memory meanwhile.
func (r *instance) smapsOpened(t *testing.T, processes, maps int) (opened []string) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "calls")
	command := exec.Command(requireProgram(t, "strace"), "-f", "-qq", "-y", "-o", log, "-e", "trace=openat,open,openat2", "-p", fmt.Sprint(r.PID))
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the tracer", func() bool { return statusKB(t, r.PID, "TracerPid") != 0 })
	startManyProcs(t, "memory", processes, maps)
	for range 5 {
		r.Scrape()
	}
	_ = command.Process.Signal(syscall.SIGTERM)
	_ = command.Wait()
	text, err := os.ReadFile(log)
	if err != nil || !strings.Contains(string(text), "open") {
		t.Fatalf("the tracer saw nothing: %v", err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if smapsPath.MatchString(line) {
			opened = append(opened, line)
		}
	}
	return opened
}

// smapsOf matches the call that opens an smaps file, by a path below /proc or below
// the directory of the process, and finds its PID.
var smapsPath = regexp.MustCompile(`([0-9]+)(?:/|>, ")smaps`)

// testBudget reads all of it, by turns: the processes change all the time.
func testSmapsBudget(t *testing.T, source string, processes, maps int) {
	const budget = 50 * time.Millisecond // of each scrape
	scrapes := 20
	if chaos {
		scrapes = 400
	}
	r := startSource(t, source, "--smaps.max-rss=0", "--config.path", writeFile(t, "rules.yaml", manyProcsRules))
	r.Scrape()
	startManyProcs(t, "memory", processes, maps)
	before := r.cpu()
	r.Scrape()
	first := r.cpu() - before
	text := r.Scrape()
	if series, _ := parseMetrics(t, text); series[`namedprocess_namegroup_memory_bytes{groupname="manyprocs",memtype="proportionalResident"}`] < 255<<20 {
		t.Errorf("got proportional memory of %q", linesWith(strings.Split(text, "\n"), "proportionalR"))
	}
	before = r.cpu()
	times := r.checkTimes(scrapes)
	each := (r.cpu() - before) / time.Duration(scrapes)
	t.Logf("%d processes of %d GiB: %v of CPU at first sight, then %v for each of %d scrapes; the slowest %v", processes, maps/4, first, each, scrapes, slices.Max(times))
	if checkTimes && each > budget {
		t.Error("that is more than the budget")
	}
}
