package e2e

import (
	"os"
	"regexp"
	"slices"
	"testing"
	"time"
)

var logTime = regexp.MustCompile(`^time=(\S+) `)

// maxLinesInAMinute returns the largest number of log lines within 60 seconds.
func (r *instance) maxLinesInAMinute() (most int) {
	r.t.Helper()
	var times []time.Time
	for _, line := range r.Log() {
		match := logTime.FindStringSubmatch(line)
		if match == nil {
			r.t.Errorf("got a line without a time: %q", line)
			continue
		}
		at, err := time.Parse(time.RFC3339Nano, match[1])
		if err != nil {
			r.t.Fatal(err)
		}
		times = append(times, at)
	}
	slices.SortFunc(times, time.Time.Compare)
	first := 0
	for i, at := range times {
		for at.Sub(times[first]) >= time.Minute {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// TestLogRateLimit runs the exporter as a user next to many processes of root, whose files it cannot
// all read. The debug log stays within its rate limit, and scrapes do not slow down.
func TestLogRateLimit(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("requires root: changes the user")
	}
	count, scrapes := manyProcsCount(), 20
	if chaos {
		scrapes = 100
	}
	allowPIDs(t, count)
	command, config := unprivilegedExporter(t, "-debug")
	if err := os.WriteFile(config, []byte(manyProcsRules), 0o644); err != nil {
		t.Fatal(err)
	}
	asUser, requireRoot := command(), command()
	requireRoot.SysProcAttr = nil
	user, root := startReady(t, asUser), startReady(t, requireRoot)
	startManyProcs(t, "processes", count)
	for _, r := range []*instance{user, root} {
		r.checkManyProcs(count)
	}
	start := time.Now()
	var times [2][]time.Duration
	for len(times[0]) < scrapes || chaos && time.Since(start) < 90*time.Second {
		times[0] = append(times[0], user.timeScrapes(1)...)
		times[1] = append(times[1], root.timeScrapes(1)...)
	}
	series, _ := parseMetrics(t, user.Scrape())
	if got := series[`namedprocess_namegroup_unreadable_procs{file="io",groupname="manyprocs"}`]; got < float64(count) {
		t.Errorf("got %v processes with unreadable io, want %d", got, count)
	}
	for i, r := range []*instance{user, root} {
		if lines := r.maxLinesInAMinute(); lines > maxLinesPerMinute {
			t.Errorf("got %d lines in a minute, want at most 60: %q", lines, r.Log())
		}
		t.Logf("%s: %d scrapes in %v, median %v, slowest %v; %d log lines", []string{"user", "root"}[i], len(times[i]),
			time.Since(start).Round(time.Second), median(times[i]), slices.Max(times[i]), len(r.Log()))
	}
	if chaos && (median(times[0]) > 2*median(times[1]) || slices.Max(times[0]) > 2*slices.Max(times[1])) {
		t.Error("got scrapes twice as slow as those of root")
	}
}
