package collector

import (
	"testing"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/test/procfstree"
)

// initProcess is a live process of every scenario: a walk without processes fails.
var initProcess = proc(1, 0, "init", "init")

// startedLater returns p with a start after the first walk, so that its usage before its
// first sample counts.
func startedLater(p procfstree.Process) procfstree.Process {
	p.Start = uptime + 50
	return p
}

// withComm returns p with another name, without exec.
func withComm(comm string, p procfstree.Process) procfstree.Process {
	p.Comm = comm
	return p
}

// threadSeriesG returns the key of a series of a thread name in group g.
func threadSeriesG(metric, name string, more ...string) string {
	return seriesG(metric, append([]string{"threadname", name}, more...)...)
}

// A scenario is a fixture and the steps that it runs.
type scenario struct {
	name  string
	setup setup
	first []procfstree.Process // in addition to initProcess
	steps []step
}

func runScenarios(t *testing.T, scenarios []scenario) {
	t.Helper()
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			f := newFixture(t, s.setup, append([]procfstree.Process{initProcess}, s.first...)...)
			for i, step := range s.steps {
				if step.change != nil {
					step.change(f)
				}
				f.want(f.scrape(), step.want)
				if t.Failed() {
					t.Fatalf("at step %d", i)
				}
			}
		})
	}
}

const (
	groupsAG = "- {name: a, comm: [a]}\n- {name: g, comm: [g]}"
	argsG    = "- {name: g, cmdline: [g]}"
)

// TestNoDoubleCounting checks that usage counts once if counters do not change,
// decrease, or include usage that was counted or that is from before the first walk.
func TestNoDoubleCounting(t *testing.T) { runScenarios(t, doubleCountingScenarios) }

var mainThreadSecondsG = threadSeriesG("thread_cpu_seconds_total", "g", "mode", "user")

func startedLaterWithCPU(inUser, inSystem uint64) procfstree.Process {
	p := startedLater(gWithCPU(inUser))
	p.STime = inSystem
	return p
}

func threadReads(broken ...string) procfstree.Process {
	p := gWithThreads(procfstree.Thread{}, procfstree.Thread{TID: 11, Comm: "w", Start: 11, ReadBytes: 1e9})
	p.ReadBytes, p.Broken = 1e9, broken
	return p
}

func busyProcess(comm string, n uint64) procfstree.Process {
	return processG(func(p *procfstree.Process) { p.Comm, p.ReadBytes, p.Voluntary, p.UTime = comm, n, n, n })
}

// afterExec is the process after execve(2) in its thread 11, which gets the TID of
// the main thread.
func afterExec(n uint64) procfstree.Process {
	return processG(func(p *procfstree.Process) { p.Voluntary, p.StackStart = n, 4096 })
}

func hiddenStatus(p procfstree.Process) procfstree.Process { p.Broken = []string{"status"}; return p }

var doubleCountingScenarios = []scenario{
	{
		name:  "thread usage before the process joins the group",
		setup: setup{config: groupsAG, opts: withChildren},
		steps: []step{
			{set(startedLater(withComm("a", gWithCPU(1000)))), map[string]float64{`cpu_seconds_total{groupname="a",mode="user"}`: 10}},
			{set(startedLater(gWithCPU(1000))), map[string]float64{userSecondsG: 0}},
			{
				set(startedLater(gWithThreads(procfstree.Thread{UTime: 1000}, procfstree.Thread{TID: 11, Comm: "w", Start: uptime + 60}))),
				map[string]float64{userSecondsG: 0, mainThreadSecondsG: 0},
			},
		},
	},
	{
		name:  "thread io before io of the process is readable",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{threadReads("io")},
		steps: []step{
			{
				set(threadReads()),
				map[string]float64{seriesG("read_bytes_total"): 0, threadSeriesG("thread_io_bytes_total", "w", "iomode", "read"): 0},
			},
		},
	},
	{
		name:  "usage while in no group",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{busyProcess("g", 100)},
		steps: []step{
			{set(busyProcess("x", 200)), nil},
			{set(busyProcess("x", 5000)), nil},
			{set(busyProcess("g", 5000)), map[string]float64{userSecondsG: 0, seriesG("read_bytes_total"): 0, voluntaryG: 0}},
			{set(busyProcess("g", 5100)), map[string]float64{userSecondsG: 1, seriesG("read_bytes_total"): 100, voluntaryG: 100}},
		},
	},
	{
		name:  "user time decreases and system time increases",
		setup: setup{config: groupG, opts: withChildren},
		steps: []step{
			{set(startedLaterWithCPU(1000, 500)), map[string]float64{userSecondsG: 10}},
			{set(startedLaterWithCPU(999, 501)), map[string]float64{userSecondsG: 10}},
			{set(startedLaterWithCPU(999, 501)), map[string]float64{userSecondsG: 10}},
			{set(startedLaterWithCPU(1001, 501)), map[string]float64{userSecondsG: 10.01}},
		},
	},
	{
		name:  "thread that calls execve keeps its context switches",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{withWorker(10, 0)},
		steps: []step{
			{set(withWorker(10, 100_000)), map[string]float64{voluntaryG: 100_000}},
			{set(afterExec(100_001)), map[string]float64{voluntaryG: 100_000}},
			// the switches before this walk are unknown
			{set(afterExec(100_009)), map[string]float64{voluntaryG: 100_008}},
		},
	},
	{
		name:  "thread that calls execve, status unreadable at first",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{withWorker(10, 0)},
		steps: []step{
			{set(withWorker(10, 100_000)), map[string]float64{voluntaryG: 100_000}},
			{set(hiddenStatus(afterExec(100_001))), map[string]float64{voluntaryG: 100_000}},
			{set(afterExec(100_002)), map[string]float64{voluntaryG: 100_000}},
			{set(afterExec(100_009)), map[string]float64{voluntaryG: 100_007}},
		},
	},
}

