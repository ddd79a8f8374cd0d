package main

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

	"github.com/seed57308aee/process_exporter/testdata/proctree"
)

// BenchmarkScrape measures scrapes, from the request to the last byte of the
// answer: of a copy of /proc, every file of which is read each time, and of
// this machine's processes with so many more that sleep.
func BenchmarkScrape(b *testing.B) {
	for _, processes := range []int{1000, 10_000} {
		b.Run(fmt.Sprintf("tree/%d", processes), func(b *testing.B) {
			tree := proctree.New(b, 100_000)
			for pid := 1; pid <= processes; pid++ {
				tree.Set(proctree.Process{PID: pid, Comm: "c" + strconv.Itoa(pid%50), Args: []string{"c"}, Start: 5})
			}
			benchmarkScrape(b, processes, "--procfs="+tree.Root)
		})
		b.Run(fmt.Sprintf("herd/%d", processes), func(b *testing.B) {
			startHerd(b, processes)
			benchmarkScrape(b, processes)
		})
	}
}

func benchmarkScrape(b *testing.B, processes int, args ...string) {
	b.Helper()
	s, err := parseFlags(args)
	if err != nil {
		b.Fatal(err)
	}
	e, err := newExporter(s, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	scrape := func() {
		answer := httptest.NewRecorder()
		e.metrics.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		if answer.Code != http.StatusOK {
			b.Fatalf("got status %d: %s", answer.Code, answer.Body)
		}
	}
	for range 3 { // to know the processes, and their pulse
		scrape()
	}
	b.ReportAllocs()
	for b.Loop() {
		scrape()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(processes), "us/process")
}

// startHerd starts processes that sleep until the end of the benchmark.
func startHerd(b *testing.B, processes int) {
	b.Helper()
	herd := exec.Command("/bin/sh", "-c", `i=0; while [ $i -lt `+strconv.Itoa(processes)+` ]; do sleep 1000000 & i=$((i+1)); done; echo ready; wait`)
	herd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := herd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := herd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = syscall.Kill(-herd.Process.Pid, syscall.SIGKILL) // all of them
		_ = herd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		b.Fatalf("got %q, error %v of the herd", line, err)
	}
}
