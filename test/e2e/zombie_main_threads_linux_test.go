package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// An expectedTotals holds the expected values of a group by metric.
type expectedTotals map[string]float64

// addProcess adds the values of a process whose main thread has exited, from the files of a live
// thread and of the process.
func (h expectedTotals) addProcess(t *testing.T, pid int) {
	t.Helper()
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil || len(threads) < 2 {
		t.Fatalf("got threads %v, error %v, want at least 2", threads, err)
	}
	living := ""
	for _, thread := range threads {
		if thread.Name() != strconv.Itoa(pid) {
			living = fmt.Sprintf("/proc/%d/task/%s/", pid, thread.Name())
		}
	}
	rollup := readText(t, living+"smaps_rollup")
	fds, err := os.ReadDir(living + "fd")
	if err != nil {
		t.Fatal(err)
	}
	stat := statOf(t, strconv.Itoa(pid))
	if stat.State != 'Z' {
		t.Fatalf("got main thread in state %c, want Z", stat.State)
	}
	number := func(words []string, at int) float64 {
		n, err := strconv.ParseFloat(words[at], 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	page := float64(os.Getpagesize())
	statm := strings.Fields(readText(t, living+"statm"))
	h["memory_bytes,resident"] += number(statm, 1) * page
	h["memory_bytes,virtual"] += number(statm, 0) * page
	_, pss, _ := strings.Cut(rollup, "\nPss:")
	h["memory_bytes,proportionalResident"] += number(strings.Fields(pss), 0) * 1024
	h["open_filedesc"] += float64(len(fds))
	h["cpu"] += float64(stat.UserTicks+stat.SystemTicks) / 100
	h["num_procs"]++
	h["num_threads"] += float64(len(threads))
}

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestZombieMainThreads starts processes whose main thread has exited. They look like zombies, but hold
// memory and files and have used CPU time. Their group depends on a command line that their own /proc
// directory does not show any more.
func TestZombieMainThreads(t *testing.T) {
	eachSource(t, func(t *testing.T, source string) {
		token := uniqueToken()
		rules := "process_names:\n- {name: zombiemain, cmdline: 'exitmain=" + token + "'}\n- {name: others, cmdline: .+}\n"
		r := startSource(t, strings.TrimPrefix(source, "--source="), "--config.path", writeFile(t, "rules.yaml", rules))
		r.Scrape()
		count := 4
		if chaos {
			count = 20
		}
		var pids []int
		for range count {
			pid := testenv.StartEdgeCase(t, nil, "map=anonymous,8388608", "busy", "threads=3", "exitmain="+token).Cmd.Process.Pid
			// Another thread reports that the process is ready.
			testenv.WaitFor(t, "the exit of the main thread", func() bool { return statOf(t, strconv.Itoa(pid)).State == 'Z' })
			pids = append(pids, pid)
		}
		var report string
		testenv.WaitFor(t, "the values of the processes", func() bool {
			text := r.Scrape()
			want := make(expectedTotals)
			for _, pid := range pids {
				want.addProcess(t, pid)
			}
			series, _ := parseMetrics(t, text)
			const group = `{groupname="zombiemain"`
			got := expectedTotals{
				"cpu": series["namedprocess_namegroup_cpu_seconds_total"+group+`,mode="user"}`] +
					series["namedprocess_namegroup_cpu_seconds_total"+group+`,mode="system"}`],
			}
			for what := range want {
				if name, memory, is := strings.Cut(what, ","); is {
					got[what] = series["namedprocess_namegroup_"+name+group+`,memtype="`+memory+`"}`]
				} else if what != "cpu" {
					got[what] = series["namedprocess_namegroup_"+name+group+"}"]
				}
			}
			report = fmt.Sprintf("got %v\nwant %v\n%q", got, want, linesWith(strings.Split(text, "\n"), "unreadable_procs"+group))
			for what, value := range want {
				slack := 0.05 * value
				if what == "cpu" {
					slack += float64(count) * 0.02 // one clock tick each of user and system time
				}
				if got[what] < value-slack || got[what] > value+slack {
					return false
				}
			}
			const unreadable = "namedprocess_namegroup_unreadable_procs{file=%q,groupname=\"zombiemain\"}"
			return series[fmt.Sprintf(unreadable, "smaps")]+series[fmt.Sprintf(unreadable, "fd")] == 0
		}, func() string { return report })
	})
}
