package collector

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/test/procfstree"
)

// seriesOf returns the key of a series of a group.
func seriesOf(metric, group string, labels ...string) string {
	return strings.Replace(seriesG(metric, labels...), `groupname="g"`, fmt.Sprintf("groupname=%q", group), 1)
}

// edited returns p after edit.
func edited(p procfstree.Process, edit func(*procfstree.Process)) procfstree.Process {
	edit(&p)
	return p
}

// reload makes the exporter of a fixture use another configuration from the next
// scrape.
func reload(t *testing.T, config string) func(*fixture) {
	cfg, err := grouping.Parse("test.yaml", []byte("process_names:\n"+config))
	if err != nil {
		t.Fatal(err)
	}
	return func(f *fixture) { f.c.tracker.SetMatcher(cfg) }
}

// TestGroupsWithoutProcesses checks the groups of rules that match no process.
func TestGroupsWithoutProcesses(t *testing.T) { runScenarios(t, emptyGroupScenarios) }

var emptyGroupScenarios = []scenario{
	{
		name:  "static name",
		setup: setup{config: groupG, opts: withChildren},
		steps: []step{
			{
				nil,
				map[string]float64{
					seriesG("num_procs"):                           0,
					seriesG("cpu_seconds_total", "mode", "user"):   0,
					seriesG("memory_bytes", "memtype", "resident"): 0,
					seriesG("oldest_start_time_seconds"):           absent,
					seriesG("expected_procs", "bound", "min"):      absent,
				},
			},
			{set(startedLater(gWithCPU(50))), map[string]float64{seriesG("num_procs"): 1, seriesG("cpu_seconds_total", "mode", "user"): 0.5}},
		},
	},
	{
		name:  "name from a template",
		setup: setup{config: "- {name: '{{.Comm}}', comm: [g]}", opts: withChildren},
		steps: []step{
			{nil, map[string]float64{seriesG("num_procs"): absent}},
		},
	},
	{
		name:  "expect with min and max",
		setup: setup{config: "- {name: g, comm: [g], expect: {min: 2, max: 4}}", opts: withChildren},
		steps: []step{
			{nil, map[string]float64{
				seriesG("num_procs"):                      0,
				seriesG("expected_procs", "bound", "min"): 2,
				seriesG("expected_procs", "bound", "max"): 4,
			}},
		},
	},
	{
		name:  "expect without max",
		setup: setup{config: "- {name: g, comm: [g], expect: {min: 1}}", opts: withChildren},
		first: []procfstree.Process{gWithCPU(1)},
		steps: []step{
			{nil, map[string]float64{
				seriesG("num_procs"):                      1,
				seriesG("expected_procs", "bound", "min"): 1,
				seriesG("expected_procs", "bound", "max"): absent,
			}},
		},
	},
	{
		name:  "expect without min",
		setup: setup{config: "- {name: g, comm: [g], expect: {max: 1}}", opts: withChildren},
		steps: []step{
			{nil, map[string]float64{
				seriesG("num_procs"):                      0,
				seriesG("expected_procs", "bound", "min"): 0,
				seriesG("expected_procs", "bound", "max"): 1,
			}},
		},
	},
	{
		name:  "expect with children that joined",
		setup: setup{config: "- {name: g, comm: [g], expect: {min: 1}}", opts: withChildren},
		first: []procfstree.Process{gWithCPU(1), helperChild},
		steps: []step{
			{nil, map[string]float64{seriesG("num_procs"): 2, seriesG("matched_procs"): 1}},
		},
	},
	{
		name:  "expect with a zombie",
		setup: setup{config: "- {name: g, comm: [g], expect: {min: 1}}", opts: withChildren},
		first: []procfstree.Process{gWithCPU(1)},
		steps: []step{
			{nil, map[string]float64{seriesG("matched_procs"): 1}},
			{set(processG(func(p *procfstree.Process) { p.State = "Z" })), map[string]float64{seriesG("num_procs"): 1, seriesG("matched_procs"): 0}},
		},
	},
	{
		name:  "removed when empty",
		setup: setup{config: groupG, opts: grouping.Options{RemoveEmpty: true}},
		steps: []step{
			{nil, map[string]float64{seriesG("num_procs"): absent}},
		},
	},
	{
		name:  "expect prevents removal",
		setup: setup{config: "- {name: g, comm: [g], expect: {min: 1}}", opts: grouping.Options{RemoveEmpty: true}},
		steps: []step{
			{nil, map[string]float64{seriesG("num_procs"): 0, seriesG("expected_procs", "bound", "min"): 1}},
		},
	},
	{
		name:  "ignored",
		setup: setup{config: "- {comm: [g], ignore: true}", opts: withChildren},
		first: []procfstree.Process{gWithCPU(1)},
		steps: []step{
			{
				nil,
				map[string]float64{
					seriesG("num_procs"):                                         absent,
					"namedprocess_unmatched_procs":                               2,
					`namedprocess_rule_matched_procs{name="(ignored)",rule="1"}`: 1,
				},
			},
		},
	},
	{
		name: "expect of two rules, one with labels from a template",
		setup: setup{
			config: "- {name: g, comm: [a], expect: {min: 1}}\n- {name: g, comm: [g], labels: {who: '{{.Username}}'}}",
			opts:   withChildren,
		},
		first: []procfstree.Process{processG(func(p *procfstree.Process) { p.UIDs = [4]uint32{77777, 77777} })},
		steps: []step{
			{
				nil,
				map[string]float64{
					seriesG("num_procs", "who", "77777"):                 1,
					seriesG("matched_procs", "who", ""):                  0,
					seriesG("expected_procs", "bound", "min", "who", ""): 1,
				},
			},
		},
	},
	{
		name:  "labels from a template",
		setup: setup{config: "- {name: g, comm: [g], labels: {who: '{{.Username}}', zone: z}}", opts: withChildren},
		steps: []step{
			{nil, map[string]float64{seriesG("num_procs", "who", "", "zone", "z"): 0}},
			{
				set(processG(func(p *procfstree.Process) { p.UIDs = [4]uint32{77777, 77777} })),
				map[string]float64{seriesG("num_procs", "who", "77777", "zone", "z"): 1, seriesG("num_procs", "who", "", "zone", "z"): absent},
			},
		},
	},
}

