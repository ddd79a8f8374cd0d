package collector

import (
	"math"
	"os"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/test/procfstree"
)

// The tests of this file check counters and gauges. The tests TestCompatibility* are cases in
// which a successor of ncabatoff/process-exporter is likely to differ from it.

const groupG = "- {name: g, comm: [g]}"

// A step changes the processes of a fixture. want has values of the next scrape.
type step struct {
	change func(*fixture)
	want   map[string]float64
}

func set(ps ...procfstree.Process) func(*fixture) { return func(f *fixture) { f.Set(ps...) } }
func remove(pids ...int) func(*fixture)           { return func(f *fixture) { f.Remove(pids...) } }

// processG returns a process of group g with PID 10, after edit.
func processG(edit func(*procfstree.Process)) procfstree.Process {
	p := proc(10, 1, "g", "g")
	if edit != nil {
		edit(&p)
	}
	return p
}

// gWithCPU returns a process of group g with user time in clock ticks.
func gWithCPU(ticks uint64) procfstree.Process {
	return processG(func(p *procfstree.Process) { p.UTime = ticks })
}

// gWithThreads returns a process of group g. The first thread is the main thread.
func gWithThreads(ths ...procfstree.Thread) procfstree.Process {
	return processG(func(p *procfstree.Process) {
		p.MainThread, p.Threads = ths[0], ths[1:]
		for _, th := range ths {
			p.UTime += th.UTime
		}
	})
}

func TestCompatibilityCounters(t *testing.T) { runScenarios(t, compatibilityScenarios) }

var userSecondsG = seriesG("cpu_seconds_total", "mode", "user")
var voluntaryG = seriesG("context_switches_total", "ctxswitchtype", "voluntary")
var withoutGCThread = gWithThreads(procfstree.Thread{}, procfstree.Thread{TID: 20, Comm: "app", Start: 20})

func withThreeSwitches(a, b, c uint64) procfstree.Process {
	ths := []procfstree.Thread{{Voluntary: a}, {TID: 11, Comm: "w", Start: 11, Voluntary: b}, {TID: 12, Comm: "w", Start: 12, Voluntary: c}}
	if c == 0 {
		ths = ths[:2]
	}
	return gWithThreads(ths...)
}

func withGCThread(tid int, ticks uint64) procfstree.Process {
	return gWithThreads(
		procfstree.Thread{},
		procfstree.Thread{TID: 20, Comm: "app", Start: 20},
		procfstree.Thread{TID: tid, Comm: "GC", Start: uint64(tid), UTime: ticks},
	)
}

func withReads(n uint64, broken ...string) procfstree.Process {
	return processG(func(p *procfstree.Process) { p.ReadBytes, p.Broken = n, broken })
}

