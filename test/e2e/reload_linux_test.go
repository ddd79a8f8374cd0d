package e2e

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// slowConfig returns a configuration that takes time to load, because it has many expressions to
// compile. It puts one process into a group that never changes, and another one into a group with the
// name of the configuration.
func slowConfig(name string) string {
	var b strings.Builder
	b.WriteString("process_names:\n- {name: busy, cmdline: 'workload busy$'}\n")
	fmt.Fprintf(&b, "- {name: config-%s, cmdline: 'workload second$'}\n", name)
	for i := range 300 {
		fmt.Fprintf(&b, "- {name: never%d, cmdline: '^(never|(a|b)+c{2,9}|[x-z]{3,40})%d$'}\n", i, i)
	}
	return b.String()
}

// TestFrequentReloads sends 200 SIGHUPs within two seconds, each with another configuration, while
// clients scrape. No scrape fails, no counter decreases, and finally the last configuration is in use.
// A SIGTERM among many SIGHUPs is not lost.
func TestFrequentReloads(t *testing.T) {
	requireLinux(t)
	const signals, scrapers = 200, 4
	path := writeFile(t, "rules.yaml", slowConfig("first"))
	replace := func(name string) {
		if err := os.WriteFile(path+".new", []byte(slowConfig(name)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	busy, _ := startWorker(t, "busy"), startWorker(t, "second")
	r := startSource(t, "procfs", "--config.path", path)
	if body := r.Scrape(); !strings.Contains(body, `num_procs{groupname="config-first"} 1`) {
		t.Fatalf("got no group of the first configuration: %q", linesWith(strings.Split(body, "\n"), "num_procs"))
	}
	stop := make(chan struct{})
	var all sync.WaitGroup
	for range scrapers {
		all.Go(func() { scrapeUntil(t, r, stop) })
	}
	start := time.Now()
	tick := time.NewTicker(2 * time.Second / signals)
	defer tick.Stop()
	for i := range signals {
		<-tick.C
		replace(fmt.Sprint(i))
		r.Signal(syscall.SIGHUP)
		if i%20 == 0 {
			busy.do("cpu 10")
		}
	}
	t.Logf("%d signals in %v", signals, time.Since(start))
	close(stop)
	all.Wait()
	last := fmt.Sprintf(`num_procs{groupname="config-%d"} 1`, signals-1)
	eventually(t, "the last configuration", func() bool { return strings.Contains(r.Scrape(), last) })
	series, _ := parseMetrics(t, r.Scrape())
	if got := series.cpuSeconds("busy"); got < 0.09 {
		t.Errorf("got %v CPU seconds, want 0.1", got)
	}
	stopDuringReloads(t, r)
}

// stopDuringReloads sends SIGTERM to an exporter that receives SIGHUPs continuously.
func stopDuringReloads(t *testing.T, r *instance) {
	t.Helper()
	var done atomic.Bool
	var sent atomic.Int64
	var senders sync.WaitGroup
	for range 2 {
		senders.Go(func() {
			for !done.Load() {
				_ = r.command.Process.Signal(syscall.SIGHUP) // it may have exited
				sent.Add(1)
			}
		})
	}
	eventually(t, "100 signals", func() bool { return sent.Load() > 100 })
	r.Signal(syscall.SIGTERM)
	status := r.Wait()
	done.Store(true)
	senders.Wait()
	if status != 0 {
		t.Errorf("got exit status %d on SIGTERM, want 0", status)
	}
}
