package e2e

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestShortReads has the running exporter get a byte at a time of each file below
// /proc, or some, while it walks beside processes that sleep. All is read to its
// end, or counts as unreadable where a piece ends with a line: no counter falls
// and no process is lost, to its group either.
func TestShortReads(t *testing.T) {
	requireLinux(t)
	f := startWithFaults(t, "procfs")
	sizes := []int{1, 100}
	if chaos {
		sizes = []int{1, 2, 3, 7, 20, 50, 100, 200, 500, 1000}
	}
	for _, size := range sizes {
		t.Run(strconv.Itoa(size), func(t *testing.T) { f.testShortReads(t, size) })
	}
}

// firstLine is shorter than the first line of any file. A first piece that is
// longer may end with a line, as the file's end does, if the PIDs in it fit.
const shortestFirstLine = 8

// shorten lets reads be short, scrapes, stops that, and looks whether all is well
// again.
func (f *faultTest) testShortReads(t *testing.T, size int) {
	f.set(t, faultPlan{bytes: size})
	start, unreadable := time.Now(), 0.
	for range 5 {
		series := f.scrape(t)
		if procs := series[targetProcs]; procs != sleeperCount {
			t.Errorf("got %v of %d processes", procs, sleeperCount)
		}
		for key, value := range series {
			if strings.HasPrefix(key, `namedprocess_namegroup_unreadable_procs{`) && strings.Contains(key, `"aim"`) {
				unreadable += value
			}
		}
	}
	t.Logf("5 scrapes in %v; %v files unreadable", time.Since(start), unreadable)
	if unreadable != 0 && size < shortestFirstLine {
		t.Errorf("got %v files unreadable", unreadable)
	}
	if met := f.set(t, faultPlan{}); met == 0 {
		t.Error("no read was short")
	}
	f.checkRecovered(t)
}
