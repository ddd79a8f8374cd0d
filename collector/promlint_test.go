package collector

import (
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/seed57308aee/process_exporter/test/procfstree"
)

// TestLint checks all metrics with promlint. It accepts four names of the
// predecessor, and counter_decreases_total: this metric is about counters, and
// promlint takes the word for the metric type.
func TestLint(t *testing.T) {
	f := newFixture(t, setup{config: groupG, opts: withChildren}, proc(1, 0, "init", "init"),
		gWithThreads(procfstree.Thread{WChan: "do_wait"}, procfstree.Thread{TID: 11, Comm: "w", Start: 11}),
		processG(func(p *procfstree.Process) { p.PID, p.Broken = 20, []string{"io"} }))
	families, err := f.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	families = append(families, networkFamiliesOf(t, f.c)...)
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range problems {
		got = append(got, p.Metric)
	}
	slices.Sort(got)
	want := []string{
		"namedprocess_exporter_counter_decreases_total",
		"namedprocess_namegroup_thread_count",
		"namedprocess_scrape_errors",
		"namedprocess_scrape_partial_errors",
		"namedprocess_scrape_procread_errors",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got problems %v, want problems of %v", problems, want)
	}
}