// TestGroupChanges checks processes whose user, cgroup or command line changes without
// execve(2).
func TestGroupChanges(t *testing.T) { runScenarios(t, groupChangeScenarios) }

const rulesByUser = "- {name: 'u{{.Username}}', comm: [g]}"
const rulesByCgroup = "- {name: g, cgroup: ['/g']}\n- {name: h, cgroup: ['/h']}"
const rulesByTitle = "- {name: g, cmdline: [busy]}\n- {name: h, cmdline: [idle]}"

func ofUser(uid uint32, ticks uint64) procfstree.Process {
	return processG(func(p *procfstree.Process) { p.UIDs, p.UTime, p.Voluntary = [4]uint32{uid, uid}, ticks, ticks })
}

func inCgroup(path string) procfstree.Process {
	return processG(func(p *procfstree.Process) { p.Cgroup = "0::" + path + "\n" })
}

func titled(text string, ticks uint64) procfstree.Process {
	return processG(func(p *procfstree.Process) { p.Args, p.UTime, p.Voluntary = []string{text}, ticks, ticks })
}

func userSecondsOf(group string) string { return seriesOf("cpu_seconds_total", group, "mode", "user") }

var groupChangeScenarios = []scenario{
	{
		name:  "user changes",
		setup: setup{config: rulesByUser, opts: withChildren},
		first: []procfstree.Process{ofUser(77777, 100)},
		steps: []step{
			{set(ofUser(77777, 200)), map[string]float64{userSecondsOf("u77777"): 1}},
			{
				set(ofUser(88888, 300)),
				map[string]float64{
					userSecondsOf("u77777"):                   1,
					userSecondsOf("u88888"):                   1,
					seriesOf("num_procs", "u77777"):           0,
					seriesOf("num_procs", "u88888"):           1,
					seriesOf("group_changes_total", "u88888"): 1,
				},
			},
		},
	},
	{
		name:  "cgroup changes",
		setup: setup{config: rulesByCgroup, opts: withChildren},
		first: []procfstree.Process{inCgroup("/g")},
		steps: []step{
			{nil, map[string]float64{seriesOf("num_procs", "g"): 1, seriesOf("num_procs", "h"): 0}},
			{func(f *fixture) { // one of 64 scrapes compares the fingerprint of an idle process
				f.Set(inCgroup("/h"))
				for range 64 {
					f.scrape()
				}
			}, map[string]float64{seriesOf("num_procs", "g"): 0, seriesOf("num_procs", "h"): 1, seriesOf("group_changes_total", "h"): 1}},
		},
	},
	{
		name:  "command line changes",
		setup: setup{config: rulesByTitle, opts: withChildren},
		first: []procfstree.Process{titled("busy", 100)},
		steps: []step{
			{set(titled("busy", 200)), map[string]float64{userSecondsOf("g"): 1}},
			{set(titled("idle", 300)), map[string]float64{userSecondsOf("g"): 1, userSecondsOf("h"): 1, seriesOf("num_procs", "h"): 1}},
			{
				set(titled("neither", 400)),
				map[string]float64{
					userSecondsOf("g"):                         1,
					userSecondsOf("h"):                         1,
					seriesOf("num_procs", "h"):                 0,
					"namedprocess_unmatched_cpu_seconds_total": 1,
					"namedprocess_unmatched_procs":             2,
				},
			},
			{
				set(titled("busy", 500)),
				map[string]float64{userSecondsOf("g"): 2, userSecondsOf("h"): 1, "namedprocess_unmatched_cpu_seconds_total": 1},
			},
		},
	},
}

