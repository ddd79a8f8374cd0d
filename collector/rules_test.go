package collector

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/testdata/proctree"
)

// by builds the key of a series of any group.
func by(metric, group string, labels ...string) string {
	return strings.Replace(in(metric, labels...), `groupname="g"`, fmt.Sprintf("groupname=%q", group), 1)
}

// edited returns p, changed.
func edited(p proctree.Process, edit func(*proctree.Process)) proctree.Process {
	edit(&p)
	return p
}

// swap makes the exporter of a world use another configuration from the next
// scrape on.
func swap(t *testing.T, config string) func(*world) {
	cfg, err := grouping.Parse("test.yaml", []byte("process_names:\n"+config))
	if err != nil {
		t.Fatal(err)
	}
	return func(w *world) { w.c.tracker.SetMatcher(cfg) }
}

// TestGroupsWithoutProcesses has rules of which nothing runs, or not yet.
func TestGroupsWithoutProcesses(t *testing.T) {
	play(t, []scenario{
		{"a name that is always the same", setup{config: groupG, opts: children}, nil, []step{
			{nil, map[string]float64{in("num_procs"): 0, in("cpu_seconds_total", "mode", "user"): 0, in("memory_bytes", "memtype", "resident"): 0, in("oldest_start_time_seconds"): absent, in("expected_min_procs"): absent}},
			{set(born(user(50))), map[string]float64{in("num_procs"): 1, in("cpu_seconds_total", "mode", "user"): 0.5}}}},
		{"a name made of the process", setup{config: "- {name: '{{.Comm}}', comm: [g]}", opts: children}, nil, []step{
			{nil, map[string]float64{in("num_procs"): absent}}}},
		{"expected", setup{config: "- {name: g, comm: [g], expect: {min: 2, max: 4}}", opts: children}, nil, []step{
			{nil, map[string]float64{in("num_procs"): 0, in("expected_min_procs"): 2, in("expected_max_procs"): 4}}}},
		{"expected without an upper bound", setup{config: "- {name: g, comm: [g], expect: {}}", opts: children}, []proctree.Process{user(1)}, []step{
			{nil, map[string]float64{in("num_procs"): 1, in("expected_min_procs"): 1, in("expected_max_procs"): absent}}}},
		{"removed when empty", setup{config: groupG, opts: grouping.Options{RemoveEmpty: true}}, nil, []step{
			{nil, map[string]float64{in("num_procs"): absent}}}},
		{"expected, and so not removed", setup{config: "- {name: g, comm: [g], expect: {min: 1}}", opts: grouping.Options{RemoveEmpty: true}}, nil, []step{
			{nil, map[string]float64{in("num_procs"): 0, in("expected_min_procs"): 1}}}},
		{"ignored", setup{config: "- {comm: [g], ignore: true}", opts: children}, []proctree.Process{user(1)}, []step{
			{nil, map[string]float64{in("num_procs"): absent, "namedprocess_unmatched_procs": 2, `namedprocess_rule_matched_procs{name="{{.ExeBase}}",rule="1"}`: 1}}}},
		{"with labels of which the values are not known", setup{config: "- {name: g, comm: [g], labels: {who: '{{.Username}}', zone: z}}", opts: children}, nil, []step{
			{nil, map[string]float64{in("num_procs", "who", "", "zone", "z"): 0}},
			{set(g(func(p *proctree.Process) { p.UIDs = [4]uint32{77777, 77777} })), map[string]float64{in("num_procs", "who", "77777", "zone", "z"): 1, in("num_procs", "who", "", "zone", "z"): absent}}}},
	})
}

