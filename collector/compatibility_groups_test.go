package collector

import (
	"maps"
	"strconv"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/test/procfstree"
)

// The tests of this file check which process joins which group, and when. The tests
// TestCompatibility* are cases in which a successor of ncabatoff/process-exporter is likely to
// differ from it.

// proc returns a process that started at the clock tick pid.
func proc(pid, ppid int, comm string, args ...string) procfstree.Process {
	return procfstree.Process{PID: pid, PPID: ppid, Comm: comm, Args: args, Start: uint64(pid)}
}

// startedAt returns p with another start time, in ticks after boot.
func startedAt(ticks uint64, p procfstree.Process) procfstree.Process {
	p.Start = ticks
	return p
}

func TestCompatibilityChildren(t *testing.T) {
	const systemd = "- {name: systemd, comm: [systemd]}"
	tests := []struct {
		name   string
		config string
		ps     []procfstree.Process
		want   map[string]float64
	}{
		{"child has a lower PID than its ancestors", "- {name: g, comm: [sup]}",
			[]procfstree.Process{
				proc(1, 0, "init", "init"),
				proc(100, 1, "sup", "sup"),
				proc(101, 100, "sh", "sh"),
				proc(102, 101, "sleep", "sleep"),
				startedAt(103, proc(50, 102, "x", "x")),
			},
			map[string]float64{"g": 4}},
		{"rule for PID 1 covers all user processes and no kernel thread", systemd,
			[]procfstree.Process{
				proc(1, 0, "systemd", "systemd"),
				proc(2, 0, "kthreadd"),
				proc(3, 2, "ksoftirqd/0"),
				proc(9, 1, "a", "a"),
				proc(10, 9, "b", "b"),
			},
			map[string]float64{"systemd": 3}},
		{"rule for kthreadd covers all kernel threads", "- {name: k, comm: [kthreadd]}",
			[]procfstree.Process{proc(1, 0, "systemd", "systemd"), proc(2, 0, "kthreadd"), proc(3, 2, "ksoftirqd/0"), proc(4, 2, "rcu")},
			map[string]float64{"k": 3}},
		{"PPIDs form a cycle", "- {name: g, comm: [sup]}",
			[]procfstree.Process{proc(5, 6, "a", "a"), startedAt(5, proc(6, 5, "b", "b")), proc(7, 7, "c", "c"), proc(8, 1, "sup", "sup")},
			map[string]float64{"g": 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, setup{config: tt.config, opts: withChildren}, tt.ps...)
			if got := f.procs(); !maps.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestCompatibilityChildrenStayAfterParentExits(t *testing.T) {
	f := newFixture(t, setup{config: "- {name: g, comm: [sup]}", opts: withChildren},
		proc(1, 0, "init", "init"), proc(100, 1, "sup", "sup"), proc(101, 100, "sh", "sh"),
		proc(102, 101, "sleep", "sleep"), startedAt(103, proc(50, 102, "x", "x")))
	f.Remove(100)
	f.Set(proc(101, 1, "sh", "sh"))
	f.want(f.scrape(), map[string]float64{seriesG("num_procs"): 3})
	lateChild := proc(103, 101, "late", "late")
	lateChild.Start = uptime + 100
	f.Set(lateChild)
	f.want(f.scrape(), map[string]float64{seriesG("num_procs"): 4})
}

// executed returns a process after execve(2) of another program.
func executed(p procfstree.Process, comm string, args ...string) procfstree.Process {
	p.Comm, p.Args, p.StackStart = comm, args, p.StackStart+4096
	return p
}

func TestCompatibilityExec(t *testing.T) {
	java := "- {name: java, comm: [java]}"
	tests := []struct {
		name          string
		config        string
		opts          grouping.Options
		before, after procfstree.Process
		want          map[string]float64
	}{
		{"exec from a wrapper", java, withChildren,
			proc(10, 1, "sh", "sh", "wrap.sh"), executed(proc(10, 1, ""), "java", "java"), map[string]float64{"java": 1}},
		{"exec from a wrapper with -recheck", java, grouping.Options{Children: true, Recheck: true},
			proc(10, 1, "sh", "sh", "wrap.sh"), executed(proc(10, 1, ""), "java", "java"), map[string]float64{"java": 1}},
		{"exec from a wrapper with -children=false", java, grouping.Options{},
			proc(10, 1, "sh", "sh", "wrap.sh"), executed(proc(10, 1, ""), "java", "java"), map[string]float64{"java": 1}},
		{"exec from one group to another", "- {name: '{{.Comm}}', cmdline: ['.+']}", withChildren,
			proc(10, 1, "bash", "bash"), executed(proc(10, 1, ""), "redis", "redis"), map[string]float64{"bash": 0, "redis": 1}},
		{"exec of a program with the same name", "- {name: 'py:{{.Matches.s}}', cmdline: ['python (?P<s>\\S+)']}", withChildren,
			proc(10, 1, "python", "python", "a.py"), executed(proc(10, 1, ""), "python", "python", "b.py"),
			map[string]float64{"py:a.py": 0, "py:b.py": 1}},
		{"rename without exec", java, withChildren,
			proc(10, 1, "launcher", "x"), proc(10, 1, "java", "x"), map[string]float64{"java": 1}},
		{"match within the recheck limit", java, grouping.Options{Children: true, RecheckLimit: time.Hour},
			proc(10, 1, "sh", "sh"), executed(proc(10, 1, ""), "java", "java"), map[string]float64{"java": 1}},
		{"match after the recheck limit", java, grouping.Options{Children: true, RecheckLimit: time.Second},
			proc(10, 1, "sh", "sh"), executed(proc(10, 1, ""), "java", "java"), map[string]float64{"java": 0}},
		{"command line changes without exec, with -recheck", "- {name: g, cmdline: [ready]}", grouping.Options{Children: true, Recheck: true},
			proc(10, 1, "d", "starting"), proc(10, 1, "d", "ready"), map[string]float64{"g": 1}},
		{"child in an inherited group executes another program", "- {name: g, comm: [init]}", withChildren,
			proc(10, 1, "a", "a"), executed(proc(10, 1, ""), "b", "b"), map[string]float64{"g": 2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.before.Start = uptime - 9800 // 98 s old
			tt.after.Start = tt.before.Start
			f := newFixture(t, setup{config: tt.config, opts: tt.opts}, proc(1, 0, "init", "init"), tt.before)
			f.Set(tt.after)
			if got := f.procs(); !maps.Equal(got, tt.want) {
				delete(got, "init")
				if !maps.Equal(got, tt.want) {
					t.Errorf("got %v, want %v", got, tt.want)
				}
			}
		})
	}
}

func TestCompatibilityExecKeepsCountersOfBothGroups(t *testing.T) {
	p := proc(10, 1, "bash", "bash")
	p.UTime = 1000
	f := newFixture(t, setup{config: "- {name: '{{.Comm}}', cmdline: ['.+']}", opts: withChildren}, p)
	p.UTime = 1300
	f.Set(p)
	f.want(f.scrape(), map[string]float64{`cpu_seconds_total{groupname="bash",mode="user"}`: 3})
	p = executed(p, "redis", "redis")
	p.UTime = 1500
	f.Set(p)
	f.want(f.scrape(), map[string]float64{
		`cpu_seconds_total{groupname="bash",mode="user"}`:  3,
		`cpu_seconds_total{groupname="redis",mode="user"}`: 2,
		`group_changes_total{groupname="redis"}`:           1,
		`group_changes_total{groupname="bash"}`:            0,
	})
}

func TestCompatibilityReusedPID(t *testing.T) {
	p := proc(10, 1, "g", "g")
	p.UTime = 5000
	f := newFixture(t, setup{config: "- {name: g, comm: [g]}", opts: withChildren}, p)
	p.Start, p.UTime = uptime+10, 300
	f.Set(p)
	f.want(f.scrape(), map[string]float64{seriesG("cpu_seconds_total", "mode", "user"): 3, seriesG("num_procs"): 1})
	// The PID is reused within the same clock tick: the CPU time decreases.
	p.UTime = 200
	f.Set(p)
	f.want(f.scrape(), map[string]float64{seriesG("cpu_seconds_total", "mode", "user"): 5, seriesG("num_procs"): 1})
}

func TestCompatibilityForkBeforeExec(t *testing.T) {
	f := newFixture(t, setup{
		config: "- {name: g, cmdline: ['^parent']}\n- {name: child, comm: [child]}",
		opts:   withChildren,
	}, proc(10, 1, "parent", "parent"))
	forked := proc(11, 10, "parent", "parent")
	forked.Start, forked.Flags = uptime+5, 0x40
	f.Set(forked)
	f.want(f.scrape(), map[string]float64{seriesG("num_procs"): 2})
	forked.Flags = 0
	f.Set(executed(forked, "child", "child"))
	f.want(f.scrape(), map[string]float64{seriesG("num_procs"): 1, `num_procs{groupname="child"}`: 1})
}

func TestYoungProcessIsIdentifiedTwice(t *testing.T) {
	f := newFixture(t, setup{config: "- {name: '{{.ExeBase}}', comm: [nginx]}", opts: withChildren}, proc(1, 0, "init", "init"))
	worker := proc(11, 1, "nginx", "nginx")
	worker.Start = uptime
	f.Set(worker)
	if got, want := f.procs(), map[string]float64{"nginx": 1}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	worker.Args = []string{"nginx: worker process"} // overwritten without exec
	f.Set(worker)
	if got, want := f.procs(), map[string]float64{"nginx": 0, "nginx: worker process": 1}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestCompatibilityClockSteps sets the clock forward or back, and then corrects it. A process
// that is known, and one that starts then, keep their identity, although by the wall
// clock the second one may have started before the first walk.
func TestCompatibilityClockSteps(t *testing.T) {
	for _, step := range []int64{-86400, -3600, -1, 1, 3600} {
		t.Run(strconv.FormatInt(step, 10), func(t *testing.T) {
			old := proc(10, 1, "old", "old")
			old.UTime = 5000
			f := newFixture(t, setup{
				config: "- {name: old, comm: [old]}\n- {name: g, comm: [g]}",
				opts:   withChildren,
			}, proc(1, 0, "init", "init"), old)
			f.scrape()
			p := proc(11, 1, "g", "g")
			p.Start, p.UTime = uptime+1, 700
			old.UTime += 200
			f.BootTime(procfstree.BootTime + step)
			f.Set(old, p)
			want := map[string]float64{
				seriesG("cpu_seconds_total", "mode", "user"): 7, seriesG("num_procs"): 1, seriesG("starts_total"): absent,
				`cpu_seconds_total{groupname="old",mode="user"}`: 2, `num_procs{groupname="old"}`: 1,
			}
			f.want(f.scrape(), want)
			f.BootTime(procfstree.BootTime)
			f.want(f.scrape(), want)
		})
	}
}
