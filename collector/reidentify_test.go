package collector

import (
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/test/procfstree"
)

// TestUnidentifiedParent checks that a child whose parent is not identified yet joins
// the group of the parent once it is identified.
func TestUnidentifiedParent(t *testing.T) {
	unidentified := func(ppid int) procfstree.Process {
		p := proc(10, ppid, "sup", "sup")
		p.Broken = []string{"cmdline"}
		return p
	}
	const byArgs = "- {name: g, cmdline: [sup]}"
	runScenarios(t, []scenario{
		{
			name:  "without a grouped grandparent",
			setup: setup{config: byArgs, opts: withChildren},
			first: []procfstree.Process{unidentified(1), proc(11, 10, "x", "x")},
			steps: []step{
				{nil, map[string]float64{seriesG("num_procs"): 0, "namedprocess_exporter_unidentified_processes": 1}},
				{set(proc(10, 1, "sup", "sup")), nil},
				{nil, map[string]float64{seriesG("num_procs"): 2, "namedprocess_exporter_unidentified_processes": 0}},
			},
		},
		{
			name:  "with a grouped grandparent",
			setup: setup{config: byArgs + "\n- {name: top, cmdline: [top]}", opts: withChildren},
			first: []procfstree.Process{proc(9, 1, "top", "top"), unidentified(9), proc(11, 10, "x", "x")},
			steps: []step{
				{set(proc(10, 9, "sup", "sup")), nil},
				{nil, map[string]float64{seriesG("num_procs"): 2, `num_procs{groupname="top"}`: 1}},
			},
		},
	})
}

// TestRecheckLimitAppliesToExec checks that a process that is older than the recheck
// limit is not identified again after execve(2).
func TestRecheckLimitAppliesToExec(t *testing.T) {
	limit := grouping.Options{Children: true, RecheckLimit: 10 * time.Second}
	shell := func(age uint64) procfstree.Process {
		p := proc(10, 1, "sh", "sh")
		p.Start = uptime - age
		return p
	}
	becomes := func(age uint64) func(*fixture) { return set(executed(shell(age), "g", "g")) }
	hour := func(f *fixture) { f.Uptime(uptime + 3600_00) }
	noProcess := map[string]float64{seriesG("num_procs"): 0}
	runScenarios(t, []scenario{
		{
			name:  "exec long after the limit",
			setup: setup{config: groupG, opts: limit},
			first: []procfstree.Process{shell(100)},
			steps: []step{
				{hour, noProcess},
				{becomes(100), noProcess},
			},
		},
		{
			name:  "exec before the first walk after the limit",
			setup: setup{config: groupG, opts: limit},
			first: []procfstree.Process{shell(800)},
			steps: []step{
				{func(f *fixture) { hour(f); becomes(800)(f) }, noProcess},
				{nil, noProcess},
			},
		},
		{
			name:  "exec before the limit",
			setup: setup{config: groupG, opts: limit},
			first: []procfstree.Process{shell(100)},
			steps: []step{
				{becomes(100), map[string]float64{seriesG("num_procs"): 1}},
			},
		},
	})
}

// TestReloadKeepsInheritedGroup checks that a process stays in the group of an
// ancestor that has exited when the same rules are loaded again.
func TestReloadKeepsInheritedGroup(t *testing.T) {
	cfg, err := grouping.Parse("test.yaml", []byte("process_names:\n- {name: g, comm: [sup]}"))
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, setup{matcher: cfg, opts: withChildren}, initProcess, proc(100, 1, "sup", "sup"), proc(101, 100, "sh", "sh"))
	f.Remove(100)
	f.Set(proc(101, 1, "sh", "sh"))
	one := map[string]float64{seriesG("num_procs"): 1}
	f.want(f.scrape(), one)
	for range 2 {
		f.c.tracker.SetMatcher(cfg)
		f.want(f.scrape(), one)
	}
}
