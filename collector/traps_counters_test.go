package collector

import (
	"math"
	"os"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/testdata/proctree"
)

// The tests of this file are the traps 51 to 73 of the drop-in contract:
// counters and gauges. The numbers are those of docs/migration.md.

const groupG = "- {name: g, comm: [g]}"

// A step changes the world and tells what a scrape must say then.
type step struct {
	change func(*world)
	want   map[string]float64
}

func set(ps ...proctree.Process) func(*world) { return func(w *world) { w.Set(ps...) } }
func remove(pids ...int) func(*world)         { return func(w *world) { w.Remove(pids...) } }

// g returns a process of group g, changed by what edit does.
func g(edit func(*proctree.Process)) proctree.Process {
	p := proc(10, 1, "g", "g")
	if edit != nil {
		edit(&p)
	}
	return p
}

func user(ticks uint64) proctree.Process {
	return g(func(p *proctree.Process) { p.UTime = ticks })
}

func threads(ths ...proctree.Thread) proctree.Process {
	return g(func(p *proctree.Process) {
		p.MainThread, p.Threads = ths[0], ths[1:]
		for _, th := range ths {
			p.UTime += th.UTime
		}
	})
}

func TestTraps6e(t *testing.T) {
	init := proc(1, 0, "init", "init")
	cpu := in("cpu_seconds_total", "mode", "user")
	voluntary := in("context_switches_total", "ctxswitchtype", "voluntary")
	thread := func(metric, name string, more ...string) string {
		return in(metric, append([]string{"threadname", name}, more...)...)
	}
	born := func(p proctree.Process) proctree.Process { p.Start = uptime + 50; return p }
	switches := func(a, b, c uint64) proctree.Process {
		ths := []proctree.Thread{{Voluntary: a}, {TID: 11, Comm: "w", Start: 11, Voluntary: b}, {TID: 12, Comm: "w", Start: 12, Voluntary: c}}
		if c == 0 {
			ths = ths[:2]
		}
		return threads(ths...)
	}
	gc := func(tid int, ticks uint64) proctree.Process {
		return threads(proctree.Thread{}, proctree.Thread{TID: 20, Comm: "app", Start: 20}, proctree.Thread{TID: tid, Comm: "GC", Start: uint64(tid), UTime: ticks})
	}
	noGC := threads(proctree.Thread{}, proctree.Thread{TID: 20, Comm: "app", Start: 20})
	io := func(n uint64, broken ...string) proctree.Process {
		return g(func(p *proctree.Process) { p.ReadBytes, p.Broken = n, broken })
	}
	tests := []struct {
		name  string
		setup setup
		first []proctree.Process
		steps []step
	}{
		{"trap 51: what a process used before the start is not counted", setup{config: groupG, opts: children}, []proctree.Process{user(500)}, []step{
			{set(user(500)), map[string]float64{cpu: 0}}, {set(user(700)), map[string]float64{cpu: 2}}}},
		{"trap 52, 53: a process born later counts in full, and stays counted", setup{config: groupG, opts: children}, []proctree.Process{init}, []step{
			{set(born(user(300))), map[string]float64{cpu: 3, in("num_procs"): 1}}, {remove(10), map[string]float64{cpu: 3, in("num_procs"): 0}}}},
		{"trap 54: an empty group keeps its counters", setup{config: groupG, opts: children},
			[]proctree.Process{threads(proctree.Thread{WChan: "futex_wait"}, proctree.Thread{TID: 11, Comm: "w", Start: 11, WChan: "futex_wait"})}, []step{
				{set(threads(proctree.Thread{UTime: 40, WChan: "futex_wait"}, proctree.Thread{TID: 11, Comm: "w", Start: 11, WChan: "futex_wait"})),
					map[string]float64{cpu: 0.4, thread("thread_count", "w"): 1, in("threads_wchan", "wchan", "futex_wait"): 2}},
				{remove(10), map[string]float64{cpu: 0.4, in("num_procs"): 0, in("memory_bytes", "memtype", "resident"): 0, in("open_filedesc"): 0, in("states", "state", "Sleeping"): 0,
					in("num_threads"): 0, in("worst_fd_ratio"): 0, thread("thread_count", "w"): absent, thread("thread_cpu_seconds_total", "w", "mode", "user"): absent, in("threads_wchan", "wchan", "futex_wait"): absent,
					in("memory_bytes", "memtype", "proportionalResident"): 0, in("oldest_start_time_seconds"): absent /* trap 55 */}}}},
		{"trap 56: -remove-empty-groups forgets", setup{config: groupG, opts: grouping.Options{RemoveEmpty: true}}, []proctree.Process{user(500)}, []step{
			{set(user(700)), map[string]float64{cpu: 2}}, {remove(10), map[string]float64{cpu: absent, in("num_procs"): absent}}, {set(user(800)), map[string]float64{cpu: 0, in("num_procs"): 1}}}},
		{"trap 57: a thread that exits takes no context switches away", setup{config: groupG, opts: children, noThreads: true}, []proctree.Process{switches(10, 20, 1000)}, []step{
			{set(switches(12, 25, 1100)), map[string]float64{voluntary: 107}}, {set(switches(13, 25, 0)), map[string]float64{voluntary: 108}}, {set(switches(13, 26, 0)), map[string]float64{voluntary: 109}}}},
		{"trap 57: with thread metrics too", setup{config: groupG, opts: children}, []proctree.Process{switches(10, 20, 1000)}, []step{
			{set(switches(12, 25, 1100)), map[string]float64{voluntary: 107}}, {set(switches(13, 26, 0)), map[string]float64{voluntary: 109, thread("thread_context_switches_total", "w", "ctxswitchtype", "voluntary"): 106}}}},
		{"trap 58: io that turns unreadable keeps its count", setup{config: groupG, opts: children}, []proctree.Process{io(1000)}, []step{
			{set(io(1500)), map[string]float64{in("read_bytes_total"): 500}}, {set(io(1500, "io")), map[string]float64{in("read_bytes_total"): 500, in("unreadable_procs", "file", "io"): 1}},
			{set(io(1600)), map[string]float64{in("read_bytes_total"): 600, in("unreadable_procs", "file", "io"): absent}}}},
		{"trap 59: limits unreadable once", setup{config: groupG, opts: children}, []proctree.Process{init}, []step{
			{set(born(user(50))), map[string]float64{cpu: 0.5}},
			{set(g(func(p *proctree.Process) { p.UTime, p.Start, p.Broken = 60, uptime+50, []string{"limits"} })), map[string]float64{cpu: 0.6, in("num_procs"): 1, in("worst_fd_ratio"): absent, in("unreadable_procs", "file", "limits"): 1}},
			{set(born(user(60))), map[string]float64{cpu: 0.6, in("num_procs"): 1}}}},
		{"trap 59: stat unreadable once", setup{config: groupG, opts: children}, []proctree.Process{init}, []step{
			{set(born(user(50))), map[string]float64{cpu: 0.5}},
			{set(g(func(p *proctree.Process) { p.Broken = []string{"stat"} })), map[string]float64{cpu: 0.5, in("num_procs"): 1, in("memory_bytes", "memtype", "resident"): absent, in("unreadable_procs", "file", "stat"): 1, "namedprocess_scrape_procread_errors": 1}},
			{set(born(user(60))), map[string]float64{cpu: 0.6, in("num_procs"): 1}}}},
		{"trap 60, 61: the main thread counts once", setup{config: groupG, opts: children}, []proctree.Process{
			threads(proctree.Thread{State: "S", WChan: "futex_wait"}, proctree.Thread{TID: 11, Comm: "w", State: "S", Start: 11, WChan: "futex_wait"}, proctree.Thread{TID: 12, Comm: "w", State: "R", Start: 12})}, []step{
			{nil, map[string]float64{in("num_threads"): 3, in("states", "state", "Sleeping"): 2, in("states", "state", "Running"): 1, in("states", "state", "Zombie"): 0, in("states", "state", "Waiting"): 0,
				in("states", "state", "Other"): 0, in("threads_wchan", "wchan", "futex_wait"): 2}}}},
		{"trap 62: a thread name that comes back keeps its history", setup{config: groupG, opts: children}, []proctree.Process{gc(30, 0)}, []step{
			{set(gc(30, 4)), map[string]float64{thread("thread_cpu_seconds_total", "GC", "mode", "user"): 0.04}},
			{set(noGC), map[string]float64{thread("thread_cpu_seconds_total", "GC", "mode", "user"): absent}},
			{set(gc(31, 100)), map[string]float64{thread("thread_cpu_seconds_total", "GC", "mode", "user"): 1.04}},
			{set(gc(31, 150)), map[string]float64{thread("thread_cpu_seconds_total", "GC", "mode", "user"): 1.54}}}},
		{"trap 63: one thread has no thread series", setup{config: groupG, opts: children}, []proctree.Process{user(1)}, []step{
			{nil, map[string]float64{in("num_threads"): 1, thread("thread_count", "g"): absent}}}},
		{"trap 64: a limit of 0 is left out", setup{config: groupG, opts: children}, []proctree.Process{g(func(p *proctree.Process) { p.FDs, p.FDLimit = 4, "0" })}, []step{
			{nil, map[string]float64{in("open_filedesc"): 4, in("worst_fd_ratio"): 0}}}},
		{"trap 65: no limit", setup{config: groupG, opts: children}, []proctree.Process{g(func(p *proctree.Process) { p.FDs, p.FDLimit = 4, "unlimited" })}, []step{
			{nil, map[string]float64{in("worst_fd_ratio"): 4.0 / math.MaxUint64}}}},
		{"trap 66: fds that cannot be read are not 0", setup{config: groupG, opts: children}, []proctree.Process{g(func(p *proctree.Process) { p.Broken = []string{"fd"} })}, []step{
			{nil, map[string]float64{in("open_filedesc"): absent, in("worst_fd_ratio"): absent, in("unreadable_procs", "file", "fd"): 1, "namedprocess_scrape_partial_errors": 2}}}},
		{"trap 67: no smaps wanted", setup{config: groupG, opts: children, noSmaps: true}, []proctree.Process{user(1)}, []step{
			{nil, map[string]float64{in("memory_bytes", "memtype", "proportionalResident"): absent, in("memory_bytes", "memtype", "proportionalSwapped"): absent, in("memory_bytes", "memtype", "unique"): absent, in("memory_bytes", "memtype", "resident"): 0}}}},
		{"trap 68: smaps that cannot be read are not 0", setup{config: groupG, opts: children}, []proctree.Process{g(func(p *proctree.Process) { p.Broken = []string{"smaps_rollup"} })}, []step{
			{nil, map[string]float64{in("memory_bytes", "memtype", "proportionalResident"): absent, in("unreadable_procs", "file", "smaps"): 1, "namedprocess_scrape_partial_errors": 2}}}},
		{"trap 69: without thread metrics", setup{config: groupG, opts: children, noThreads: true}, []proctree.Process{switches(1, 2, 3)}, []step{
			{nil, map[string]float64{thread("thread_count", "w"): absent, in("num_threads"): 3, in("states", "state", "Sleeping"): 3, voluntary: 0}}}},
		{"trap 70: awake", setup{config: groupG, opts: children}, []proctree.Process{user(1)}, []step{
			{nil, map[string]float64{in("threads_wchan", "wchan", "0"): absent, in("threads_wchan", "wchan", ""): absent}}}},
		{"trap 71: units of memory", setup{config: groupG, opts: children}, []proctree.Process{g(func(p *proctree.Process) {
			p.RSS, p.VSize, p.SwapKB, p.PSSKB, p.SwapPSSKB, p.USSKB = 100, 1<<20, 8, 200, 4, 120
		})}, []step{
			{nil, map[string]float64{in("memory_bytes", "memtype", "resident"): 100 * pageSize, in("memory_bytes", "memtype", "virtual"): 1 << 20, in("memory_bytes", "memtype", "swapped"): 8192,
				in("memory_bytes", "memtype", "proportionalResident"): 204800, in("memory_bytes", "memtype", "proportionalSwapped"): 4096, in("memory_bytes", "memtype", "unique"): 122880}}}},
		{"trap 72: a name with parentheses", setup{config: `- {name: g, comm: ["a) R 1 (b"]}`, opts: children}, []proctree.Process{proc(10, 1, "a) R 1 (b", "x")}, []step{
			{nil, map[string]float64{in("num_procs"): 1, in("states", "state", "Sleeping"): 1}}}},
		{"trap 72b: a process that turns zombie stays", setup{config: "- {name: g, cmdline: [g]}", opts: children}, []proctree.Process{g(func(p *proctree.Process) { p.RSS, p.StackStart = 100, 4096 })}, []step{
			{set(g(func(p *proctree.Process) { p.Args, p.State = nil, "Z" })), map[string]float64{in("num_procs"): 1, in("states", "state", "Zombie"): 1, in("memory_bytes", "memtype", "resident"): 0,
				in("memory_bytes", "memtype", "proportionalResident"): 0, "namedprocess_scrape_partial_errors": 1, in("unreadable_procs", "file", "smaps"): absent}}}},
		{"a counter of the kernel that falls takes nothing away", setup{config: groupG, opts: children}, []proctree.Process{io(1000)}, []step{
			{set(io(1500)), map[string]float64{in("read_bytes_total"): 500}}, {set(io(700)), map[string]float64{in("read_bytes_total"): 500}}, {set(io(1600)), map[string]float64{in("read_bytes_total"): 600}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.setup, append(tt.first, init)...)
			for i, s := range tt.steps {
				if s.change != nil {
					s.change(w)
				}
				w.want(w.scrape(), s.want)
				if t.Failed() {
					t.Fatalf("at step %d", i)
				}
			}
		})
	}
}