// TestRuleOptions checks options of rules that differ from the flags.
func TestRuleOptions(t *testing.T) { runScenarios(t, ruleOptionScenarios) }

var helperChild = proc(11, 10, "helper", "helper")
var helperGrandchild = proc(12, 11, "helper", "helper")
var twoThreads = gWithThreads(procfstree.Thread{}, procfstree.Thread{TID: 11, Comm: "w", Start: 11})
var withPSS = edited(gWithCPU(1), func(p *procfstree.Process) { p.PSSKB = 100 })
var workerCount = threadSeriesG("thread_count", "w")
var proportionalBytes = seriesG("memory_bytes", "memtype", "proportionalResident")

var ruleOptionScenarios = []scenario{
	{
		name:  "children join",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{gWithCPU(1), helperChild, helperGrandchild},
		steps: []step{
			{nil, map[string]float64{seriesG("num_procs"): 3}},
		},
	},
	{
		name:  "rule without children",
		setup: setup{config: "- {name: g, comm: [g], children: false}", opts: withChildren},
		first: []procfstree.Process{gWithCPU(1), helperChild, helperGrandchild},
		steps: []step{
			{nil, map[string]float64{seriesG("num_procs"): 1}},
		},
	},
	{
		name:  "one rule with children",
		setup: setup{config: "- {name: g, comm: [g], children: true}\n- {name: o, comm: [o]}"},
		first: []procfstree.Process{gWithCPU(1), helperChild, helperGrandchild, proc(20, 1, "o", "o"), proc(30, 20, "x", "x")},
		steps: []step{
			{nil, map[string]float64{seriesG("num_procs"): 3, seriesOf("num_procs", "o"): 1}},
		},
	},
	{
		name:  "children of an ignored process",
		setup: setup{config: "- {comm: [g], ignore: true}\n- {name: i, comm: [init]}", opts: withChildren},
		first: []procfstree.Process{gWithCPU(1), helperChild, proc(30, 1, "x", "x")},
		steps: []step{
			{nil, map[string]float64{seriesOf("num_procs", "i"): 2}},
		},
	},
	{
		name:  "threads by name",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{twoThreads},
		steps: []step{
			{nil, map[string]float64{workerCount: 1}},
		},
	},
	{
		name:  "rule without threads",
		setup: setup{config: "- {name: g, comm: [g], threads: false}", opts: withChildren},
		first: []procfstree.Process{twoThreads},
		steps: []step{
			{nil, map[string]float64{workerCount: absent, seriesG("num_threads"): 2, seriesG("states", "state", "Sleeping"): 2}},
		},
	},
	{
		name:  "one rule with threads",
		setup: setup{config: "- {name: g, comm: [g], threads: true}", opts: withChildren, disabled: grouping.CollectorThreads},
		first: []procfstree.Process{twoThreads},
		steps: []step{
			{nil, nil},
			{nil, map[string]float64{workerCount: 1}},
		},
	},
	{
		name:  "rule without smaps",
		setup: setup{config: "- {name: g, comm: [g], smaps: false}", opts: withChildren},
		first: []procfstree.Process{withPSS},
		steps: []step{
			{nil, map[string]float64{proportionalBytes: absent, seriesG("memory_bytes", "memtype", "resident"): 0}},
		},
	},
	{
		name:  "one rule with smaps",
		setup: setup{config: "- {name: g, comm: [g], smaps: true}", opts: withChildren, disabled: grouping.CollectorSmaps},
		first: []procfstree.Process{withPSS},
		steps: []step{
			{nil, nil},
			{nil, map[string]float64{proportionalBytes: 102400}},
		},
	},
}

