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

// slowRules take a while to load, since each expression has to be compiled, and
// put one process into the same group always and another into one that tells which
// rules are in force.
func slowConfig(turn string) string {
	var b strings.Builder
	b.WriteString("process_names:\n- {name: busy, cmdline: 'workload busy$'}\n")
	fmt.Fprintf(&b, "- {name: config-%s, cmdline: 'workload second$'}\n", turn)
	for i := range 300 {
		fmt.Fprintf(&b, "- {name: never%d, cmdline: '^(never|(a|b)+c{2,9}|[x-z]{3,40})%d$'}\n", i, i)
	}
	return b.String()
}

// TestFrequentReloads sends 200 SIGHUPs within two seconds, each with other rules,
// while clients scrape: none fails, no counter falls, and at last the last rules
// are in force. A SIGTERM among even more of them is not lost.
func TestFrequentReloads(t *testing.T) {
	requireLinux(t)
	const storms, scrapers = 200, 4
	path := writeFile(t, "rules.yaml", slowConfig("first"))
	replace := func(turn string) {
		if err := os.WriteFile(path+".new", []byte(slowConfig(turn)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	busy, _ := startWorker(t, "busy"), startWorker(t, "second")
	r := startSource(t, "procfs", "--config.path", path)
	if body := r.Scrape(); !strings.Contains(body, `num_procs{groupname="config-first"} 1`) {
		t.Fatalf("got no group of the first rules: %q", linesWith(strings.Split(body, "\n"), "num_procs"))
	}
	stop := make(chan struct{})
	var all sync.WaitGroup
	for range scrapers {
		all.Go(func() { scrapeUntil(t, r, stop) })
	}
	begun := time.Now()
	tick := time.NewTicker(2 * time.Second / storms)
	defer tick.Stop()
	for i := range storms {
		<-tick.C
		replace(fmt.Sprint(i))
		r.Signal(syscall.SIGHUP)
		if i%20 == 0 {
			busy.do("cpu 10")
		}
	}
	t.Logf("%d signals in %v", storms, time.Since(begun))
	close(stop)
	all.Wait()
	last := fmt.Sprintf(`num_procs{groupname="config-%d"} 1`, storms-1)
	eventually(t, "the last rules", func() bool { return strings.Contains(r.Scrape(), last) })
	series, _ := parseMetrics(t, r.Scrape())
	if got := series.cpuSeconds("busy"); got < 0.09 {
		t.Errorf("got %v seconds of CPU, want 0.1", got)
	}
	stopDuringReloads(t, r)
}

// stopInStorm sends SIGTERM to an exporter that is sent one SIGHUP after the
// other.
func stopDuringReloads(t *testing.T, r *instance) {
	t.Helper()
	var over atomic.Bool
	var sent atomic.Int64
	var storm sync.WaitGroup
	for range 2 {
		storm.Go(func() {
			for !over.Load() {
				_ = r.command.Process.Signal(syscall.SIGHUP) // it may have gone
				sent.Add(1)
			}
		})
	}
	eventually(t, "the storm", func() bool { return sent.Load() > 100 })
	r.Signal(syscall.SIGTERM)
	status := r.Wait()
	over.Store(true)
	storm.Wait()
	if status != 0 {
		t.Errorf("got exit status %d of SIGTERM", status)
	}
}
