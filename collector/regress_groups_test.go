package collector

import (
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/testdata/proctree"
)

// TestFamilyWaitsForItsNames has a parent whose command line cannot be read at
// first. Its child must not be tied for life to what seems true meanwhile.
func TestFamilyWaitsForItsNames(t *testing.T) {
	nameless := func(ppid int) proctree.Process {
		p := proc(10, ppid, "sup", "sup")
		p.Broken = []string{"cmdline"}
		return p
	}
	const byArgs = "- {name: g, cmdline: [sup]}"
	play(t, []scenario{
		{"a child is not left out", setup{config: byArgs, opts: children}, []proctree.Process{nameless(1), proc(11, 10, "x", "x")}, []step{
			{nil, map[string]float64{in("num_procs"): 0, "namedprocess_exporter_unidentified_processes": 1}},
			{set(proc(10, 1, "sup", "sup")), nil},
			{nil, map[string]float64{in("num_procs"): 2, "namedprocess_exporter_unidentified_processes": 0}}}},
		{"a child does not stay in its grandparent's group", setup{config: byArgs + "\n- {name: top, cmdline: [top]}", opts: children},
			[]proctree.Process{proc(9, 1, "top", "top"), nameless(9), proc(11, 10, "x", "x")}, []step{
				{set(proc(10, 9, "sup", "sup")), nil},
				{nil, map[string]float64{in("num_procs"): 2, `num_procs{groupname="top"}`: 1}}}},
	})
}

// TestRecheckLimitCoversLateExec has a process that is past the limit when it
// is first seen, or when it becomes what a rule wants: nobody looks again.
func TestRecheckLimitCoversLateExec(t *testing.T) {
	limit := grouping.Options{Children: true, RecheckLimit: 10 * time.Second}
	shell := func(age uint64) proctree.Process {
		p := proc(10, 1, "sh", "sh")
		p.Start = uptime - age
		return p
	}
	becomes := func(age uint64) func(*world) { return set(exec(shell(age), "g", "g")) }
	hour := func(w *world) { w.Uptime(uptime + 3600_00) }
	nobody := map[string]float64{in("num_procs"): 0}
	play(t, []scenario{
		{"unwanted until the limit", setup{config: groupG, opts: limit}, []proctree.Process{shell(100)}, []step{{hour, nobody}, {becomes(100), nobody}}},
		{"exec in the first walk after the limit", setup{config: groupG, opts: limit}, []proctree.Process{shell(800)}, []step{
			{func(w *world) { hour(w); becomes(800)(w) }, nobody}, {nil, nobody}}},
		{"exec before the limit", setup{config: groupG, opts: limit}, []proctree.Process{shell(100)}, []step{{becomes(100), map[string]float64{in("num_procs"): 1}}}},
	})
}

// TestReloadKeepsOrphans loads the same rules again. The ancestor that put a
// process into its group is gone, and nothing tells of it any more.
func TestReloadKeepsOrphans(t *testing.T) {
	cfg, err := grouping.Parse("test.yaml", []byte("process_names:\n- {name: g, comm: [sup]}"))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, setup{mapper: cfg, opts: children}, other, proc(100, 1, "sup", "sup"), proc(101, 100, "sh", "sh"))
	w.Remove(100)
	w.Set(proc(101, 1, "sh", "sh"))
	one := map[string]float64{in("num_procs"): 1}
	w.want(w.scrape(), one)
	for range 2 {
		w.c.tracker.SetMatcher(cfg)
		w.want(w.scrape(), one)
	}
}
