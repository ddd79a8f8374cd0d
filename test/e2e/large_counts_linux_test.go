package e2e

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// An extreme is much of one kind, in numbers for make chaos and otherwise.
type countCase struct {
	kind        string // of testdata/manyprocs
	full, small []int
	want        func(counts []int) map[string]float64 // of the group, by name and labels
}

// extremes are the machines of TestLargeCounts. The process that starts a crowd is
// one of its group.
var countCases = []countCase{
	{"zombies", []int{10_000}, []int{500}, func(n []int) map[string]float64 {
		return map[string]float64{"num_procs": float64(n[0] + 1), `states,state="Zombie"`: float64(n[0]), `states,state="Sleeping"`: 1}
	}},
	{"threads", []int{5, 10_000}, []int{2, 1_000}, func(n []int) map[string]float64 {
		threads := float64(n[0]*n[1] + 1)
		return map[string]float64{"num_procs": float64(n[0] + 1), "num_threads": threads, `states,state="Sleeping"`: threads}
	}},
	{"files", []int{50, maxFiles(20_000)}, []int{2, 1_000}, func(n []int) map[string]float64 {
		return map[string]float64{"num_procs": float64(n[0] + 1), "open_filedesc": float64(n[0]*n[1] + 5)} // a pipe, and three
	}},
	{"chain", []int{5_000}, []int{500}, func(n []int) map[string]float64 {
		return map[string]float64{"num_procs": float64(n[0] + 1), `states,state="Sleeping"`: float64(n[0] + 1)}
	}},
}

// most returns how many files a process may have open, a million at most, and so
// much as a default where that is not known.
func maxFiles(usual int) int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return usual
	}
	return int(min(limit.Max, 1_000_000))
}

// TestLargeCounts has crowds of zombies, of threads, of open files, and of children
// of children. All are counted, and none is an error.
func TestLargeCounts(t *testing.T) {
	requireLinux(t)
	for _, e := range countCases {
		t.Run(e.kind, func(t *testing.T) {
			eachSource(t, func(t *testing.T, source string) { e.try(t, strings.TrimPrefix(source, "--source=")) })
		})
	}
}

// TestThreadFileReadTime logs what the system calls alone take that tell of many threads,
// to hold beside what TestLargeCounts logs: when they are met, and once more.
func TestThreadFileReadTime(t *testing.T) {
	requireLinux(t)
	if !chaos {
		t.Skip("only with PROCESS_EXPORTER_CHAOS, for it measures time")
	}
	counts := []int{5, 10_000}
	allowPIDs(t, counts[0]*counts[1])
	pids := children(t, startManyProcs(t, "threads", counts...).Process.Pid)
	room := make([]byte, 1<<16)
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
					if _, err := syscall.Read(fd, room); err != nil {
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

func (e *countCase) try(t *testing.T, source string) {
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
	r := startSource(t, source, "--config.path", writeFile(t, "rules.yaml", "process_names:\n- {name: manyprocs, comm: manyprocs}\n"))
	r.Scrape()
	startManyProcs(t, e.kind, counts...)
	last := make(sampleSet)
	var times []time.Duration
	scrape := func() string {
		start := time.Now()
		defer func() { times = append(times, time.Since(start)) }()
		return r.Scrape()
	}
	before := last.follow(t, scrape())
	eventually(t, "all to sleep", func() bool { // a thread that has been started may still wait for its turn
		before = last.follow(t, scrape())
		return maps.Equal(e.of(before, counts), e.want(counts))
	}, func() string { return fmt.Sprint(e.of(before, counts)) })
	for range 5 {
		text := scrape()
		series := last.follow(t, text)
		if got, want := e.of(series, counts), e.want(counts); !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		e.wantNoErrors(t, text, before, series, counts)
		before = series
	}
	t.Logf("%s %v: %v", e.kind, counts, times)
	// The first reads all there is of them, which takes /proc longer for 50,000
	// threads: see TestThreadFileReadTime.
	if worst := slices.Max(times[1:]); checkTimes && worst > time.Second {
		t.Errorf("a scrape took %v", worst)
	}
}

// of returns what there is of all that the extreme wants.
func (e *countCase) of(series sampleSet, counts []int) map[string]float64 {
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

// wantNoErrors fails the test if something could not be read. The memory of a
// zombie counts as a partial error, as it always has, and as nothing else.
func (e *countCase) wantNoErrors(t *testing.T, text string, before, now sampleSet, counts []int) {
	t.Helper()
	for _, line := range linesWith(strings.Split(text, "\n"), "unreadable_procs{") {
		if strings.Contains(line, `"manyprocs"`) {
			t.Errorf("got %s", line)
		}
	}
	partial := 0.
	if e.kind == "zombies" {
		partial = float64(counts[0])
	}
	for name, maxFiles := range map[string]float64{"namedprocess_scrape_errors": 0, "namedprocess_scrape_procread_errors": 0, "namedprocess_scrape_partial_errors": partial} {
		if got := now.value(t, name) - before.value(t, name); got > maxFiles {
			t.Errorf("got %v more of %s, want %v", got, name, maxFiles)
		}
	}
	if now.value(t, "namedprocess_exporter_scrape_success") != 1 {
		t.Error("a scrape was no success")
	}
}