var compatibilityScenarios = []scenario{
	{
		name:  "usage before the first walk does not count",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{gWithCPU(500)},
		steps: []step{
			{set(gWithCPU(500)), map[string]float64{userSecondsG: 0}},
			{set(gWithCPU(700)), map[string]float64{userSecondsG: 2}},
		},
	},
	{
		name:  "usage of a process that starts later counts in full",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{initProcess},
		steps: []step{
			{set(startedLater(gWithCPU(300))), map[string]float64{userSecondsG: 3, seriesG("num_procs"): 1}},
			{remove(10), map[string]float64{userSecondsG: 3, seriesG("num_procs"): 0}},
		},
	},
	{
		name:  "empty group keeps its counters",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{
			gWithThreads(procfstree.Thread{WChan: "futex_wait"}, procfstree.Thread{TID: 11, Comm: "w", Start: 11, WChan: "futex_wait"}),
		},
		steps: []step{
			{
				set(
					gWithThreads(procfstree.Thread{UTime: 40, WChan: "futex_wait"}, procfstree.Thread{TID: 11, Comm: "w", Start: 11, WChan: "futex_wait"}),
				),
				map[string]float64{userSecondsG: 0.4, threadSeriesG("thread_count", "w"): 1, seriesG("threads_wchan", "wchan", "futex_wait"): 2},
			},
			{
				remove(10),
				map[string]float64{
					userSecondsG:         0.4,
					seriesG("num_procs"): 0,
					seriesG("memory_bytes", "memtype", "resident"):                 0,
					seriesG("open_filedesc"):                                       0,
					seriesG("states", "state", "Sleeping"):                         0,
					seriesG("num_threads"):                                         0,
					seriesG("worst_fd_ratio"):                                      0,
					threadSeriesG("thread_count", "w"):                             absent,
					threadSeriesG("thread_cpu_seconds_total", "w", "mode", "user"): absent,
					seriesG("threads_wchan", "wchan", "futex_wait"):                absent,
					seriesG("memory_bytes", "memtype", "proportionalResident"):     0,
					seriesG("oldest_start_time_seconds"):                           absent,
				},
			},
		},
	},
	{
		name:  "-remove-empty-groups drops the counters",
		setup: setup{config: groupG, opts: grouping.Options{RemoveEmpty: true}},
		first: []procfstree.Process{gWithCPU(500)},
		steps: []step{
			{set(gWithCPU(700)), map[string]float64{userSecondsG: 2}},
			{remove(10), map[string]float64{userSecondsG: absent, seriesG("num_procs"): absent}},
			{set(gWithCPU(800)), map[string]float64{userSecondsG: 0, seriesG("num_procs"): 1}},
		},
	},
	{
		name:  "context switches of an exited thread stay",
		setup: setup{config: groupG, opts: withChildren, disabled: grouping.CollectorThreads},
		first: []procfstree.Process{withThreeSwitches(10, 20, 1000)},
		steps: []step{
			{set(withThreeSwitches(12, 25, 1100)), map[string]float64{voluntaryG: 107}},
			{set(withThreeSwitches(13, 25, 0)), map[string]float64{voluntaryG: 108}},
			{set(withThreeSwitches(13, 26, 0)), map[string]float64{voluntaryG: 109}},
		},
	},
	{
		name:  "context switches of an exited thread stay, with thread metrics",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{withThreeSwitches(10, 20, 1000)},
		steps: []step{
			{set(withThreeSwitches(12, 25, 1100)), map[string]float64{voluntaryG: 107}},
			{
				set(withThreeSwitches(13, 26, 0)),
				map[string]float64{voluntaryG: 109, threadSeriesG("thread_context_switches_total", "w", "ctxswitchtype", "voluntary"): 106},
			},
		},
	},
	{
		name:  "io becomes unreadable",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{withReads(1000)},
		steps: []step{
			{set(withReads(1500)), map[string]float64{seriesG("read_bytes_total"): 500}},
			{set(withReads(1500, "io")), map[string]float64{seriesG("read_bytes_total"): 500, seriesG("unreadable_procs", "file", "io"): 1}},
			{set(withReads(1600)), map[string]float64{seriesG("read_bytes_total"): 600, seriesG("unreadable_procs", "file", "io"): absent}},
		},
	},
	{
		name:  "limits unreadable once",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{initProcess},
		steps: []step{
			{set(startedLater(gWithCPU(50))), map[string]float64{userSecondsG: 0.5}},
			{
				set(processG(func(p *procfstree.Process) { p.UTime, p.Start, p.Broken = 60, uptime+50, []string{"limits"} })),
				map[string]float64{
					userSecondsG:                                  0.6,
					seriesG("num_procs"):                          1,
					seriesG("worst_fd_ratio"):                     absent,
					seriesG("unreadable_procs", "file", "limits"): 1,
				},
			},
			{set(startedLater(gWithCPU(60))), map[string]float64{userSecondsG: 0.6, seriesG("num_procs"): 1}},
		},
	},
	{
		name:  "stat unreadable once",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{initProcess},
		steps: []step{
			{set(startedLater(gWithCPU(50))), map[string]float64{userSecondsG: 0.5}},
			{
				set(processG(func(p *procfstree.Process) { p.Broken = []string{"stat"} })),
				map[string]float64{
					userSecondsG:         0.5,
					seriesG("num_procs"): 1,
					seriesG("memory_bytes", "memtype", "resident"): absent,
					seriesG("unreadable_procs", "file", "stat"):    1,
					"namedprocess_scrape_procread_errors":          1,
				},
			},
			{set(startedLater(gWithCPU(60))), map[string]float64{userSecondsG: 0.6, seriesG("num_procs"): 1}},
		},
	},
	{
		name:  "main thread counts once",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{
			gWithThreads(
				procfstree.Thread{State: "S", WChan: "futex_wait"},
				procfstree.Thread{TID: 11, Comm: "w", State: "S", Start: 11, WChan: "futex_wait"},
				procfstree.Thread{TID: 12, Comm: "w", State: "R", Start: 12},
			)},
		steps: []step{
			{
				nil,
				map[string]float64{
					seriesG("num_threads"):                          3,
					seriesG("states", "state", "Sleeping"):          2,
					seriesG("states", "state", "Running"):           1,
					seriesG("states", "state", "Zombie"):            0,
					seriesG("states", "state", "Waiting"):           0,
					seriesG("states", "state", "Other"):             0,
					seriesG("threads_wchan", "wchan", "futex_wait"): 2,
				},
			},
		},
	},
	{
		name:  "thread name returns with its counters",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{withGCThread(30, 0)},
		steps: []step{
			{set(withGCThread(30, 4)), map[string]float64{threadSeriesG("thread_cpu_seconds_total", "GC", "mode", "user"): 0.04}},
			{set(withoutGCThread), map[string]float64{threadSeriesG("thread_cpu_seconds_total", "GC", "mode", "user"): absent}},
			{set(withGCThread(31, 100)), map[string]float64{threadSeriesG("thread_cpu_seconds_total", "GC", "mode", "user"): 1.04}},
			{set(withGCThread(31, 150)), map[string]float64{threadSeriesG("thread_cpu_seconds_total", "GC", "mode", "user"): 1.54}},
		},
	},
	{
		name:  "process of one thread has no thread series",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{gWithCPU(1)},
		steps: []step{
			{nil, map[string]float64{seriesG("num_threads"): 1, threadSeriesG("thread_count", "g"): absent}},
		},
	},
	{
		name:  "descriptor limit of 0 has no ratio",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{processG(func(p *procfstree.Process) { p.FDs, p.FDLimit = 4, "0" })},
		steps: []step{
			{nil, map[string]float64{seriesG("open_filedesc"): 4, seriesG("worst_fd_ratio"): 0}},
		},
	},
	{
		name:  "unlimited descriptors",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{processG(func(p *procfstree.Process) { p.FDs, p.FDLimit = 4, "unlimited" })},
		steps: []step{
			{nil, map[string]float64{seriesG("worst_fd_ratio"): 4.0 / math.MaxUint64}},
		},
	},
	{
		name:  "unreadable fd directory",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{processG(func(p *procfstree.Process) { p.Broken = []string{"fd"} })},
		steps: []step{
			{
				nil,
				map[string]float64{
					seriesG("open_filedesc"):                  absent,
					seriesG("worst_fd_ratio"):                 absent,
					seriesG("unreadable_procs", "file", "fd"): 1,
					"namedprocess_scrape_partial_errors":      2,
				},
			},
		},
	},
	{
		name:  "smaps disabled",
		setup: setup{config: groupG, opts: withChildren, disabled: grouping.CollectorSmaps},
		first: []procfstree.Process{gWithCPU(1)},
		steps: []step{
			{
				nil,
				map[string]float64{
					seriesG("memory_bytes", "memtype", "proportionalResident"): absent,
					seriesG("memory_bytes", "memtype", "proportionalSwapped"):  absent,
					seriesG("memory_bytes", "memtype", "unique"):               absent,
					seriesG("memory_bytes", "memtype", "resident"):             0,
				},
			},
		},
	},
	{
		name:  "unreadable smaps",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{processG(func(p *procfstree.Process) { p.Broken = []string{"smaps_rollup"} })},
		steps: []step{
			{
				nil,
				map[string]float64{
					seriesG("memory_bytes", "memtype", "proportionalResident"): absent,
					seriesG("unreadable_procs", "file", "smaps"):               1,
					"namedprocess_scrape_partial_errors":                       2,
				},
			},
		},
	},
	{
		name:  "thread metrics disabled",
		setup: setup{config: groupG, opts: withChildren, disabled: grouping.CollectorThreads},
		first: []procfstree.Process{withThreeSwitches(1, 2, 3)},
		steps: []step{
			{
				nil,
				map[string]float64{
					threadSeriesG("thread_count", "w"):     absent,
					seriesG("num_threads"):                 3,
					seriesG("states", "state", "Sleeping"): 3,
					voluntaryG:                             0,
				},
			},
		},
	},
	{
		name:  "running thread has no wait channel",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{gWithCPU(1)},
		steps: []step{
			{nil, map[string]float64{seriesG("threads_wchan", "wchan", "0"): absent, seriesG("threads_wchan", "wchan", ""): absent}},
		},
	},
	{
		name:  "memory units",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{processG(func(p *procfstree.Process) {
			p.RSS, p.VSize, p.SwapKB, p.PSSKB, p.SwapPSSKB, p.USSKB = 100, 1<<20, 8, 200, 4, 120
		})},
		steps: []step{
			{
				nil,
				map[string]float64{
					seriesG("memory_bytes", "memtype", "resident"):             100 * pageSize,
					seriesG("memory_bytes", "memtype", "virtual"):              1 << 20,
					seriesG("memory_bytes", "memtype", "swapped"):              8192,
					seriesG("memory_bytes", "memtype", "proportionalResident"): 204800,
					seriesG("memory_bytes", "memtype", "proportionalSwapped"):  4096,
					seriesG("memory_bytes", "memtype", "unique"):               122880,
				},
			},
		},
	},
	{
		name:  "name with parentheses",
		setup: setup{config: `- {name: g, comm: ["a) R 1 (b"]}`, opts: withChildren},
		first: []procfstree.Process{proc(10, 1, "a) R 1 (b", "x")},
		steps: []step{
			{nil, map[string]float64{seriesG("num_procs"): 1, seriesG("states", "state", "Sleeping"): 1}},
		},
	},
	{
		name:  "zombie stays in its group",
		setup: setup{config: "- {name: g, cmdline: [g]}", opts: withChildren},
		first: []procfstree.Process{processG(func(p *procfstree.Process) { p.RSS, p.StackStart = 100, 4096 })},
		steps: []step{
			{
				set(processG(func(p *procfstree.Process) { p.Args, p.State = nil, "Z" })),
				map[string]float64{seriesG("num_procs"): 1, seriesG("states", "state", "Zombie"): 1, seriesG("memory_bytes", "memtype", "resident"): 0,
					seriesG(
						"memory_bytes",
						"memtype",
						"proportionalResident",
					): 0, "namedprocess_scrape_partial_errors": 1, seriesG("unreadable_procs", "file", "smaps"): absent},
			},
		},
	},
	{
		name:  "kernel counter decreases",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{withReads(1000)},
		steps: []step{
			{set(withReads(1500)), map[string]float64{seriesG("read_bytes_total"): 500}},
			{set(withReads(700)), map[string]float64{seriesG("read_bytes_total"): 500}},
			{set(withReads(1600)), map[string]float64{seriesG("read_bytes_total"): 600}},
		},
	},
}