// TestTop checks the metrics of the two processes with the highest usage out of four.
func TestTop(t *testing.T) {
	one := func(pid int, ticks, pages uint64) procfstree.Process {
		return edited(proc(pid, 1, "g", "g"), func(p *procfstree.Process) { p.UTime, p.RSS = ticks, pages })
	}
	cpu := func(pid string) string {
		return seriesOf("namedprocess_process_cpu_usage_ratio", "g", "pid", pid, "comm", "g")
	}
	rss := func(pid string) string {
		return seriesOf("namedprocess_process_resident_memory_bytes", "g", "pid", pid, "comm", "g")
	}
	later := func(f *fixture) {
		f.Uptime(uptime + 200)
		f.Set(one(10, 100, 1), one(11, 300, 2), one(12, 200, 3), one(13, 100, 4))
	}
	runScenarios(t, []scenario{{
		name:  "two of four",
		setup: setup{config: "- {name: g, comm: [g], top: 2}", opts: withChildren},
		first: []procfstree.Process{one(10, 100, 1), one(11, 100, 2), one(12, 100, 3), one(13, 100, 4)},
		steps: []step{
			{nil, map[string]float64{cpu("11"): absent, rss("13"): 4 * pageSize, rss("12"): 3 * pageSize, rss("11"): absent}},
			{later, map[string]float64{cpu("11"): 1, cpu("12"): 0.5, cpu("10"): absent, cpu("13"): absent, rss("13"): 4 * pageSize}},
			{remove(11), map[string]float64{cpu("11"): absent, cpu("12"): absent, rss("12"): 3 * pageSize}},
		},
	}})
}

