package e2e

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// maxMemoryKB is the memory that names of local users may cost.
const maxMemoryKB = 256 << 10

// TestLongNames starts processes with many thread names in groups with long names. The length of all
// names is limited, and the sums include the threads above the limit.
func TestLongNames(t *testing.T) {
	requireLinux(t)
	lengths := []int{1000}
	if chaos {
		lengths = append(lengths, 45) // the limits of the length and of the number of names
	}
	for _, length := range lengths {
		t.Run(strconv.Itoa(length), func(t *testing.T) {
			eachSource(t, func(t *testing.T, source string) { checkLongNames(t, source, length) })
		})
	}
}

// checkLongNames runs TestLongNames with one source, and group names of this length and a few bytes.
func checkLongNames(t *testing.T, source string, length int) {
	procs, threads := 2, 800
	if chaos {
		procs, threads = 20, 1_000
	}
	allowPIDs(t, 2*procs*threads) // the kernel is slow to free the PIDs of an earlier test
	r := startSource(t, strings.TrimPrefix(source, "--source="), "--children=false", "--config.path", writeFile(t, "rules.yaml",
		fmt.Sprintf("process_names: [{name: '{{printf \"%%0%dd\" 0}}{{.Comm}}', cmdline: 'manyprocs named'}]\n", length)))
	startManyProcs(t, "named", procs, threads)
	var last string
	var together sync.WaitGroup
	for range 3 {
		for _, accept := range []string{"text/plain", "application/openmetrics-text;version=1.0.0"} {
			together.Go(func() {
				request, err := http.NewRequest(http.MethodGet, r.URL+"/metrics", nil)
				if err != nil {
					t.Error(err)
					return
				}
				request.Header.Set("Accept", accept)
				r.do(request)
			})
		}
		together.Wait()
		last = r.Scrape()
	}
	series, _ := parseMetrics(t, last)
	names, bytes, sum := 0, 0, 0.
	for key, value := range series {
		if labels, ok := strings.CutPrefix(key, "namedprocess_namegroup_thread_count{"); ok {
			names, bytes, sum = names+1, bytes+len(labels)-len(`groupname="",threadname=""}`), sum+value
		}
	}
	memory := statusKB(t, r.PID, "VmHWM")
	t.Logf("%d names of %d bytes, response %d KiB, peak memory %d KiB", names, bytes, len(last)>>10, memory)
	if want := float64(procs * threads); sum != want {
		t.Errorf("got %v threads, want %v", sum, want)
	}
	const most = 20_000 * 64
	if other := procs * (length + 20); bytes > most+other {
		t.Errorf("got names of %d bytes, want at most %d and those of _other", bytes, most)
	}
	if memory > maxMemoryKB && !raceDetector {
		t.Errorf("got a peak of %d KiB of memory, want at most %d", memory, maxMemoryKB)
	}
}

// TestRenamedThreads starts and ends threads, each with a new name, between scrapes. The number of
// names in all scrapes is limited, and each thread is counted.
func TestRenamedThreads(t *testing.T) {
	requireLinux(t)
	eachSource(t, func(t *testing.T, source string) {
		const limit, rounds = 10, 30
		r := startExporter(t, source, "--children=false", "--max-thread-names="+strconv.Itoa(limit), "--config.path",
			writeFile(t, "rules.yaml", "process_names: [{name: renamed, cmdline: 'workload renamed$'}]\n"))
		w := startWorker(t, "renamed")
		names := make(map[string]bool)
		for i := range rounds {
			w.do("thread round%d 0", i)
			var sum, want float64
			// The kernel can remove an exited thread between the reads of stat and task.
			testenv.WaitFor(t, "the names of all threads", func() bool {
				series, _ := parseMetrics(t, r.Scrape())
				sum, want = 0, series[`namedprocess_namegroup_num_threads{groupname="renamed"}`]
				for key, value := range series {
					if strings.HasPrefix(key, "namedprocess_namegroup_thread_count{") {
						names[key] = true
						sum += value
					}
				}
				return sum == want
			}, func() string { return fmt.Sprintf("%v threads with names, want %v", sum, want) })
			w.do("leave")
		}
		if len(names) > limit+1 {
			t.Errorf("got %d thread names, want at most %d and _other", len(names), limit)
		}
	})
}