// TestSecondThreadStartsRepeatedly checks a process that mostly has one thread. The
// usage of the main thread must not count again with each second thread.
func TestSecondThreadStartsRepeatedly(t *testing.T) {
	f := newFixture(t, setup{config: groupG, opts: withChildren}, initProcess)
	key := threadSeriesG("thread_cpu_seconds_total", "g", "mode", "user")
	for i := range 5 {
		p := gWithThreads(procfstree.Thread{UTime: 1000}, procfstree.Thread{TID: 60 + i, Comm: "w", Start: uptime + 60 + uint64(i)})
		f.Set(startedLater(p))
		f.want(f.scrape(), map[string]float64{key: 10})
		f.Set(startedLater(gWithCPU(1000)))
		f.want(f.scrape(), map[string]float64{key: absent, seriesG("cpu_seconds_total", "mode", "user"): 10})
	}
}

// TestReadErrorsKeepProcess checks that a process with unreadable files stays in its
// group, and that unknown values are not exported as 0.
func TestReadErrorsKeepProcess(t *testing.T) { runScenarios(t, readErrorScenarios) }

var hiddenStat = edited(startedLater(gWithCPU(500)), func(p *procfstree.Process) { p.Broken = []string{"stat"} })
var beforeExit = edited(startedLater(gWithCPU(10)), func(p *procfstree.Process) { p.StackStart = 4096 })
var duringExit = edited(startedLater(gWithCPU(300)), func(p *procfstree.Process) { p.Args, p.State, p.Flags = nil, "D", 4 })

func withDescriptors(pid, fds int, broken string) procfstree.Process {
	return processG(func(p *procfstree.Process) { p.PID, p.FDs, p.Broken = pid, fds, []string{broken} })
}

// withMainThreadState returns a process whose main thread has the given state.
func withMainThreadState(state string) procfstree.Process {
	p := gWithThreads(procfstree.Thread{State: state}, procfstree.Thread{TID: 11, Comm: "w", Start: 11, State: "R"})
	p.FDs = 100
	return p
}

// duringExit has released its memory and is not a zombie yet.
func setBeforeExit(f *fixture) { f.Uptime(uptime + 60); f.Set(beforeExit) }

var readErrorScenarios = []scenario{
	{
		name:  "walk without processes",
		setup: setup{config: groupG, opts: withChildren},
		steps: []step{
			{set(startedLater(gWithCPU(500))), map[string]float64{userSecondsG: 5}},
			{remove(1, 10), map[string]float64{"namedprocess_exporter_scrape_success": 0, "namedprocess_scrape_errors": 1}},
			{set(initProcess, hiddenStat), map[string]float64{seriesG("num_procs"): 1, userSecondsG: 5}},
			{set(startedLater(gWithCPU(500))), map[string]float64{seriesG("num_procs"): 1, userSecondsG: 5}},
		},
	},
	{
		name:  "stat unreadable from the start",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{withDescriptors(10, 0, "stat")},
		steps: []step{
			{nil, map[string]float64{"namedprocess_scrape_procread_errors": 2, seriesG("num_procs"): 0}},
		},
	},
	{
		name:  "ratio needs descriptors and limit of the same process",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{withDescriptors(10, 4, "fd"), withDescriptors(20, 1000, "limits")},
		steps: []step{
			{
				nil,
				map[string]float64{
					seriesG("worst_fd_ratio"):                     absent,
					seriesG("unreadable_procs", "file", "fd"):     1,
					seriesG("unreadable_procs", "file", "limits"): 1,
				},
			},
		},
	},
	{
		name:  "zombie main thread with open files",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{withMainThreadState("S")},
		steps: []step{
			{nil, map[string]float64{seriesG("open_filedesc"): 100}},
			{
				set(withMainThreadState("Z")),
				map[string]float64{seriesG("open_filedesc"): 100, seriesG("unreadable_procs", "file", "fd"): absent, seriesG("num_procs"): 1},
			},
		},
	},
	{
		name:  "young process exits",
		setup: setup{config: argsG, opts: withChildren},
		steps: []step{
			{setBeforeExit, map[string]float64{seriesG("num_procs"): 1}},
			{set(duringExit), map[string]float64{seriesG("num_procs"): 1, userSecondsG: 3, seriesG("group_changes_total"): 0}},
		},
	},
}

// TestThreadsFollowGroupChange checks that the threads of a process that leaves its
// group and joins another one later are counted in the new group only.
func TestThreadsFollowGroupChange(t *testing.T) {
	two := func(comm string) procfstree.Process {
		return withComm(comm, gWithThreads(procfstree.Thread{}, procfstree.Thread{TID: 11, Comm: "w", Start: 11}))
	}
	for name, remove := range map[string]bool{"keep empty groups": false, "remove empty groups": true} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, setup{config: groupsAG, opts: grouping.Options{Children: true, RemoveEmpty: remove}}, initProcess, two("a"))
			f.Set(two("x"))
			f.scrape()
			f.Set(two("g"))
			f.want(f.scrape(), map[string]float64{
				seriesG("num_procs"):                         1,
				threadSeriesG("thread_count", "w"):           1,
				`thread_count{groupname="a",threadname="w"}`: absent,
			})
		})
	}
}