// TestGroupLimit checks that processes above the limits of groups are counted in the
// group _other.
func TestGroupLimit(t *testing.T) {
	const config = "- {name: fixed, comm: [fixed]}\n" +
		"- {name: 'few {{.Comm}}', comm: [f1, f2, f3], max_groups: 2}\n" +
		"- {name: '{{.Comm}}', cmdline: ['.+']}"
	used := func(pid int, comm string, ticks uint64) procfstree.Process {
		return edited(proc(pid, 1, comm, comm), func(p *procfstree.Process) { p.UTime, p.Start = ticks, uptime+1 })
	}
	cpu := func(group string) string { return seriesOf("cpu_seconds_total", group, "mode", "user") }
	runScenarios(t, []scenario{{
		name:  "names",
		setup: setup{config: config, opts: grouping.Options{Children: true, MaxGroups: 4}},
		steps: []step{
			{
				set(used(30, "f1", 1), used(31, "f2", 2), used(32, "f3", 4)),
				map[string]float64{
					seriesOf("num_procs", "few f1"):                1,
					seriesOf("num_procs", "few f2"):                1,
					seriesOf("num_procs", "_other"):                1,
					cpu("_other"):                                  0.04,
					"namedprocess_exporter_group_limit_hits_total": 1,
				},
			},
			{
				set(used(33, "a", 8), used(34, "b", 16)),
				map[string]float64{
					seriesOf("num_procs", "a"):                     1,
					seriesOf("num_procs", "b"):                     absent,
					seriesOf("num_procs", "_other"):                2,
					cpu("_other"):                                  0.20,
					"namedprocess_exporter_group_limit_hits_total": 2,
				},
			},
			{set(used(35, "fixed", 32)), map[string]float64{seriesOf("num_procs", "fixed"): 1, seriesOf("num_procs", "_other"): 2}},
			// a permanent group does not count
			{set(used(36, "_other", 64)), map[string]float64{seriesOf("num_procs", "_other"): 3, seriesOf("num_procs", "\uFFFD5fother"): absent}},
			{remove(30, 33), map[string]float64{seriesOf("num_procs", "few f1"): 0, cpu("few f1"): 0.01}},
			{
				set(used(40, "f1", 128), used(41, "c", 256)),
				map[string]float64{seriesOf("num_procs", "few f1"): 1, seriesOf("num_procs", "_other"): 4, cpu("few f1"): 1.29},
			},
			// a known group can be joined at the limit
			// A group without processes for a day is removed when another group is created.
			{func(f *fixture) {
				f.Uptime(uptime + 25*3600*100)
				f.Set(executed(used(41, "c", 256), "d", "d"))
			}, map[string]float64{seriesOf("num_procs", "a"): absent, seriesOf("num_procs", "d"): 1, seriesOf("num_procs", "_other"): 3}},
		},
	}})
}

// TestThreadNameLimit checks that threads above the limit of names are counted in _other, and that
// names are removed a day after their last thread.
func TestThreadNameLimit(t *testing.T) {
	named := func(prefix string, more ...procfstree.Thread) procfstree.Process {
		p := proc(10, 1, "g", "g")
		p.MainThread = procfstree.Thread{}
		for tid := 11; tid < 20; tid++ {
			p.Threads = append(p.Threads, procfstree.Thread{TID: tid, Comm: fmt.Sprint(prefix, tid), Start: uint64(tid)})
		}
		copy(p.Threads, more)
		return p
	}
	limit := grouping.Options{Children: true, MaxThreadNames: 4}
	hits := "namedprocess_exporter_thread_name_limit_hits_total"
	count := func(name string) string { return threadSeriesG("thread_count", name) }
	runScenarios(t, []scenario{{
		name:  "threads",
		setup: setup{config: groupG, opts: limit},
		first: []procfstree.Process{named("w")},
		steps: []step{
			{nil, map[string]float64{count("w13"): 1, count("w14"): absent, count("_other"): 6, hits: 6}},
			{set(named("n")), map[string]float64{count("w13"): absent, count("n11"): absent, count("_other"): 9, hits: 15}},
			{func(f *fixture) {
				f.Uptime(uptime + 25*3600*100)
				f.Set(named("n", procfstree.Thread{TID: 11, Comm: "m11", Start: 11}))
			}, map[string]float64{count("m11"): 1, count("n12"): absent, count("_other"): 8, hits: 15}},
		},
	}})
}