// TestMovesBetweenGroups has processes of which the user, the control group or
// the command line changes without an exec.
func TestMovesBetweenGroups(t *testing.T) {
	const byUser = "- {name: 'u{{.Username}}', comm: [g]}"
	const byCgroup = "- {name: g, cgroup: ['/g']}\n- {name: h, cgroup: ['/h']}"
	const byTitle = "- {name: g, cmdline: [busy]}\n- {name: h, cmdline: [idle]}"
	as := func(uid uint32, ticks uint64) proctree.Process {
		return g(func(p *proctree.Process) { p.UIDs, p.UTime, p.Voluntary = [4]uint32{uid, uid}, ticks, ticks })
	}
	in := func(path string) proctree.Process {
		return g(func(p *proctree.Process) { p.Cgroup = "0::" + path + "\n" })
	}
	title := func(text string, ticks uint64) proctree.Process {
		return g(func(p *proctree.Process) { p.Args, p.UTime, p.Voluntary = []string{text}, ticks, ticks })
	}
	cpu := func(group string) string { return by("cpu_seconds_total", group, "mode", "user") }
	play(t, []scenario{
		{"another user", setup{config: byUser, opts: children}, []proctree.Process{as(77777, 100)}, []step{
			{set(as(77777, 200)), map[string]float64{cpu("u77777"): 1}},
			{set(as(88888, 300)), map[string]float64{cpu("u77777"): 1, cpu("u88888"): 1, by("num_procs", "u77777"): 0, by("num_procs", "u88888"): 1, by("group_changes_total", "u88888"): 1}}}},
		{"another control group", setup{config: byCgroup, opts: children}, []proctree.Process{in("/g")}, []step{
			{nil, map[string]float64{by("num_procs", "g"): 1, by("num_procs", "h"): 0}},
			{func(w *world) { // it does not run, and so its turn comes at one of 64 scrapes
				w.Set(in("/h"))
				for range 64 {
					w.scrape()
				}
			}, map[string]float64{by("num_procs", "g"): 0, by("num_procs", "h"): 1, by("group_changes_total", "h"): 1}}}},
		{"another title", setup{config: byTitle, opts: children}, []proctree.Process{title("busy", 100)}, []step{
			{set(title("busy", 200)), map[string]float64{cpu("g"): 1}},
			{set(title("idle", 300)), map[string]float64{cpu("g"): 1, cpu("h"): 1, by("num_procs", "h"): 1}},
			{set(title("neither", 400)), map[string]float64{cpu("g"): 1, cpu("h"): 1, by("num_procs", "h"): 0, "namedprocess_unmatched_cpu_seconds_total": 1, "namedprocess_unmatched_procs": 2}},
			{set(title("busy", 500)), map[string]float64{cpu("g"): 2, cpu("h"): 1, "namedprocess_unmatched_cpu_seconds_total": 1}}}},
	})
}

// TestRuleOptions has rules that differ from the flags.
func TestRuleOptions(t *testing.T) {
	child := proc(11, 10, "helper", "helper")
	grandchild := proc(12, 11, "helper", "helper")
	two := threads(proctree.Thread{}, proctree.Thread{TID: 11, Comm: "w", Start: 11})
	pss := edited(user(1), func(p *proctree.Process) { p.PSSKB = 100 })
	count := onThread("thread_count", "w")
	shared := in("memory_bytes", "memtype", "proportionalResident")
	play(t, []scenario{
		{"children join", setup{config: groupG, opts: children}, []proctree.Process{user(1), child, grandchild}, []step{{nil, map[string]float64{in("num_procs"): 3}}}},
		{"no children of this rule", setup{config: "- {name: g, comm: [g], children: false}", opts: children}, []proctree.Process{user(1), child, grandchild}, []step{{nil, map[string]float64{in("num_procs"): 1}}}},
		{"children of this rule only", setup{config: "- {name: g, comm: [g], children: true}\n- {name: o, comm: [o]}"}, []proctree.Process{user(1), child, grandchild, proc(20, 1, "o", "o"), proc(30, 20, "x", "x")}, []step{
			{nil, map[string]float64{in("num_procs"): 3, by("num_procs", "o"): 1}}}},
		{"no children of who is ignored", setup{config: "- {comm: [g], ignore: true}\n- {name: i, comm: [init]}", opts: children}, []proctree.Process{user(1), child, proc(30, 1, "x", "x")}, []step{
			{nil, map[string]float64{by("num_procs", "i"): 2}}}},
		{"threads by name", setup{config: groupG, opts: children}, []proctree.Process{two}, []step{{nil, map[string]float64{count: 1}}}},
		{"no threads of this rule", setup{config: "- {name: g, comm: [g], threads: false}", opts: children}, []proctree.Process{two}, []step{{nil, map[string]float64{count: absent, in("num_threads"): 2, in("states", "state", "Sleeping"): 2}}}},
		{"threads of this rule only", setup{config: "- {name: g, comm: [g], threads: true}", opts: children, noThreads: true}, []proctree.Process{two}, []step{{nil, nil}, {nil, map[string]float64{count: 1}}}},
		{"no proportional memory of this rule", setup{config: "- {name: g, comm: [g], smaps: false}", opts: children}, []proctree.Process{pss}, []step{{nil, map[string]float64{shared: absent, in("memory_bytes", "memtype", "resident"): 0}}}},
		{"proportional memory of this rule only", setup{config: "- {name: g, comm: [g], smaps: true}", opts: children, noSmaps: true}, []proctree.Process{pss}, []step{{nil, nil}, {nil, map[string]float64{shared: 102400}}}},
	})
}