func TestCompatibilityTwoScrapers(t *testing.T) {
	alone := newFixture(t, setup{config: groupG, opts: withChildren}, gWithCPU(0))
	both := newFixture(t, setup{config: groupG, opts: withChildren}, gWithCPU(0))
	second := both.reg
	for ticks := uint64(100); ticks <= 500; ticks += 100 {
		alone.Set(gWithCPU(ticks))
		both.Set(gWithCPU(ticks))
		if _, err := second.Gather(); err != nil {
			t.Fatal(err)
		}
		got, want := both.scrape(), alone.scrape()
		if key := seriesG("cpu_seconds_total", "mode", "user"); got[key] != want[key] || got[key] != float64(ticks)/100 {
			t.Errorf("got %v with a second scraper and %v without, want %v", got[key], want[key], float64(ticks)/100)
		}
	}
}

// TestCompatibilityNamesNotUTF8 checks names of processes and threads that are not UTF-8.
func TestCompatibilityNamesNotUTF8(t *testing.T) {
	a, b := gWithThreads(
		procfstree.Thread{},
		procfstree.Thread{TID: 11, Comm: "caf\xe9", Start: 11},
	), gWithThreads(procfstree.Thread{}, procfstree.Thread{TID: 21, Comm: "q\"\n\\", Start: 21})
	a.Comm, b.Comm, b.PID = "caf\xe9", "caf\xe8", 20
	f := newFixture(t, setup{
		config: "- {name: '{{.Comm}}', comm: [\"caf\\xE9\"]}\n- {name: '{{.Comm}}', cmdline: ['.']}",
		opts:   withChildren,
	}, a, b)
	got := f.scrape()
	names := 0
	for key := range got {
		if strings.HasPrefix(key, "num_procs{") {
			names++
		}
	}
	if names != 2 {
		t.Errorf("got %d groups of two names that differ in a byte that is not UTF-8, want 2: %v", names, f.procs())
	}
}

var pageSize = float64(os.Getpagesize())
