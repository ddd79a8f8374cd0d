package daemon

import (
	"bufio"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"github.com/seed57308aee/process_exporter/test/procfstree"
)

// BenchmarkScrape measures scrapes from the request to the last byte of the
// response: of a copy of /proc, where each file is read by each scrape, and of
// this machine with additional sleeping processes.
func BenchmarkScrape(b *testing.B) {
	for _, processes := range []int{1000, 10_000} {
		b.Run(fmt.Sprintf("tree/%d", processes), func(b *testing.B) {
			tree := procfstree.New(b, 100_000)
			for pid := 1; pid <= processes; pid++ {
				tree.Set(procfstree.Process{PID: pid, Comm: "c" + strconv.Itoa(pid%50), Args: []string{"c"}, Start: 5})
			}
			measureScrapes(b, processes, "--procfs="+tree.Root)
		})
		b.Run(fmt.Sprintf("sleeping/%d", processes), func(b *testing.B) {
			startSleepers(b, processes)
			measureScrapes(b, processes)
		})
	}
}

func measureScrapes(b *testing.B, processes int, args ...string) {
	b.Helper()
	e, err := New(parse(b, args...), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	scrape := func() {
		response := httptest.NewRecorder()
		e.metrics.ServeHTTP(response, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		if response.Code != http.StatusOK {
			b.Fatalf("got status %d: %s", response.Code, response.Body)
		}
	}
	for range 3 { // until all processes and their activity markers are known
		scrape()
	}
	b.ReportAllocs()
	for b.Loop() {
		scrape()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(processes), "us/process")
}

// startSleepers starts processes that sleep until the benchmark ends.
func startSleepers(b *testing.B, processes int) {
	b.Helper()
	const script = `i=0; while [ $i -lt $0 ]; do sleep 1000000 & i=$((i+1)); done; echo ready; wait`
	sleepers := exec.Command("/bin/sh", "-c", script, strconv.Itoa(processes))
	sleepers.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := sleepers.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := sleepers.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = syscall.Kill(-sleepers.Process.Pid, syscall.SIGKILL) // the process group
		_ = sleepers.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		b.Fatalf("got %q, error %v, want ready", line, err)
	}
}
