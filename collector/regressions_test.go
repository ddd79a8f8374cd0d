package collector

import (
	"testing"

	"github.com/seed57308aee/process_exporter/testdata/proctree"
)

// regressionsOf is the key of a counter of regressions.
func regressionsOf(counter string) string {
	return `namedprocess_exporter_counter_decreases_total{counter="` + counter + `"}`
}

// TestRegressions has counters that fall, and those of which it only seems so: of
// a process that became another, cannot be read or has another's PID.
func TestRegressions(t *testing.T) {
	cpu, faults, io, switches := regressionsOf("cpu"), regressionsOf("faults"), regressionsOf("io"), regressionsOf("switches")
	all := func(n uint64) proctree.Process {
		return g(func(p *proctree.Process) {
			p.UTime, p.STime, p.MinFlt, p.ReadBytes, p.WriteBytes, p.Voluntary = n, n, n, n, n, n
		})
	}
	none := map[string]float64{cpu: 0, faults: 0, io: 0, switches: 0}
	at := func(change func(p *proctree.Process), p proctree.Process) proctree.Process { change(&p); return p }
	executed := func(p *proctree.Process) { p.StackStart = 4096 }
	denied := func(files ...string) proctree.Process { // and shown as if it had used nothing else
		return g(func(p *proctree.Process) { p.UTime, p.STime, p.MinFlt, p.Broken = 20, 20, 20, files })
	}
	worker := func(main, worker uint64) proctree.Process {
		return threads(proctree.Thread{Voluntary: main}, proctree.Thread{TID: 11, Comm: "w", Start: 11, Voluntary: worker})
	}
	play(t, []scenario{
		{"counters that grow, or stand still", setup{config: groupG, opts: children}, []proctree.Process{all(10)}, []step{
			{set(all(20)), none}, {nil, none}}},
		{"bytes read", setup{config: groupG, opts: children}, []proctree.Process{all(10)}, []step{
			{set(at(func(p *proctree.Process) { p.ReadBytes = 9 }, all(10))), map[string]float64{cpu: 0, faults: 0, io: 1, switches: 0}}}},
		{"what stays low has fallen once", setup{config: groupG, opts: children}, []proctree.Process{all(10)}, []step{
			{set(at(func(p *proctree.Process) { p.ReadBytes, p.MinFlt = 5, 5 }, all(10))), map[string]float64{io: 1, faults: 1}},
			{set(at(func(p *proctree.Process) { p.ReadBytes, p.MinFlt = 7, 7 }, all(10))), map[string]float64{io: 1, faults: 1}},
			{set(all(11)), map[string]float64{io: 1, faults: 1}},
			{set(at(func(p *proctree.Process) { p.ReadBytes, p.Voluntary = 5, 5 }, all(11))), map[string]float64{io: 2, faults: 1, switches: 1}}}},
		{"of a process in no group", setup{config: groupG, opts: children}, []proctree.Process{named("x", all(10))}, []step{
			{set(at(func(p *proctree.Process) { p.Comm, p.UTime, p.STime = "x", 30, 9 }, all(10))), map[string]float64{cpu: 1}}}},
		{"of a thread that is not the main one", setup{config: groupG, opts: children}, []proctree.Process{worker(10, 10)}, []step{
			{set(worker(10, 9)), map[string]float64{switches: 1}}}},
		{"execve by another thread", setup{config: groupG, opts: children}, []proctree.Process{worker(10, 5)}, []step{
			{set(at(executed, g(func(p *proctree.Process) { p.Voluntary = 5 }))), none}, {nil, none}}},
		{"execve by a thread that nobody met", setup{config: groupG, opts: children}, []proctree.Process{all(10)}, []step{
			{set(at(func(p *proctree.Process) { p.StackStart, p.Voluntary = 4096, 1 }, all(10))), none}, {nil, none}}},
		{"what cannot be read", setup{config: groupG, opts: children}, []proctree.Process{all(10)}, []step{
			{set(denied("io", "status")), none}, {set(denied("stat", "io", "status")), none}, {set(at(func(p *proctree.Process) { p.UTime, p.STime, p.MinFlt = 20, 20, 20 }, all(11))), none}}},
		{"another process of the same PID", setup{config: groupG, opts: children}, []proctree.Process{all(10)}, []step{
			{set(born(all(1))), none}}},
	})
}