// TestTop has more processes than are told one by one.
func TestTop(t *testing.T) {
	one := func(pid int, ticks, pages uint64) proctree.Process {
		return edited(proc(pid, 1, "g", "g"), func(p *proctree.Process) { p.UTime, p.RSS = ticks, pages })
	}
	cpu := func(pid string) string {
		return by("namedprocess_process_cpu_usage_ratio", "g", "pid", pid, "comm", "g")
	}
	rss := func(pid string) string {
		return by("namedprocess_process_resident_memory_bytes", "g", "pid", pid, "comm", "g")
	}
	later := func(w *world) {
		w.Uptime(uptime + 200)
		w.Set(one(10, 100, 1), one(11, 300, 2), one(12, 200, 3), one(13, 100, 4))
	}
	play(t, []scenario{{"two of four", setup{config: "- {name: g, comm: [g], top: 2}", opts: children}, []proctree.Process{one(10, 100, 1), one(11, 100, 2), one(12, 100, 3), one(13, 100, 4)}, []step{
		{nil, map[string]float64{cpu("11"): absent, rss("13"): 4 * pageSize, rss("12"): 3 * pageSize, rss("11"): absent}},
		{later, map[string]float64{cpu("11"): 1, cpu("12"): 0.5, cpu("10"): absent, cpu("13"): absent, rss("13"): 4 * pageSize}},
		{remove(11), map[string]float64{cpu("11"): absent, cpu("12"): absent, rss("12"): 3 * pageSize}},
	}}})
}

// TestNoRoom has more names than there is room for. What is used under them
// stays in the sums.
func TestNoRoom(t *testing.T) {
	const config = "- {name: fixed, comm: [fixed]}\n- {name: 'few {{.Comm}}', comm: [f1, f2, f3], max_groups: 2}\n- {name: '{{.Comm}}', cmdline: ['.+']}"
	used := func(pid int, comm string, ticks uint64) proctree.Process {
		return edited(proc(pid, 1, comm, comm), func(p *proctree.Process) { p.UTime, p.Start = ticks, uptime+1 })
	}
	cpu := func(group string) string { return by("cpu_seconds_total", group, "mode", "user") }
	play(t, []scenario{{"names", setup{config: config, opts: grouping.Options{Children: true, MaxGroups: 4}}, nil, []step{
		{set(used(30, "f1", 1), used(31, "f2", 2), used(32, "f3", 4)), map[string]float64{by("num_procs", "few f1"): 1, by("num_procs", "few f2"): 1, by("num_procs", "_other"): 1, cpu("_other"): 0.04, "namedprocess_exporter_group_limit_hits_total": 1}},
		{set(used(33, "a", 8), used(34, "b", 16)), map[string]float64{by("num_procs", "a"): 1, by("num_procs", "b"): absent, by("num_procs", "_other"): 2, cpu("_other"): 0.20, "namedprocess_exporter_group_limit_hits_total": 2}},
		{set(used(35, "fixed", 32)), map[string]float64{by("num_procs", "fixed"): 1, by("num_procs", "_other"): 2}}, // its room was always there
		{set(used(36, "_other", 64)), map[string]float64{by("num_procs", "_other"): 3, by("num_procs", "\uFFFD5fother"): absent}},
		{remove(30, 33), map[string]float64{by("num_procs", "few f1"): 0, cpu("few f1"): 0.01}},
		{set(used(40, "f1", 128), used(41, "c", 256)), map[string]float64{by("num_procs", "few f1"): 1, by("num_procs", "_other"): 4, cpu("few f1"): 1.29}}, // a known name keeps its place
		// Who was away for a day gives his room to one that has none, when that is named again.
		{func(w *world) {
			w.Uptime(uptime + 25*3600*100)
			w.Set(exec(used(41, "c", 256), "d", "d"))
		}, map[string]float64{by("num_procs", "a"): absent, by("num_procs", "d"): 1, by("num_procs", "_other"): 3}},
	}}})
}

