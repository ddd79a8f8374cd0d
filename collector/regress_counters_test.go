package collector

import (
	"testing"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/testdata/proctree"
)

// The tests of the files regress_* are mistakes that were made once, each in a
// world that shows it.

// other is a process beside those under test, so that the world is never empty.
var other = proc(1, 0, "init", "init")

// born returns p as a process that starts after the first walk, so that what it
// used before it was first seen counts.
func born(p proctree.Process) proctree.Process {
	p.Start = uptime + 50
	return p
}

// named returns p under another name, without exec.
func named(comm string, p proctree.Process) proctree.Process {
	p.Comm = comm
	return p
}

func onThread(metric, name string, more ...string) string {
	return in(metric, append([]string{"threadname", name}, more...)...)
}

// A scenario is a world and what happens in it.
type scenario struct {
	name  string
	setup setup
	first []proctree.Process // beside other
	steps []step
}

func play(t *testing.T, scenarios []scenario) {
	t.Helper()
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			w := newWorld(t, s.setup, append([]proctree.Process{other}, s.first...)...)
			for i, step := range s.steps {
				if step.change != nil {
					step.change(w)
				}
				w.want(w.scrape(), step.want)
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

// TestNothingCountsTwice has processes and threads whose counters stand still,
// fall, or show a past that was counted, or that nobody watched.
func TestNothingCountsTwice(t *testing.T) {
	cpu := in("cpu_seconds_total", "mode", "user")
	mainCPU := onThread("thread_cpu_seconds_total", "g", "mode", "user")
	voluntary := in("context_switches_total", "ctxswitchtype", "voluntary")
	ticks := func(inUser, inSystem uint64) proctree.Process {
		p := born(user(inUser))
		p.STime = inSystem
		return p
	}
	reads := func(broken ...string) proctree.Process {
		p := threads(proctree.Thread{}, proctree.Thread{TID: 11, Comm: "w", Start: 11, ReadBytes: 1e9})
		p.ReadBytes, p.Broken = 1e9, broken
		return p
	}
	busy := func(comm string, n uint64) proctree.Process {
		return g(func(p *proctree.Process) { p.Comm, p.ReadBytes, p.Voluntary, p.UTime = comm, n, n, n })
	}
	switches := func(main, worker uint64) proctree.Process {
		return threads(proctree.Thread{Voluntary: main}, proctree.Thread{TID: 11, Comm: "w", Start: 11, Voluntary: worker})
	}
	// alone is the process after its thread 11 has called execve, which gave it
	// the id of the main thread.
	alone := func(n uint64) proctree.Process {
		return g(func(p *proctree.Process) { p.Voluntary, p.StackStart = n, 4096 })
	}
	hidden := func(p proctree.Process) proctree.Process { p.Broken = []string{"status"}; return p }
	play(t, []scenario{
		{"a process that joins a group brings no past to its threads", setup{config: groupsAG, opts: children}, nil, []step{
			{set(born(named("a", user(1000)))), map[string]float64{`cpu_seconds_total{groupname="a",mode="user"}`: 10}},
			{set(born(user(1000))), map[string]float64{cpu: 0}},
			{set(born(threads(proctree.Thread{UTime: 1000}, proctree.Thread{TID: 11, Comm: "w", Start: uptime + 60}))), map[string]float64{cpu: 0, mainCPU: 0}}}},
		{"io that cannot be read at first brings no past to threads", setup{config: groupG, opts: children}, []proctree.Process{reads("io")}, []step{
			{set(reads()), map[string]float64{in("read_bytes_total"): 0, onThread("thread_io_bytes_total", "w", "iomode", "read"): 0}}}},
		{"what a process uses outside of all groups belongs to nobody", setup{config: groupG, opts: children}, []proctree.Process{busy("g", 100)}, []step{
			{set(busy("x", 200)), nil}, {set(busy("x", 5000)), nil},
			{set(busy("g", 5000)), map[string]float64{cpu: 0, in("read_bytes_total"): 0, voluntary: 0}},
			{set(busy("g", 5100)), map[string]float64{cpu: 1, in("read_bytes_total"): 100, voluntary: 100}}}},
		{"user time that falls while system time grows is the same process", setup{config: groupG, opts: children}, nil, []step{
			{set(ticks(1000, 500)), map[string]float64{cpu: 10}}, {set(ticks(999, 501)), map[string]float64{cpu: 10}},
			{set(ticks(999, 501)), map[string]float64{cpu: 10}}, {set(ticks(1001, 501)), map[string]float64{cpu: 10.01}}}},
		{"the thread that calls execve brings its switches along", setup{config: groupG, opts: children}, []proctree.Process{switches(10, 0)}, []step{
			{set(switches(10, 100_000)), map[string]float64{voluntary: 100_000}},
			{set(alone(100_001)), map[string]float64{voluntary: 100_000}}, // of this one walk nothing is known
			{set(alone(100_009)), map[string]float64{voluntary: 100_008}}}},
		{"and also if they cannot be read at once", setup{config: groupG, opts: children}, []proctree.Process{switches(10, 0)}, []step{
			{set(switches(10, 100_000)), map[string]float64{voluntary: 100_000}},
			{set(hidden(alone(100_001))), map[string]float64{voluntary: 100_000}},
			{set(alone(100_002)), map[string]float64{voluntary: 100_000}},
			{set(alone(100_009)), map[string]float64{voluntary: 100_007}}}},
	})
}

// TestSecondThreadNowAndThen has a process that is single most of the time. Its
// thread metrics come and go, and its past must not count at each return.
func TestSecondThreadNowAndThen(t *testing.T) {
	w := newWorld(t, setup{config: groupG, opts: children}, other)
	key := onThread("thread_cpu_seconds_total", "g", "mode", "user")
	for i := range 5 {
		p := threads(proctree.Thread{UTime: 1000}, proctree.Thread{TID: 60 + i, Comm: "w", Start: uptime + 60 + uint64(i)})
		w.Set(born(p))
		w.want(w.scrape(), map[string]float64{key: 10})
		w.Set(born(user(1000)))
		w.want(w.scrape(), map[string]float64{key: absent, in("cpu_seconds_total", "mode", "user"): 10})
	}
}

// TestTroubleKeepsTheProcess has files that fail for a while, or for good: the
// process keeps its place, and what is not known is not 0.
func TestTroubleKeepsTheProcess(t *testing.T) {
	cpu := in("cpu_seconds_total", "mode", "user")
	blind := born(user(500))
	blind.Broken = []string{"stat"}
	open := func(pid, fds int, broken string) proctree.Process {
		return g(func(p *proctree.Process) { p.PID, p.FDs, p.Broken = pid, fds, []string{broken} })
	}
	// dead is a process whose main thread has exited, or not.
	dead := func(state string) proctree.Process {
		p := threads(proctree.Thread{State: state}, proctree.Thread{TID: 11, Comm: "w", Start: 11, State: "R"})
		p.FDs = 100
		return p
	}
	lives := born(user(10))
	lives.StackStart = 4096
	exits := born(user(300)) // it has given up its memory, and is no zombie yet
	exits.Args, exits.State, exits.Flags = nil, "D", 4
	later := func(w *world) { w.Uptime(uptime + 60); w.Set(lives) }
	play(t, []scenario{
		{"a walk that finds nothing forgets nobody", setup{config: groupG, opts: children}, nil, []step{
			{set(born(user(500))), map[string]float64{cpu: 5}},
			{remove(1, 10), map[string]float64{"namedprocess_exporter_scrape_success": 0, "namedprocess_scrape_errors": 1}},
			{set(other, blind), map[string]float64{in("num_procs"): 1, cpu: 5}},
			{set(born(user(500))), map[string]float64{in("num_procs"): 1, cpu: 5}}}},
		{"a process whose stat cannot be read from the start is counted", setup{config: groupG, opts: children}, []proctree.Process{open(10, 0, "stat")}, []step{
			{nil, map[string]float64{"namedprocess_scrape_procread_errors": 2, in("num_procs"): 0}}}},
		{"a ratio needs both halves of the same process", setup{config: groupG, opts: children}, []proctree.Process{open(10, 4, "fd"), open(20, 1000, "limits")}, []step{
			{nil, map[string]float64{in("worst_fd_ratio"): absent, in("unreadable_procs", "file", "fd"): 1, in("unreadable_procs", "file", "limits"): 1}}}},
		{"without its main thread a process keeps what it has", setup{config: groupG, opts: children}, []proctree.Process{dead("S")}, []step{
			{nil, map[string]float64{in("open_filedesc"): 100}},
			{set(dead("Z")), map[string]float64{in("open_filedesc"): 100, in("unreadable_procs", "file", "fd"): absent, in("num_procs"): 1}}}},
		{"a young process that exits stays in its group", setup{config: argsG, opts: children}, nil, []step{
			{later, map[string]float64{in("num_procs"): 1}},
			{set(exits), map[string]float64{in("num_procs"): 1, cpu: 3, in("group_changes_total"): 0}}}},
	})
}

// TestThreadsMoveWithTheirProcess has a process that leaves its group and later
// joins another: its threads must not go on counting where they were.
func TestThreadsMoveWithTheirProcess(t *testing.T) {
	two := func(comm string) proctree.Process {
		return named(comm, threads(proctree.Thread{}, proctree.Thread{TID: 11, Comm: "w", Start: 11}))
	}
	for name, remove := range map[string]bool{"empty groups stay": false, "empty groups go": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, setup{config: groupsAG, opts: grouping.Options{Children: true, RemoveEmpty: remove}}, other, two("a"))
			w.Set(two("x"))
			w.scrape()
			w.Set(two("g"))
			w.want(w.scrape(), map[string]float64{in("num_procs"): 1, onThread("thread_count", "w"): 1, `thread_count{groupname="a",threadname="w"}`: absent})
		})
	}
}
