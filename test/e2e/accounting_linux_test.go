package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// shortLivedCount is the number of processes that TestAccounting starts. The environment variable
// SHORT_LIVED_PROCESSES overrides it.
const shortLivedCount = 2400

// TestAccounting starts thousands of short processes between the scrapes of a real Prometheus. The bpf
// source counts every exit, and its CPU time equals the CPU time that the kernel charged the parent.
// The share that procfs sees is logged.
func TestAccounting(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts thousands of processes")
	}
	server := testenv.RequireProgram(t, "prometheus")
	requireBPF(t)
	size := shortLivedCount
	if text := os.Getenv("SHORT_LIVED_PROCESSES"); text != "" {
		var err error
		if size, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	rules := writeFile(t, "rules.yaml",
		"process_names:\n  - name: \"acct-{{.Matches.name}}\"\n    cmdline: ['shortlived-(?P<name>\\w+)$']\n")
	bpf := startExporter(t, "--source=bpf", "-config.path", rules)
	procfs := startExporter(t, "--source=procfs", "-config.path", rules)
	api := startPrometheus(t, server, strings.TrimPrefix(bpf.URL, "http://"), 5*time.Second)
	other := startPrometheus(t, server, strings.TrimPrefix(procfs.URL, "http://"), 5*time.Second)
	charged := runShortLived(t, map[string]int{"one": size / 2, "two": size - size/2})
	for group, cpu := range charged {
		count := size / 2
		label := fmt.Sprintf(`{groupname="acct-%s"}`, group)
		ends := func(reason, code string) string {
			return fmt.Sprintf(`namedprocess_namegroup_exits_total{groupname="acct-%s",reason=%q,code=%q} == %d`, group, reason, code, count/4)
		}
		for _, query := range []string{
			ends("exited", "0"), ends("exited", "3"), ends("killed", "SIGTERM"), ends("killed", "SIGKILL"),
			fmt.Sprintf(`sum(namedprocess_namegroup_exits_total%s) == %d`, label, count),
			fmt.Sprintf(`namedprocess_namegroup_starts_total%s == %d`, label, count),
			fmt.Sprintf(`namedprocess_namegroup_write_bytes_total%s >= %d`, label, count/10*8192),
			`namedprocess_exporter_lost_exit_events_total == 0`,
		} {
			var got []promSeries
			testenv.WaitFor(t, query, func() bool {
				got = api.query(strings.SplitN(query, " ", 2)[0])
				return len(api.query(query)) > 0
			}, func() string { return fmt.Sprint(got) })
		}
		share := func(p prometheusAPI) float64 {
			result := p.query(`sum(namedprocess_namegroup_cpu_seconds_total` + label + `)`)
			if len(result) == 0 {
				return 0
			}
			seconds, err := strconv.ParseFloat(result[0].Value[1].(string), 64)
			if err != nil {
				t.Fatal(err)
			}
			return seconds / cpu.Seconds()
		}
		got := 0.
		// A scrape that times out has no groups: until the next one, Prometheus has no value.
		testenv.WaitFor(t, "the CPU time of "+group, func() bool { got = share(api); return got > 0 })
		if got < 0.99 || got > 1.001 {
			t.Errorf("%s: got %.2f %% of the charged CPU time, want 99 %% to 100 %%", group, 100*got)
		}
		t.Logf("%s: %d processes used %v; bpf accounts for %.3f %%, procfs for %.1f %%", group, count, cpu, 100*got, 100*share(other))
	}
}

// runShortLived runs testdata/shortlived for every name. It returns the CPU time that the kernel
// charged each of them for its children.
func runShortLived(t *testing.T, counts map[string]int) map[string]time.Duration {
	t.Helper()
	program := testenv.BuildGo(t, "shortlived")
	dir, err := os.MkdirTemp("/var/tmp", "shortlived") // on a disk: /tmp can be a tmpfs
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	var mu sync.Mutex
	charged := make(map[string]time.Duration)
	var wg sync.WaitGroup
	for name, count := range counts {
		wg.Go(func() {
			out, err := exec.Command(program, name, strconv.Itoa(count), filepath.Join(dir, name)).Output()
			nanos, bad := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
			if err != nil || bad != nil {
				t.Errorf("shortlived %s printed %q: %v", name, out, err)
			}
			mu.Lock()
			defer mu.Unlock()
			charged[name] = time.Duration(nanos)
		})
	}
	wg.Wait()
	return charged
}
