package collector

import (
	"testing"

	"github.com/seed57308aee/process_exporter/test/procfstree"
)

// decreasesOf returns the key of a series of counter decreases.
func decreasesOf(counter string) string {
	return `namedprocess_exporter_counter_decreases_total{counter="` + counter + `"}`
}

// TestCounterDecreases checks that a lower value counts as a decrease, except after
// execve(2), a read error or a reuse of the PID.
func TestCounterDecreases(t *testing.T) { runScenarios(t, counterDecreaseScenarios) }

var (
	cpuDecreases    = decreasesOf("cpu")
	faultDecreases  = decreasesOf("faults")
	ioDecreases     = decreasesOf("io")
	switchDecreases = decreasesOf("switches")
	noDecreases     = map[string]float64{cpuDecreases: 0, faultDecreases: 0, ioDecreases: 0, switchDecreases: 0}
)

func usingAll(n uint64) procfstree.Process {
	return processG(func(p *procfstree.Process) {
		p.UTime, p.STime, p.MinFlt, p.ReadBytes, p.WriteBytes, p.Voluntary = n, n, n, n, n, n
	})
}

func setExecuted(p *procfstree.Process) { p.StackStart = 4096 }

func deniedFiles(files ...string) procfstree.Process { // with zero in the other counters
	return processG(func(p *procfstree.Process) { p.UTime, p.STime, p.MinFlt, p.Broken = 20, 20, 20, files })
}

func withWorker(main, worker uint64) procfstree.Process {
	return gWithThreads(procfstree.Thread{Voluntary: main}, procfstree.Thread{TID: 11, Comm: "w", Start: 11, Voluntary: worker})
}

var counterDecreaseScenarios = []scenario{
	{
		name:  "counters increase or do not change",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{usingAll(10)},
		steps: []step{
			{set(usingAll(20)), noDecreases},
			{nil, noDecreases},
		},
	},
	{
		name:  "bytes read",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{usingAll(10)},
		steps: []step{
			{
				set(edited(usingAll(10), func(p *procfstree.Process) { p.ReadBytes = 9 })),
				map[string]float64{cpuDecreases: 0, faultDecreases: 0, ioDecreases: 1, switchDecreases: 0},
			},
		},
	},
	{
		name:  "value stays lower",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{usingAll(10)},
		steps: []step{
			{
				set(edited(usingAll(10), func(p *procfstree.Process) { p.ReadBytes, p.MinFlt = 5, 5 })),
				map[string]float64{ioDecreases: 1, faultDecreases: 1},
			},
			{
				set(edited(usingAll(10), func(p *procfstree.Process) { p.ReadBytes, p.MinFlt = 7, 7 })),
				map[string]float64{ioDecreases: 1, faultDecreases: 1},
			},
			{set(usingAll(11)), map[string]float64{ioDecreases: 1, faultDecreases: 1}},
			{
				set(edited(usingAll(11), func(p *procfstree.Process) { p.ReadBytes, p.Voluntary = 5, 5 })),
				map[string]float64{ioDecreases: 2, faultDecreases: 1, switchDecreases: 1},
			},
		},
	},
	{
		name:  "process in no group",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{withComm("x", usingAll(10))},
		steps: []step{
			{set(edited(usingAll(10), func(p *procfstree.Process) { p.Comm, p.UTime, p.STime = "x", 30, 9 })), map[string]float64{cpuDecreases: 1}},
		},
	},
	{
		name:  "thread other than the main thread",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{withWorker(10, 10)},
		steps: []step{
			{set(withWorker(10, 9)), map[string]float64{switchDecreases: 1}},
		},
	},
	{
		name:  "execve in another thread",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{withWorker(10, 5)},
		steps: []step{
			{set(edited(processG(func(p *procfstree.Process) { p.Voluntary = 5 }), setExecuted)), noDecreases},
			{nil, noDecreases},
		},
	},
	{
		name:  "execve in a thread that no walk has seen",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{usingAll(10)},
		steps: []step{
			{set(edited(usingAll(10), func(p *procfstree.Process) { p.StackStart, p.Voluntary = 4096, 1 })), noDecreases},
			{nil, noDecreases},
		},
	},
	{
		name:  "unreadable files",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{usingAll(10)},
		steps: []step{
			{set(deniedFiles("io", "status")), noDecreases},
			{set(deniedFiles("stat", "io", "status")), noDecreases},
			{set(edited(usingAll(11), func(p *procfstree.Process) { p.UTime, p.STime, p.MinFlt = 20, 20, 20 })), noDecreases},
		},
	},
	{
		name:  "PID is reused",
		setup: setup{config: groupG, opts: withChildren},
		first: []procfstree.Process{usingAll(10)},
		steps: []step{
			{set(startedLater(usingAll(1))), noDecreases},
		},
	},
}