func TestTrap73TwoScrapers(t *testing.T) {
	alone := newWorld(t, setup{config: groupG, opts: children}, user(0))
	both := newWorld(t, setup{config: groupG, opts: children}, user(0))
	other := both.reg
	for ticks := uint64(100); ticks <= 500; ticks += 100 {
		alone.Set(user(ticks))
		both.Set(user(ticks))
		if _, err := other.Gather(); err != nil {
			t.Fatal(err)
		}
		got, want := both.scrape(), alone.scrape()
		if key := in("cpu_seconds_total", "mode", "user"); got[key] != want[key] || got[key] != float64(ticks)/100 {
			t.Errorf("got %v beside another scraper and %v alone, want %v", got[key], want[key], float64(ticks)/100)
		}
	}
}

// TestTraps76And77 has names that are not UTF-8, of a process and of a thread.
func TestTraps76And77(t *testing.T) {
	a, b := threads(proctree.Thread{}, proctree.Thread{TID: 11, Comm: "caf\xe9", Start: 11}), threads(proctree.Thread{}, proctree.Thread{TID: 21, Comm: "q\"\n\\", Start: 21})
	a.Comm, b.Comm, b.PID = "caf\xe9", "caf\xe8", 20
	w := newWorld(t, setup{config: "- {name: '{{.Comm}}', comm: [\"caf\\xE9\"]}\n- {name: '{{.Comm}}', cmdline: ['.']}", opts: children}, a, b)
	got := w.scrape()
	names := 0
	for key := range got {
		if strings.HasPrefix(key, "num_procs{") {
			names++
		}
	}
	if names != 2 {
		t.Errorf("got %d groups for two names that differ in one byte that is not UTF-8, want 2: %v", names, w.procs())
	}
}

var pageSize = float64(os.Getpagesize())
