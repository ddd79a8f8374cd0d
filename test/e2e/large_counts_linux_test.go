package e2e

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// A countCase is a large number of one kind of object, with counts for make chaos (full) and for other
// runs (small).
type countCase struct {
	kind        string // argument of testdata/manyprocs
	full, small []int
	want        func(counts []int) map[string]float64 // values of the group, by metric and labels
}

// countCases are the cases of TestLargeCounts. The parent process belongs to the group.
var countCases = []countCase{
	{"zombies", []int{10_000}, []int{500}, func(n []int) map[string]float64 {
		return map[string]float64{"num_procs": float64(n[0] + 1), `states,state="Zombie"`: float64(n[0]), `states,state="Sleeping"`: 1}
	}},
	{"threads", []int{5, 10_000}, []int{2, 1_000}, func(n []int) map[string]float64 {
		threads := float64(n[0]*n[1] + 1)
		return map[string]float64{"num_procs": float64(n[0] + 1), "num_threads": threads, `states,state="Sleeping"`: threads}
	}},
	{"files", []int{50, maxFiles(20_000)}, []int{2, 1_000}, func(n []int) map[string]float64 {
		const parent = 4 // one end of a pipe, and three standard streams
		return map[string]float64{"num_procs": float64(n[0] + 1), "open_filedesc": float64(n[0]*n[1] + parent)}
	}},
	{"chain", []int{5_000}, []int{500}, func(n []int) map[string]float64 {
		return map[string]float64{"num_procs": float64(n[0] + 1), `states,state="Sleeping"`: float64(n[0] + 1)}
	}},
}

// maxFiles returns the limit of open files of a process, at most a million, or usual if it is unknown.
func maxFiles(usual int) int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return usual
	}
	return int(min(limit.Max, 1_000_000))
}

// TestLargeCounts starts many zombies, threads, open files and nested children. All are counted,
// without errors.
func TestLargeCounts(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("requires root: creates PID namespaces")
	}
	for _, e := range countCases {
		t.Run(e.kind, func(t *testing.T) {
			eachSource(t, func(t *testing.T, source string) { e.run(t, strings.TrimPrefix(source, "--source=")) })
		})
	}
}

// TestThreadFileReadTime logs the time of the bare system calls that read the files of many threads,
// twice, for comparison with TestLargeCounts.
func TestThreadFileReadTime(t *testing.T) {
	if !chaos {
		t.Skip("set PROCESS_EXPORTER_CHAOS: measures time")
	}
	counts := []int{5, 10_000}
	allowPIDs(t, counts[0]*counts[1])
	pids := children(t, startManyProcs(t, "threads", counts...).Process.Pid)
	buffer := make([]byte, 1<<16)
	for range 2 {
		start, threads := time.Now(), 0
		for _, pid := range pids {
			dir, err := os.Open(fmt.Sprintf("/proc/%d/task", pid))
			if err != nil {
				t.Fatal(err)
			}
			names, err := dir.Readdirnames(-1)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				for _, file := range []string{"/stat", "/status", "/wchan"} {
					fd, err := syscall.Openat(int(dir.Fd()), name+file, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := syscall.Read(fd, buffer); err != nil {
						t.Fatal(err)
					}
					_ = syscall.Close(fd)
				}
			}
			threads += len(names)
			_ = dir.Close()
		}
		t.Logf("stat, status and wchan of %d threads: %v", threads, time.Since(start))
	}
}

func (e *countCase) run(t *testing.T, source string) {
	counts := e.small
	if chaos {
		counts = e.full
	}
	total := 1
	for _, n := range counts {
		total *= n
	}
	if e.kind != "files" {
		allowPIDs(t, total)
	}
	// The own PID namespace keeps errors of other processes out of the counters.
	path := plainBinary(t)
	r := startInNamespace(t, fmt.Sprintf("exec %s --source=%s --web.listen-address=127.0.0.1:0 --config.path %s", path, source,
		writeFile(t, "rules.yaml", "process_names:\n- {name: manyprocs, comm: manyprocs}\n")))
	r.Scrape()
	startManyProcsIn(t, []string{"nsenter", "--pid", "--target", strconv.Itoa(r.PID)}, e.kind, counts...)
	last := make(sampleSet)
	var times []time.Duration
	scrape := func() string {
		if chaos && len(times) > 0 { // the exporter delays scrapes that use much CPU time in a row
			<-time.After(time.Second)
		}
		start := time.Now()
		defer func() { times = append(times, time.Since(start)) }()
		return r.Scrape()
	}
	before := last.update(t, scrape())
	testenv.WaitFor(t, "all threads to sleep", func() bool { // a new thread may still wait for a CPU
		before = last.update(t, scrape())
		return maps.Equal(e.values(before, counts), e.want(counts))
	}, func() string { return fmt.Sprint(e.values(before, counts)) })
	for range 5 {
		text := scrape()
		series := last.update(t, text)
		if got, want := e.values(series, counts), e.want(counts); !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		e.wantNoErrors(t, text, before, series, counts)
		before = series
	}
	t.Logf("%s %v: %v", e.kind, counts, times)
	// The first scrape reads all files, which takes long for 50,000 threads: see
	// TestThreadFileReadTime.
	if worst := slices.Max(times[1:]); checkTimes && worst > time.Second {
		t.Errorf("got a scrape of %v, want at most a second", worst)
	}
}

// values returns the current values of the expected series.
func (e *countCase) values(series sampleSet, counts []int) map[string]float64 {
	got := make(map[string]float64)
	for what := range e.want(counts) {
		name, labels, found := strings.Cut(what, ",")
		if found {
			labels = "," + labels
		}
		got[what] = series["namedprocess_namegroup_"+name+`{groupname="manyprocs"`+labels+"}"]
	}
	return got
}

// wantNoErrors fails the test if a file of the group was unreadable. The unreadable memory of a zombie
// counts as a partial error, as in the predecessor.
func (e *countCase) wantNoErrors(t *testing.T, text string, before, now sampleSet, counts []int) {
	t.Helper()
	for _, line := range linesWith(strings.Split(text, "\n"), "unreadable_procs{") {
		if strings.Contains(line, `"manyprocs"`) {
			t.Errorf("got %s, want 0", line)
		}
	}
	partial := 0.
	if e.kind == "zombies" {
		partial = float64(counts[0])
	}
	unresponsive := now.value(t, "namedprocess_exporter_unresponsive_processes") // processes of other tests
	for name, maxFiles := range map[string]float64{"namedprocess_scrape_errors": 0, "namedprocess_scrape_procread_errors": unresponsive,
		"namedprocess_scrape_partial_errors": partial} {
		if got := now.value(t, name) - before.value(t, name); got > maxFiles {
			t.Errorf("got %v more of %s, want at most %v", got, name, maxFiles)
		}
	}
	if now.value(t, "namedprocess_exporter_scrape_success") != 1 {
		t.Error("got a failed scrape")
	}
}
