package daemon

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/platform/sandbox"
	"github.com/seed57308aee/process_exporter/test/procfstree"
)

func TestFindMissing(t *testing.T) {
	const (
		ptrace = sandbox.SysPtrace
		search = sandbox.DACReadSearch
	)
	oldest, old := kernelNeeds{smaps: ptrace, listFDs: true}, kernelNeeds{smaps: ptrace} // before Linux 6.2, before 6.15
	recent := kernelNeeds{smaps: sandbox.Perfmon}
	const all = grouping.AllCollectors &^ grouping.CollectorNetwork
	const noSmaps, network = all &^ grouping.CollectorSmaps, grouping.CollectorNetwork
	tests := []struct {
		name    string
		kind    platform.SourceKind
		enabled grouping.CollectorSet
		fields  platform.IdentityFields
		kernel  kernelNeeds
		held    []sandbox.Capability
		want    string
	}{
		{"sockets of /proc", platform.SourceBPF, network, 0, old, []sandbox.Capability{search}, "CAP_SYS_PTRACE (sockets)"},
		{"both", platform.SourceProcfs, all, 0, old, []sandbox.Capability{ptrace, search}, ""},
		{"none", platform.SourceProcfs, all, 0, old, nil,
			"CAP_SYS_PTRACE (io, proportional_memory, wait_channels), CAP_DAC_READ_SEARCH (io)"},
		{"ptrace only", platform.SourceProcfs, all, 0, old, []sandbox.Capability{ptrace}, "CAP_DAC_READ_SEARCH (io)"},
		{"read only", platform.SourceProcfs, all, 0, old, []sandbox.Capability{search},
			"CAP_SYS_PTRACE (io, proportional_memory, wait_channels)"},
		{"kernel that accepts CAP_PERFMON", platform.SourceProcfs, all, 0, recent, nil,
			"CAP_SYS_PTRACE (io, wait_channels), CAP_DAC_READ_SEARCH (io), CAP_PERFMON (proportional_memory)"},
		{"ptrace implies perfmon", platform.SourceBPF, all, 0, recent, []sandbox.Capability{ptrace}, ""},
		{"open files", platform.SourceProcfs, noSmaps, 0, oldest, nil,
			"CAP_SYS_PTRACE (io, wait_channels), CAP_DAC_READ_SEARCH (io, open_files)"},
		{"open files by BPF", platform.SourceBPF, noSmaps, 0, oldest, nil, "CAP_SYS_PTRACE (wait_channels)"},
		{"I/O by BPF", platform.SourceBPF, noSmaps, 0, recent, nil, "CAP_SYS_PTRACE (wait_channels)"},
		{"no collector", platform.SourceProcfs, 0, 0, oldest, nil, ""},
		{"I/O of threads", platform.SourceProcfs, grouping.CollectorThreads, 0, oldest, nil, "CAP_SYS_PTRACE (io), CAP_DAC_READ_SEARCH (io)"},
		{"open files only", platform.SourceProcfs, grouping.CollectorFiles, 0, oldest, nil, "CAP_DAC_READ_SEARCH (open_files)"},
		{"executable paths", platform.SourceBPF, noSmaps, platform.IdentityExe, recent, nil, "CAP_SYS_PTRACE (wait_channels, executable_paths)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := formatMissing(findMissing(privilegedDataOf(tt.kind, tt.enabled, tt.fields, tt.kernel), tt.held)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestCapabilitiesOfRules checks that proportional memory needs a capability if the flag or a rule
// enables it, and the budget is not 0.
func TestCapabilitiesOfRules(t *testing.T) {
	for _, tt := range []struct {
		rule, args string
		want       bool
	}{
		{"", "", true},
		{"", "--no-gather-smaps", false},
		{"smaps: true", "--no-gather-smaps", true},
		{"smaps: false", "--no-gather-smaps", false},
		{"smaps: true", "--smaps.budget=0", false},
	} {
		path := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(path, []byte("process_names:\n- {name: a, comm: [b]}\n- {name: g, comm: [a], "+tt.rule+"}"), 0o600); err != nil {
			t.Fatal(err)
		}
		s := parse(t, append(strings.Fields(tt.args), "--config.path="+path)...)
		rules, err := s.LoadRules()
		if err != nil {
			t.Fatal(err)
		}
		data := (&Exporter{settings: s}).neededData(platform.SourceBPF, rules.Matcher)
		isSmaps := func(d privilegedData) bool { return d.name == "proportional_memory" }
		if got := slices.ContainsFunc(data, isSmaps); got != tt.want {
			t.Errorf("rule %q, flags %q: got %v, want %v", tt.rule, tt.args, got, tt.want)
		}
	}
}

// TestCheckCapabilities runs an exporter without capabilities. A reload adds and
// removes rules that need executable paths, and the source falls back to /proc.
func TestCheckCapabilities(t *testing.T) {
	tree := procfstree.New(t, 100_000)
	tree.Set(procfstree.Process{PID: 1, Comm: "init", Args: []string{"init"}, Start: 5})
	path := filepath.Join(t.TempDir(), "config.yaml")
	write := func(rule string) {
		t.Helper()
		if err := os.WriteFile(path, []byte("process_names: [{name: g, "+rule+"}]"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("comm: [init]")
	s := parse(t, "--procfs="+tree.Root, "--source=procfs", "--config.path="+path, "--no-gather-smaps")
	var log strings.Builder
	e, err := New(s, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	e.capabilities.held = func(...sandbox.Capability) []sandbox.Capability { return nil }
	e.capabilities.kernel = kernelNeeds{listFDs: true}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(e.sandboxMetrics.missing)
	reload := func(rule string) func() {
		return func() {
			write(rule)
			if err := e.reload(); err != nil {
				t.Error(err)
			}
		}
	}
	const (
		exe      = "CAP_SYS_PTRACE: executable_paths"
		searchFD = "CAP_DAC_READ_SEARCH: open_files"
		searchIO = "CAP_DAC_READ_SEARCH: io"
		ptraceIO = "CAP_SYS_PTRACE: io"
		wchan    = "CAP_SYS_PTRACE: wait_channels"
	)
	steps := []struct {
		name     string
		do       func()
		want     []string
		warnings int // total
	}{
		{"reload before the start", reload("comm: [init]"), nil, 0},
		{"start", func() { e.checkCapabilities(platform.SourceBPF, e.rules.Matcher) }, []string{wchan}, 1},
		{"rules by path", reload("exe_path: [/sbin/init]"), []string{exe, wchan}, 2},
		{"same rules", reload("exe_path: [/sbin/init]"), []string{exe, wchan}, 2},
		{"fallback to /proc", func() { e.collector.Update(t.Context()) }, []string{searchIO, searchFD, exe, ptraceIO, wchan}, 3},
		{"rules by name", reload("comm: [init]"), []string{searchIO, searchFD, ptraceIO, wchan}, 4},
	}
	for _, step := range steps {
		step.do()
		got := missingLabels(t, metrics)
		if !slices.Equal(got, step.want) {
			t.Errorf("%s: got %q missing, want %q", step.name, got, step.want)
		}
		if n := strings.Count(log.String(), `level=WARN msg="missing capabilities`); n != step.warnings {
			t.Errorf("%s: got %d warnings, want %d, in\n%s", step.name, n, step.warnings, log.String())
		}
	}
}

// missingLabels returns the label values of all series of metrics.
func missingLabels(t *testing.T, metrics prometheus.Gatherer) (values []string) {
	t.Helper()
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			values = append(values, m.Label[0].GetValue()+": "+m.Label[1].GetValue())
		}
	}
	return values
}
