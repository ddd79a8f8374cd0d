package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/platform/sandbox"
	"github.com/seed57308aee/process_exporter/testdata/proctree"
)

// TestSelfTestAgain has an exporter without capabilities, whose rules come to want
// the paths of programs and want them no more, and whose kernel's programs fail.
func TestSelfTestAgain(t *testing.T) {
	tree := proctree.New(t, 100_000)
	tree.Set(proctree.Process{PID: 1, Comm: "init", Args: []string{"init"}, Start: 5})
	config := filepath.Join(t.TempDir(), "config.yaml")
	write := func(rule string) {
		t.Helper()
		if err := os.WriteFile(config, []byte("process_names: [{name: g, "+rule+"}]"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("comm: [init]")
	s, err := parseFlags([]string{"--procfs=" + tree.Root, "--source=procfs", "--config.path=" + config, "--no-threads", "--no-gather-smaps"})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	e, err := newExporter(s, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	e.tested.held = func(...sandbox.Capability) []sandbox.Capability { return nil }
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(e.privileges.missing)
	reload := func(rule string) func() {
		return func() {
			write(rule)
			if err := e.reload(); err != nil {
				t.Error(err)
			}
		}
	}
	const paths, searchIO, traceIO = "CAP_SYS_PTRACE: executable_paths", "CAP_DAC_READ_SEARCH: io", "CAP_SYS_PTRACE: io"
	steps := []struct {
		name     string
		do       func()
		want     []string
		warnings int // so far
	}{
		{"a reload before the start", reload("comm: [init]"), nil, 0},
		{"the start", func() { e.testAgain(platform.KindBPF, e.rules.matcher.Needs()) }, nil, 0},
		{"rules by path", reload("exe_path: [/sbin/init]"), []string{paths}, 1},
		{"the same", reload("exe_path: [/sbin/init]"), []string{paths}, 1},
		{"the source is /proc", func() { e.groups.Walk(t.Context()) }, []string{searchIO, traceIO, paths}, 2},
		{"no more rules by path", reload("comm: [init]"), []string{searchIO, traceIO}, 3},
	}
	for _, step := range steps {
		step.do()
		fams, err := metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range fams {
			for _, m := range f.Metric {
				got = append(got, m.Label[0].GetValue()+": "+m.Label[1].GetValue())
			}
		}
		if !slices.Equal(got, step.want) {
			t.Errorf("%s: got %q missing, want %q", step.name, got, step.want)
		}
		if n := strings.Count(log.String(), "level=WARN msg=\"Some data"); n != step.warnings {
			t.Errorf("%s: got %d warnings, want %d, in\n%s", step.name, n, step.warnings, log.String())
		}
	}
}
