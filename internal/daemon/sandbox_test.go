package daemon

import (
	"slices"
	"testing"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/internal/config"
	"github.com/seed57308aee/process_exporter/internal/webserver"
	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/platform/sandbox"
)

// TestSandboxOptions checks which capabilities each sandbox level keeps,
// independent of those of the test.
func TestSandboxOptions(t *testing.T) {
	data := privilegedDataOf(platform.SourceBPF, grouping.AllCollectors&^grouping.CollectorNetwork, 0, kernelNeeds{smaps: sandbox.Perfmon})
	for level, want := range map[string][]sandbox.Capability{
		"auto":   {sandbox.SysPtrace},
		"strict": {sandbox.Perfmon},
	} {
		e := &Exporter{
			settings: &config.Settings{Sandbox: level, ProcFS: "/proc"}, web: new(webserver.WebConfig),
			rules: config.Rules{Matcher: grouping.Default()},
		}
		got := e.sandboxOptions(platform.SourceBPF, data)
		if level == "auto" && len(sandbox.Held(sandbox.SysPtrace)) == 0 {
			want = []sandbox.Capability{sandbox.Perfmon, sandbox.SysPtrace} // the test has neither
		}
		if !slices.Equal(got.Keep, want) || level == "strict" && !got.Landlock {
			t.Errorf("%s: got %+v, want to keep %v", level, got, want)
		}
	}
}
