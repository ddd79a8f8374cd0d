package collector

import (
	"maps"
	"strconv"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/testdata/proctree"
)

// The tests of this file are the traps 41 to 50 of the drop-in contract: who
// joins which group, and when. The numbers are those of docs/migration.md.

func proc(pid, ppid int, comm string, args ...string) proctree.Process {
	return proctree.Process{PID: pid, PPID: ppid, Comm: comm, Args: args, Start: uint64(pid)}
}

// startedAt returns p with another start time, in ticks after boot.
func startedAt(ticks uint64, p proctree.Process) proctree.Process {
	p.Start = ticks
	return p
}

func TestTraps6dChildren(t *testing.T) {
	const systemd = "- {name: systemd, comm: [systemd]}"
	tests := []struct {
		name   string
		config string
		ps     []proctree.Process
		want   map[string]float64
	}{
		{"trap 41: a child joins although it is read before its parents", "- {name: g, comm: [sup]}",
			[]proctree.Process{proc(1, 0, "init", "init"), proc(100, 1, "sup", "sup"), proc(101, 100, "sh", "sh"), proc(102, 101, "sleep", "sleep"), startedAt(103, proc(50, 102, "x", "x"))},
			map[string]float64{"g": 4}},
		{"trap 43: a rule for PID 1 takes all of userland and no kernel thread", systemd,
			[]proctree.Process{proc(1, 0, "systemd", "systemd"), proc(2, 0, "kthreadd"), proc(3, 2, "ksoftirqd/0"), proc(9, 1, "a", "a"), proc(10, 9, "b", "b")},
			map[string]float64{"systemd": 3}},
		{"trap 44: a rule for kthreadd takes all kernel threads", "- {name: k, comm: [kthreadd]}",
			[]proctree.Process{proc(1, 0, "systemd", "systemd"), proc(2, 0, "kthreadd"), proc(3, 2, "ksoftirqd/0"), proc(4, 2, "rcu")},
			map[string]float64{"k": 3}},
		{"parents that form a circle", "- {name: g, comm: [sup]}",
			[]proctree.Process{proc(5, 6, "a", "a"), startedAt(5, proc(6, 5, "b", "b")), proc(7, 7, "c", "c"), proc(8, 1, "sup", "sup")},
			map[string]float64{"g": 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, setup{config: tt.config, opts: children}, tt.ps...)
			if got := w.procs(); !maps.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestTrap42OrphansStay(t *testing.T) {
	w := newWorld(t, setup{config: "- {name: g, comm: [sup]}", opts: children},
		proc(1, 0, "init", "init"), proc(100, 1, "sup", "sup"), proc(101, 100, "sh", "sh"), proc(102, 101, "sleep", "sleep"), startedAt(103, proc(50, 102, "x", "x")))
	w.Remove(100)
	w.Set(proc(101, 1, "sh", "sh"))
	w.want(w.scrape(), map[string]float64{in("num_procs"): 3})
	born := proc(103, 101, "late", "late")
	born.Start = uptime + 100
	w.Set(born)
	w.want(w.scrape(), map[string]float64{in("num_procs"): 4})
}

// exec turns a process into another program, as execve does.
func exec(p proctree.Process, comm string, args ...string) proctree.Process {
	p.Comm, p.Args, p.StackStart = comm, args, p.StackStart+4096
	return p
}

func TestTraps6dExec(t *testing.T) {
	java := "- {name: java, comm: [java]}"
	tests := []struct {
		name          string
		config        string
		opts          grouping.Options
		before, after proctree.Process
		want          map[string]float64
	}{
		{"trap 45: exec from a wrapper", java, children,
			proc(10, 1, "sh", "sh", "wrap.sh"), exec(proc(10, 1, ""), "java", "java"), map[string]float64{"java": 1}},
		{"trap 45: with -recheck", java, grouping.Options{Children: true, Recheck: true},
			proc(10, 1, "sh", "sh", "wrap.sh"), exec(proc(10, 1, ""), "java", "java"), map[string]float64{"java": 1}},
		{"trap 45: with -children=false", java, grouping.Options{},
			proc(10, 1, "sh", "sh", "wrap.sh"), exec(proc(10, 1, ""), "java", "java"), map[string]float64{"java": 1}},
		{"trap 46: from one group to another", "- {name: '{{.Comm}}', cmdline: ['.+']}", children,
			proc(10, 1, "bash", "bash"), exec(proc(10, 1, ""), "redis", "redis"), map[string]float64{"bash": 0, "redis": 1}},
		{"exec to a program of the same name", "- {name: 'py:{{.Matches.s}}', cmdline: ['python (?P<s>\\S+)']}", children,
			proc(10, 1, "python", "python", "a.py"), exec(proc(10, 1, ""), "python", "python", "b.py"), map[string]float64{"py:a.py": 0, "py:b.py": 1}},
		{"a rename without exec", java, children,
			proc(10, 1, "launcher", "x"), proc(10, 1, "java", "x"), map[string]float64{"java": 1}},
		{"trap 49: wanted within the time limit", java, grouping.Options{Children: true, RecheckLimit: time.Hour},
			proc(10, 1, "sh", "sh"), exec(proc(10, 1, ""), "java", "java"), map[string]float64{"java": 1}},
		{"trap 49: too late for the time limit", java, grouping.Options{Children: true, RecheckLimit: time.Second},
			proc(10, 1, "sh", "sh"), exec(proc(10, 1, ""), "java", "java"), map[string]float64{"java": 0}},
		{"recheck sees a command line change without exec", "- {name: g, cmdline: [ready]}", grouping.Options{Children: true, Recheck: true},
			proc(10, 1, "d", "starting"), proc(10, 1, "d", "ready"), map[string]float64{"g": 1}},
		{"a child that its ancestor's group holds stays there after exec", "- {name: g, comm: [init]}", children,
			proc(10, 1, "a", "a"), exec(proc(10, 1, ""), "b", "b"), map[string]float64{"g": 2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.before.Start = uptime - 9800 // 98 s old
			tt.after.Start = tt.before.Start
			w := newWorld(t, setup{config: tt.config, opts: tt.opts}, proc(1, 0, "init", "init"), tt.before)
			w.Set(tt.after)
			if got := w.procs(); !maps.Equal(got, tt.want) {
				delete(got, "init")
				if !maps.Equal(got, tt.want) {
					t.Errorf("got %v, want %v", got, tt.want)
				}
			}
		})
	}
}

func TestTrap46CountersOfBothGroupsStay(t *testing.T) {
	p := proc(10, 1, "bash", "bash")
	p.UTime = 1000
	w := newWorld(t, setup{config: "- {name: '{{.Comm}}', cmdline: ['.+']}", opts: children}, p)
	p.UTime = 1300
	w.Set(p)
	w.want(w.scrape(), map[string]float64{`cpu_seconds_total{groupname="bash",mode="user"}`: 3})
	p = exec(p, "redis", "redis")
	p.UTime = 1500
	w.Set(p)
	w.want(w.scrape(), map[string]float64{
		`cpu_seconds_total{groupname="bash",mode="user"}`:  3,
		`cpu_seconds_total{groupname="redis",mode="user"}`: 2,
		`group_changes_total{groupname="redis"}`:           1,
		`group_changes_total{groupname="bash"}`:            0,
	})
}

func TestTrap47ReusedPID(t *testing.T) {
	p := proc(10, 1, "g", "g")
	p.UTime = 5000
	w := newWorld(t, setup{config: "- {name: g, comm: [g]}", opts: children}, p)
	p.Start, p.UTime = uptime+10, 300
	w.Set(p)
	w.want(w.scrape(), map[string]float64{in("cpu_seconds_total", "mode", "user"): 3, in("num_procs"): 1})
	// Given out again within the same tick: the CPU time that falls tells.
	p.UTime = 200
	w.Set(p)
	w.want(w.scrape(), map[string]float64{in("cpu_seconds_total", "mode", "user"): 5, in("num_procs"): 1})
}

func TestTrap48ForkBeforeExec(t *testing.T) {
	w := newWorld(t, setup{config: "- {name: g, cmdline: ['^parent']}\n- {name: child, comm: [child]}", opts: children}, proc(10, 1, "parent", "parent"))
	forked := proc(11, 10, "parent", "parent")
	forked.Start, forked.Flags = uptime+5, 0x40
	w.Set(forked)
	w.want(w.scrape(), map[string]float64{in("num_procs"): 2})
	forked.Flags = 0
	w.Set(exec(forked, "child", "child"))
	w.want(w.scrape(), map[string]float64{in("num_procs"): 1, `num_procs{groupname="child"}`: 1})
}

func TestYoungProcessIsNamedTwice(t *testing.T) {
	w := newWorld(t, setup{config: "- {name: '{{.ExeBase}}', comm: [nginx]}", opts: children}, proc(1, 0, "init", "init"))
	worker := proc(11, 1, "nginx", "nginx")
	worker.Start = uptime
	w.Set(worker)
	if got, want := w.procs(), map[string]float64{"nginx": 1}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	worker.Args = []string{"nginx: worker process"} // written over, without exec
	w.Set(worker)
	if got, want := w.procs(), map[string]float64{"nginx": 0, "nginx: worker process": 1}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestTrap50SteppedClock steps the clock, and back, beside a process that is known
// and one that is born then, which by the wall clock may be older than the first
// walk: both stay who they are.
func TestTrap50SteppedClock(t *testing.T) {
	for _, step := range []int64{-86400, -3600, -1, 1, 3600} {
		t.Run(strconv.FormatInt(step, 10), func(t *testing.T) {
			old := proc(10, 1, "old", "old")
			old.UTime = 5000
			w := newWorld(t, setup{config: "- {name: old, comm: [old]}\n- {name: g, comm: [g]}", opts: children}, proc(1, 0, "init", "init"), old)
			w.scrape()
			p := proc(11, 1, "g", "g")
			p.Start, p.UTime = uptime+1, 700
			old.UTime += 200
			w.BootTime(proctree.BootTime + step)
			w.Set(old, p)
			want := map[string]float64{
				in("cpu_seconds_total", "mode", "user"): 7, in("num_procs"): 1, in("starts_total"): absent,
				`cpu_seconds_total{groupname="old",mode="user"}`: 2, `num_procs{groupname="old"}`: 1,
			}
			w.want(w.scrape(), want)
			w.BootTime(proctree.BootTime)
			w.want(w.scrape(), want)
		})
	}
}