// TestNoRoomForThreads has threads with more names than there is room for.
func TestNoRoomForThreads(t *testing.T) {
	p := proc(10, 1, "g", "g")
	p.MainThread = proctree.Thread{}
	for tid := 11; tid < 20; tid++ {
		p.Threads = append(p.Threads, proctree.Thread{TID: tid, Comm: fmt.Sprint("w", tid), Start: uint64(tid)})
	}
	limit := grouping.Options{Children: true, MaxThreadNames: 4}
	play(t, []scenario{{"threads", setup{config: groupG, opts: limit}, []proctree.Process{p}, []step{
		{nil, map[string]float64{onThread("thread_count", "w13"): 1, onThread("thread_count", "w14"): absent, onThread("thread_count", "_other"): 6, "namedprocess_exporter_thread_name_limit_hits_total": 6}}}}})
}

// TestReloadKeepsCounters changes the rules under a running exporter.
func TestReloadKeepsCounters(t *testing.T) {
	cpu := in("cpu_seconds_total", "mode", "user")
	play(t, []scenario{
		{"the same group by another rule", setup{config: groupG, opts: children}, []proctree.Process{user(100)}, []step{
			{set(user(200)), map[string]float64{cpu: 1}},
			{swap(t, "- {name: g, cmdline: ['^g']}"), map[string]float64{cpu: 1, in("num_procs"): 1}},
			{set(user(300)), map[string]float64{cpu: 2}}}},
		{"a group that no rule makes any more", setup{config: groupG, opts: children}, []proctree.Process{user(100)}, []step{
			{set(user(200)), map[string]float64{cpu: 1}},
			{swap(t, "- {name: h, comm: [g]}"), map[string]float64{cpu: 1, in("num_procs"): 0, by("num_procs", "h"): 1}},
			{set(user(300)), map[string]float64{cpu: 1, by("cpu_seconds_total", "h", "mode", "user"): 1}}}},
		{"a group that never had a process", setup{config: groupG, opts: children}, nil, []step{
			{nil, map[string]float64{in("num_procs"): 0}},
			{swap(t, "- {name: h, comm: [h]}"), map[string]float64{in("num_procs"): absent, by("num_procs", "h"): 0}}}},
		{"other expectations", setup{config: "- {name: g, comm: [g], expect: {min: 1}}", opts: children}, nil, []step{
			{swap(t, "- {name: g, comm: [g], expect: {min: 3}}"), map[string]float64{in("expected_min_procs"): 3}},
			{swap(t, groupG), map[string]float64{in("expected_min_procs"): absent, in("num_procs"): 0}}}},
	})
}

// TestReloadChangesLabels gives groups other labels. Those that differed by a
// label which is no more become one, and none of them loses anything.
func TestReloadChangesLabels(t *testing.T) {
	as := func(pid int, uid uint32, ticks uint64) proctree.Process {
		return edited(proc(pid, 1, "g", "g"), func(p *proctree.Process) {
			p.UIDs, p.UTime = [4]uint32{uid, uid}, ticks
			p.MainThread.UTime, p.Threads = ticks, []proctree.Thread{{TID: pid + 1000, Comm: "w", UTime: 0, Start: 11}}
		})
	}
	w := newWorld(t, setup{config: "- {name: g, comm: [g], labels: {who: '{{.Username}}'}}", opts: children}, as(10, 77777, 100), as(11, 88888, 100))
	scrape := func() map[string]float64 {
		families, err := w.c.For(context.Background()).Gather()
		if err != nil {
			t.Fatal(err)
		}
		return flatten(families)
	}
	w.Set(as(10, 77777, 200), as(11, 88888, 300))
	w.want(scrape(), map[string]float64{in("cpu_seconds_total", "mode", "user", "who", "77777"): 1, in("cpu_seconds_total", "mode", "user", "who", "88888"): 2})

	swap(t, "- {name: g, comm: [g]}")(w)
	w.want(scrape(), map[string]float64{in("cpu_seconds_total", "mode", "user"): 3, in("num_procs"): 2, onThread("thread_count", "w"): 2, onThread("thread_cpu_seconds_total", "g", "mode", "user"): 3})

	swap(t, "- {name: g, comm: [g], labels: {zone: z}}")(w)
	w.Set(as(10, 77777, 300), as(11, 88888, 300))
	got := scrape()
	w.want(got, map[string]float64{in("cpu_seconds_total", "mode", "user", "zone", "z"): 1, in("num_procs", "zone", "z"): 2, in("cpu_seconds_total", "mode", "user", "zone", ""): 3, in("num_procs", "zone", ""): 0})
	for key := range got {
		if strings.Contains(key, `groupname="`) && !strings.Contains(key, `zone="`) {
			t.Errorf("got %s without the new label", key)
		}
	}
}

// TestReservedLabels guards that no rule can give a label that a metric has.
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
