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

	"github.com/seed57308aee/process_exporter/test/testenv"
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
	testenv.WaitFor(t, "the last configuration", func() bool { return strings.Contains(r.Scrape(), last) })
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
	testenv.WaitFor(t, "100 signals", func() bool { return sent.Load() > 100 })
	r.Signal(syscall.SIGTERM)
	status := r.Wait()
	done.Store(true)
	senders.Wait()
	if status != 0 {
		t.Errorf("got exit status %d on SIGTERM, want 0", status)
	}
}

// TestReload reloads an invalid and a valid configuration with SIGHUP.
func TestReload(t *testing.T) {
	path := writeFile(t, "config.yml", oneGroup("before"))
	r := startExporter(t, "-config.path", path)
	if body := r.Scrape(); !strings.Contains(body, `num_procs{groupname="before"}`) {
		t.Fatalf("got no group of the first configuration:\n%.2000s", body)
	}
	rewrite := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r.Signal(syscall.SIGHUP)
	}

	rewrite("process_names:\n  - comm: {bash}\n")
	r.waitForLog("level=ERROR", "reload failed", "config.yml:2")
	body := r.Scrape()
	for _, want := range []string{`num_procs{groupname="before"}`, "namedprocess_exporter_config_last_reload_successful 0"} {
		if !strings.Contains(body, want) {
			t.Errorf("got no %s after reloading an invalid configuration", want)
		}
	}

	rewrite(oneGroup("after"))
	testenv.WaitFor(t, "the group of the new configuration", func() bool {
		body = r.Scrape()
		return strings.Contains(body, `num_procs{groupname="after"}`)
	})
	if !strings.Contains(body, "namedprocess_exporter_config_last_reload_successful 1") {
		t.Error("got no namedprocess_exporter_config_last_reload_successful 1")
	}
	if status := r.Stop(); status != 0 {
		t.Errorf("got exit status %d, want 0", status)
	}
}

func TestReloadWithoutFile(t *testing.T) {
	r := startExporter(t)
	r.Signal(syscall.SIGHUP)
	r.waitForLog("ignored reload")
	r.Scrape()
}

// TestReloadUnderLoad reloads 100 times while ten clients scrape. No scrape fails, and no counter
// decreases.
func TestReloadUnderLoad(t *testing.T) {
	const scrapers, reloads = 10, 100
	path := writeFile(t, "rules.yaml", "")
	configs := []string{
		"process_names:\n- {name: busy, cmdline: 'workload busy$'}\n- {name: '{{.Comm}}', cmdline: .+}\n",
		"process_names:\n- {name: busy, comm: busy}\n- {name: 'x{{.Comm}}', cmdline: .+}\n",
		"process_names:\n- {name: busy, cmdline: 'workload (?P<n>busy)$', expect: {min: 1}, top: 2}\n",
		"process_names: {\n", // invalid: the previous configuration stays in use
	}
	write := func(i int) {
		if err := os.WriteFile(path+".new", []byte(configs[i%len(configs)]), 0o600); err != nil {
			t.Error(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Error(err)
		}
	}
	write(0)
	busy := startWorker(t, "busy")
	r := startExporter(t, "--web.enable-lifecycle", "--source=procfs", "-config.path", path)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range scrapers {
		wg.Go(func() { scrapeUntil(t, r, stop) })
	}
	for i := 1; i <= reloads; i++ {
		write(i)
		busy.do("cpu 5")
		response, err := r.Client.Post(r.URL+reloadPath, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if want := map[bool]int{true: 200, false: 500}[i%len(configs) != 3]; response.StatusCode != want {
			t.Errorf("reload %d: got status %d, want %d", i, response.StatusCode, want)
		}
	}
	close(stop)
	wg.Wait()
	// On a busy machine the reads of its files can be delayed.
	var got float64
	testenv.WaitFor(t, "the CPU time of a process that used half a second", func() bool {
		series, _ := parseMetrics(t, r.Scrape())
		got = series.cpuSeconds("busy")
		return got >= 0.48
	}, func() string { return fmt.Sprint(got) })
}

// scrapeUntil scrapes until stop is closed, and compares the counters of each response with the
// previous one.
func scrapeUntil(t *testing.T, r *instance, stop <-chan struct{}) {
	var before sampleSet
	for {
		select {
		case <-stop:
			return
		default:
		}
		now, _ := parseMetrics(t, r.Scrape())
		if now.value(t, "namedprocess_exporter_scrape_success") != 1 {
			t.Error("got a failed scrape")
		}
		for key, was := range before {
			if v, ok := now[key]; ok && v < was && strings.Contains(key, "_total") && strings.HasPrefix(key, "namedprocess_") {
				t.Errorf("%s decreased from %v to %v", key, was, v)
			}
		}
		before = now
	}
}
