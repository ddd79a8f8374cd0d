package e2e

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// TestShortReads limits each read below /proc of the running exporter to a few bytes. Files are read
// to their end, or count as unreadable if a piece ends at a line break. No counter decreases, and no
// process leaves its group.
func TestShortReads(t *testing.T) {
	f := startWithFaults(t, "procfs")
	sizes := []int{1, 100}
	if chaos {
		sizes = []int{1, 2, 3, 7, 20, 50, 100, 200, 500, 1000}
	}
	for _, size := range sizes {
		t.Run(strconv.Itoa(size), func(t *testing.T) { f.testShortReads(t, size) })
	}
}

// shortestFirstLine is shorter than the first line of every file. A longer piece can end at a line
// break, like a complete file.
const shortestFirstLine = 8

// scrapeAll scrapes until every process was read, and returns the number of unreadable files. The test
// changes each read in a tracer: if the tracer gets no CPU for a while, the read looks like one that
// blocks, and the walk continues without it, or is not finished at its deadline. With pieces that
// cannot end at a line break, no other file is unreadable.
func (f *faultTest) scrapeAll(t *testing.T, size int) (series sampleSet, unreadable float64) {
	t.Helper()
	testenv.WaitFor(t, "a scrape that reads all processes", func() bool {
		series, unreadable = f.scrape(t), 0
		for key, value := range series {
			if strings.HasPrefix(key, `namedprocess_namegroup_unreadable_procs{`) && strings.Contains(key, `"target"`) {
				unreadable += value
			}
		}
		return series["namedprocess_exporter_scrape_success{}"] == 1 && series["namedprocess_exporter_unresponsive_processes{}"] == 0 &&
			(unreadable == 0 || size >= shortestFirstLine)
	})
	return series, unreadable
}

// testShortReads limits the size of reads, scrapes, ends the limit, and checks that the exporter
// recovers.
func (f *faultTest) testShortReads(t *testing.T, size int) {
	f.set(t, faultPlan{bytes: size})
	start := time.Now()
	for range 5 {
		series, unreadable := f.scrapeAll(t, size)
		if procs := series[targetProcs]; procs != sleeperCount {
			t.Errorf("got %v of %d processes", procs, sleeperCount)
		}
		t.Logf("%v: %v files unreadable", time.Since(start), unreadable)
	}
	if shortened := f.set(t, faultPlan{}); shortened == 0 {
		t.Error("no read was shortened")
	}
	f.checkRecovered(t)
}
