package collector

import (
	"testing"

	"github.com/seed57308aee/process_exporter/testdata/proctree"
)

// decreasesOf returns the key of a series of counter decreases.
func decreasesOf(counter string) string {
	return `namedprocess_exporter_counter_decreases_total{counter="` + counter + `"}`
}

// TestCounterDecreases checks that a lower value counts as a decrease, except after
// execve(2), a read error or a reuse of the PID.
func TestCounterDecreases(t *testing.T) {
	cpu, faults, io, switches := decreasesOf("cpu"), decreasesOf("faults"), decreasesOf("io"), decreasesOf("switches")
	all := func(n uint64) proctree.Process {
		return processG(func(p *proctree.Process) {
			p.UTime, p.STime, p.MinFlt, p.ReadBytes, p.WriteBytes, p.Voluntary = n, n, n, n, n, n
		})
	}
	none := map[string]float64{cpu: 0, faults: 0, io: 0, switches: 0}
	at := func(change func(p *proctree.Process), p proctree.Process) proctree.Process { change(&p); return p }
	executed := func(p *proctree.Process) { p.StackStart = 4096 }
	denied := func(files ...string) proctree.Process { // with zero in the other counters
		return processG(func(p *proctree.Process) { p.UTime, p.STime, p.MinFlt, p.Broken = 20, 20, 20, files })
	}
	worker := func(main, worker uint64) proctree.Process {
		return gWithThreads(proctree.Thread{Voluntary: main}, proctree.Thread{TID: 11, Comm: "w", Start: 11, Voluntary: worker})
	}
	runScenarios(t, []scenario{
		{"counters increase or do not change", setup{config: groupG, opts: withChildren}, []proctree.Process{all(10)}, []step{
			{set(all(20)), none}, {nil, none}}},
		{"bytes read", setup{config: groupG, opts: withChildren}, []proctree.Process{all(10)}, []step{
			{set(at(func(p *proctree.Process) { p.ReadBytes = 9 }, all(10))), map[string]float64{cpu: 0, faults: 0, io: 1, switches: 0}}}},
		{"value stays lower", setup{config: groupG, opts: withChildren}, []proctree.Process{all(10)}, []step{
			{set(at(func(p *proctree.Process) { p.ReadBytes, p.MinFlt = 5, 5 }, all(10))), map[string]float64{io: 1, faults: 1}},
			{set(at(func(p *proctree.Process) { p.ReadBytes, p.MinFlt = 7, 7 }, all(10))), map[string]float64{io: 1, faults: 1}},
			{set(all(11)), map[string]float64{io: 1, faults: 1}},
			{set(at(func(p *proctree.Process) { p.ReadBytes, p.Voluntary = 5, 5 }, all(11))), map[string]float64{io: 2, faults: 1, switches: 1}}}},
		{"process in no group", setup{config: groupG, opts: withChildren}, []proctree.Process{withComm("x", all(10))}, []step{
			{set(at(func(p *proctree.Process) { p.Comm, p.UTime, p.STime = "x", 30, 9 }, all(10))), map[string]float64{cpu: 1}}}},
		{"thread other than the main thread", setup{config: groupG, opts: withChildren}, []proctree.Process{worker(10, 10)}, []step{
			{set(worker(10, 9)), map[string]float64{switches: 1}}}},
		{"execve in another thread", setup{config: groupG, opts: withChildren}, []proctree.Process{worker(10, 5)}, []step{
			{set(at(executed, processG(func(p *proctree.Process) { p.Voluntary = 5 }))), none}, {nil, none}}},
		{"execve in a thread that no walk has seen", setup{config: groupG, opts: withChildren}, []proctree.Process{all(10)}, []step{
			{set(at(func(p *proctree.Process) { p.StackStart, p.Voluntary = 4096, 1 }, all(10))), none}, {nil, none}}},
		{"unreadable files", setup{config: groupG, opts: withChildren}, []proctree.Process{all(10)}, []step{
			{set(denied("io", "status")), none}, {set(denied("stat", "io", "status")), none}, {set(at(func(p *proctree.Process) { p.UTime, p.STime, p.MinFlt = 20, 20, 20 }, all(11))), none}}},
		{"PID is reused", setup{config: groupG, opts: withChildren}, []proctree.Process{all(10)}, []step{
			{set(born(all(1))), none}}},
	})
}
