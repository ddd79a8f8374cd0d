package main

import (
	"slices"
	"testing"

	"github.com/seed57308aee/process_exporter/internal/webserver"
	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/platform/sandbox"
)

func TestMissing(t *testing.T) {
	const (
		ptrace = sandbox.SysPtrace
		search = sandbox.DACReadSearch
		perf   = sandbox.Perfmon
	)
	all := &settings{smaps: true, threads: true}
	tests := []struct {
		name   string
		kind   platform.Kind
		s      *settings
		words  platform.IdentityFields
		memory sandbox.Capability
		held   []sandbox.Capability
		want   string
	}{
		{"both", platform.KindProcfs, all, 0, ptrace, []sandbox.Capability{ptrace, search}, ""},
		{"none", platform.KindProcfs, all, 0, ptrace, nil, "CAP_SYS_PTRACE (io, proportional_memory, wait_channels), CAP_DAC_READ_SEARCH (io)"},
		{"one", platform.KindProcfs, all, 0, ptrace, []sandbox.Capability{ptrace}, "CAP_DAC_READ_SEARCH (io)"},
		{"the other", platform.KindProcfs, all, 0, ptrace, []sandbox.Capability{search}, "CAP_SYS_PTRACE (io, proportional_memory, wait_channels)"},
		{"a kernel that lets CAP_PERFMON read memory", platform.KindProcfs, all, 0, perf, nil, "CAP_SYS_PTRACE (io, wait_channels), CAP_DAC_READ_SEARCH (io), CAP_PERFMON (proportional_memory)"},
		{"tracing is more", platform.KindBPF, all, 0, perf, []sandbox.Capability{ptrace}, ""},
		{"the kernel tells of I/O", platform.KindBPF, &settings{}, 0, perf, nil, ""},
		{"with paths of programs", platform.KindBPF, &settings{}, platform.IdentityExe, perf, nil, "CAP_SYS_PTRACE (executable_paths)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := describeMissing(missing(protectedData(tt.kind, tt.s, tt.words, tt.memory), tt.held)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestSandboxOptions holds what each mode keeps, whatever the test itself may do.
func TestSandboxOptions(t *testing.T) {
	data := protectedData(platform.KindBPF, &settings{smaps: true, threads: true}, 0, sandbox.Perfmon)
	for mode, want := range map[string][]sandbox.Capability{
		"auto":   {sandbox.SysPtrace},
		"strict": {sandbox.Perfmon},
	} {
		e := &exporter{settings: &settings{sandbox: mode, procfs: "/proc"}, web: new(webserver.WebConfig)}
		got := e.sandboxOptions(platform.KindBPF, data)
		if mode == "auto" && len(sandbox.Held(sandbox.SysPtrace)) == 0 {
			want = []sandbox.Capability{sandbox.Perfmon, sandbox.SysPtrace} // of which it has none
		}
		if !slices.Equal(got.Keep, want) || mode == "strict" && !got.Landlock {
			t.Errorf("%s: got %+v, want to keep %v", mode, got, want)
		}
	}
}