// TestReloadKeepsCounters checks counters of groups after a change of the rules.
func TestReloadKeepsCounters(t *testing.T) {
	cpu := seriesG("cpu_seconds_total", "mode", "user")
	runScenarios(t, []scenario{
		{
			name:  "same group of another rule",
			setup: setup{config: groupG, opts: withChildren},
			first: []procfstree.Process{gWithCPU(100)},
			steps: []step{
				{set(gWithCPU(200)), map[string]float64{cpu: 1}},
				{reload(t, "- {name: g, cmdline: ['^g']}"), map[string]float64{cpu: 1, seriesG("num_procs"): 1}},
				{set(gWithCPU(300)), map[string]float64{cpu: 2}},
			},
		},
		{
			name:  "group without a rule",
			setup: setup{config: groupG, opts: withChildren},
			first: []procfstree.Process{gWithCPU(100)},
			steps: []step{
				{set(gWithCPU(200)), map[string]float64{cpu: 1}},
				{reload(t, "- {name: h, comm: [g]}"), map[string]float64{cpu: 1, seriesG("num_procs"): 0, seriesOf("num_procs", "h"): 1}},
				{set(gWithCPU(300)), map[string]float64{cpu: 1, seriesOf("cpu_seconds_total", "h", "mode", "user"): 1}},
			},
		},
		{
			name:  "group that never had a process",
			setup: setup{config: groupG, opts: withChildren},
			steps: []step{
				{nil, map[string]float64{seriesG("num_procs"): 0}},
				{reload(t, "- {name: h, comm: [h]}"), map[string]float64{seriesG("num_procs"): absent, seriesOf("num_procs", "h"): 0}},
			},
		},
		{
			name:  "expect changes",
			setup: setup{config: "- {name: g, comm: [g], expect: {min: 1}}", opts: withChildren},
			steps: []step{
				{reload(t, "- {name: g, comm: [g], expect: {min: 3}}"), map[string]float64{seriesG("expected_procs", "bound", "min"): 3}},
				{reload(t, groupG), map[string]float64{seriesG("expected_procs", "bound", "min"): absent, seriesG("num_procs"): 0}},
			},
		},
	})
}

// TestReloadChangesLabels checks a reload with other labels. Groups that differ only
// in a removed label are merged and keep their counters.
func TestReloadChangesLabels(t *testing.T) {
	as := func(pid int, uid uint32, ticks uint64) procfstree.Process {
		return edited(proc(pid, 1, "g", "g"), func(p *procfstree.Process) {
			p.UIDs, p.UTime = [4]uint32{uid, uid}, ticks
			p.MainThread.UTime, p.Threads = ticks, []procfstree.Thread{{TID: pid + 1000, Comm: "w", UTime: 0, Start: 11}}
		})
	}
	f := newFixture(t, setup{
		config: "- {name: g, comm: [g], labels: {who: '{{.Username}}'}}",
		opts:   withChildren,
	}, as(10, 77777, 100), as(11, 88888, 100))
	scrape := func() map[string]float64 {
		families, err := f.c.Gatherer(context.Background()).Gather()
		if err != nil {
			t.Fatal(err)
		}
		return flatten(families)
	}
	f.Set(as(10, 77777, 200), as(11, 88888, 300))
	f.want(scrape(), map[string]float64{
		seriesG("cpu_seconds_total", "mode", "user", "who", "77777"): 1,
		seriesG("cpu_seconds_total", "mode", "user", "who", "88888"): 2,
	})

	reload(t, "- {name: g, comm: [g]}")(f)
	f.want(scrape(), map[string]float64{
		seriesG("cpu_seconds_total", "mode", "user"):                   3,
		seriesG("num_procs"):                                           2,
		threadSeriesG("thread_count", "w"):                             2,
		threadSeriesG("thread_cpu_seconds_total", "g", "mode", "user"): 3,
	})

	reload(t, "- {name: g, comm: [g], labels: {zone: z}}")(f)
	f.Set(as(10, 77777, 300), as(11, 88888, 300))
	got := scrape()
	f.want(got, map[string]float64{
		seriesG("cpu_seconds_total", "mode", "user", "zone", "z"): 1,
		seriesG("num_procs", "zone", "z"):                         2,
		seriesG("cpu_seconds_total", "mode", "user", "zone", ""):  3,
		seriesG("num_procs", "zone", ""):                          0,
	})
	for key := range got {
		if strings.Contains(key, `groupname="`) && !strings.Contains(key, `zone="`) {
			t.Errorf("got %s without the new label", key)
		}
	}
}

// TestReservedLabels checks that the labels of all metrics are reserved.
func TestReservedLabels(t *testing.T) {
	reserved := make(map[string]bool)
	for _, name := range grouping.ReservedLabels {
		reserved[name] = true
	}
	check := func(metric string, labels []string) {
		for _, l := range labels {
			if !reserved[l] {
				t.Errorf("%s has the label %s, which is not reserved", metric, l)
			}
		}
	}
	for _, f := range families() {
		check(f.name, f.labels)
	}
	for _, h := range exporterMetrics() {
		check(h.name, h.labels)
	}
}
