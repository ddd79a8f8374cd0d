package grouping

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/platform"
)

// TestGroupNameLength checks that groups with long names reach the limit of groups earlier.
func TestGroupNameLength(t *testing.T) {
	const procs, most = 400, 2000 * 128
	step := walkStep{live: []platform.Sample{initSample}}
	for i := range procs {
		step.live = append(step.live, liveSample(10+i, old, fmt.Sprint("job", i), 1, 0))
	}
	groups, _ := replay(t, `- {name: '{{printf "%0990d" 0}}{{.Comm}}', cmdline: job}`+"\n", Options{MaxGroups: 2000}, []walkStep{step})
	total, bytes, others := 0, 0, 0
	for _, g := range groups {
		total += g.Procs
		if g.Name == OtherName {
			others = g.Procs
			continue
		}
		bytes += len(g.Name)
	}
	if total != procs || bytes > most || bytes < most-1024 || others == 0 {
		t.Errorf("got %d processes, %d of them in %s, and names of %d bytes, want %d processes, some in %s, and up to %d bytes",
			total, others, OtherName, bytes, procs, OtherName, most)
	}
}

// TestExitStatusLimit checks that failures above the limit of exit statuses are counted with the
// code OtherName, and successes with their own.
func TestExitStatusLimit(t *testing.T) {
	const names, codes = 100, 256
	exits := walkStep{live: []platform.Sample{initSample}}
	for name := range names {
		for code := codes - 1; code >= 0; code-- {
			p := liveSample(10+name*codes+code, young, fmt.Sprint("job", name), 1, 0)
			exits.exits = append(exits.exits, exitOf(p, uint32(code)<<8))
		}
	}
	groups, tr := replay(t, "- {name: '{{.Comm}}', cmdline: job}\n", replayOptions, []walkStep{{live: exits.live}, exits})
	statuses := 0
	for _, g := range groups {
		var sum, successes uint64
		for _, e := range g.Exits {
			if sum += e.Count; !IsFailure(e.Reason, e.Code) {
				successes += e.Count
			}
		}
		if statuses += len(g.Exits); sum != codes || successes != 1 {
			t.Errorf("group %s: got %d exits, %d without failure, want %d and 1", g.Name, sum, successes, codes)
		}
	}
	if len(groups) != names || statuses > maxExitStatuses+2*names || statuses != tr.limits.exitStatuses {
		t.Errorf("got %d groups and %d exit statuses, counted %d, want %d groups and at most %d statuses", len(groups), statuses,
			tr.limits.exitStatuses, names, maxExitStatuses+2*names)
	}
}

// TestRenamedThreads renames a thread before each walk. The names are limited, because those
// without threads are kept.
func TestRenamedThreads(t *testing.T) {
	const limit = 5
	var steps []walkStep
	for i := range 20 {
		p := liveSample(10, old, "job", 1, 0)
		p.NumThreads = 2
		for n, comm := range []string{"job", fmt.Sprint("renamed", i)} {
			p.Tasks = append(p.Tasks, platform.Task{TID: 10 + n, Comm: comm, Start: old, Have: platform.FieldTaskUsage})
		}
		steps = append(steps, walkStep{live: []platform.Sample{initSample, p}})
	}
	for length := range steps {
		groups, tr := replay(t, "- comm: [job]\n", Options{MaxThreadNames: limit}, steps[:length+1])
		want := fmt.Sprint("renamed", length)
		if length >= limit-1 {
			want = OtherName
		}
		var names []string
		for _, n := range groups[0].Threads {
			names = append(names, n.Name)
		}
		if text := strings.Join(names, " "); len(names) != 2 || !strings.Contains(text, want) || !strings.Contains(text, "job") {
			t.Errorf("walk %d: got thread names %s, want job and %s", length, text, want)
		}
		if n := len(tr.groups["job"].threads); n > limit+1 {
			t.Errorf("walk %d: got %d thread names, want at most %d and %s", length, n, limit, OtherName)
		}
	}
}

// withTasks adds threads with usage to a process.
func withTasks(p platform.Sample, names ...string) platform.Sample {
	p.NumThreads, p.Tasks = len(names), nil
	for n, comm := range names {
		p.Tasks = append(p.Tasks, platform.Task{
			TID: p.PID + n, Comm: comm, Start: old, UserNanos: p.UserNanos, Have: platform.FieldTaskUsage,
		})
	}
	return p
}

// TestLargeLimits checks that the highest limits add no name to OtherName.
func TestLargeLimits(t *testing.T) {
	steps := []walkStep{{live: []platform.Sample{initSample, withTasks(liveSample(10, old, "job", 1, 0), "job", "worker")}}}
	groups, tr := replay(t, "- comm: [job]\n- {name: '{{.Comm}}', cmdline: job}\n",
		Options{MaxGroups: math.MaxInt, MaxThreadNames: math.MaxInt}, steps)
	if len(groups) != 1 || groups[0].Name != "job" || len(groups[0].Threads) != 2 {
		t.Errorf("got groups %+v, want job with two thread names", groups)
	}
	if h := tr.Health(); h.GroupLimitHits+h.ThreadNameLimitHits != 0 {
		t.Errorf("got %d groups and %d thread names above the limit", h.GroupLimitHits, h.ThreadNameLimitHits)
	}
}

const day = 24 * 60 * 60

// TestIdleGroups checks which groups are removed at the limit: only those without a process
// for 24 hours, and none that has got a process or an exit in the same update.
func TestIdleGroups(t *testing.T) {
	job := func(n int, seconds uint64) platform.Sample {
		return liveSample(10+n, old, fmt.Sprint("job", n), uint64(n), seconds)
	}
	late := liveSample(20, young, "job3", 3, 0)
	returned := liveSample(12, young, "job2", 4, 1)
	for _, tt := range []struct {
		name string
		last walkStep
		want string
	}{
		{"23 hours", walkStep{pause: day - 3600, live: []platform.Sample{job(1, 5), late}}, "_other 1, job1 1, job2 0 2s"},
		{"24 hours", walkStep{pause: day, live: []platform.Sample{job(1, 5), late}}, "job1 1, job3 1"},
		{"process", walkStep{pause: day, live: []platform.Sample{job(1, 5), returned, late}}, "_other 1, job1 1, job2 1 3s"},
		{"awaited exit", walkStep{pause: day, live: []platform.Sample{job(1, 5)}, exits: []platform.Exit{
			exitOf(job(2, 3), 0), exitOf(late, 0),
		}}, "_other 0 exit, job1 1, job2 0 3s exit"},
		{"exit", walkStep{pause: day, live: []platform.Sample{job(1, 5)}, exits: []platform.Exit{
			exitOf(returned, 0), exitOf(late, 0),
		}}, "_other 0 exit, job1 1, job2 0 3s exit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			groups, _ := replay(t, "- {name: '{{.Comm}}', cmdline: job}\n", Options{MaxGroups: 2}, []walkStep{
				{live: []platform.Sample{initSample, job(1, 5), job(2, 0)}},
				{live: []platform.Sample{initSample, job(1, 5), job(2, 2)}},
				{live: []platform.Sample{initSample, job(1, 5)}},
				tt.last,
			})
			var got []string
			for _, g := range groups {
				text := fmt.Sprint(g.Name, " ", g.Procs)
				if g.UserNanos > 0 {
					text += fmt.Sprint(" ", g.UserNanos/1e9, "s")
				}
				if len(g.Exits) > 0 {
					text += " exit"
				}
				got = append(got, text)
			}
			if got := strings.Join(got, ", "); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// TestIdleThreadNames checks which thread names are removed at the limit.
func TestIdleThreadNames(t *testing.T) {
	job := func(seconds uint64, threads ...string) []platform.Sample {
		return []platform.Sample{initSample, withTasks(liveSample(10, old, "job", 1, seconds), threads...)}
	}
	for _, tt := range []struct {
		name string
		last walkStep
		want string
	}{
		{"23 hours", walkStep{pause: day - 3600, live: job(2, "job", "late")}, "_other early job"},
		{"24 hours", walkStep{pause: day, live: job(2, "job", "late")}, "job late"},
		{"thread", walkStep{pause: day, live: job(2, "job", "early", "late")}, "_other early job"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, tr := replay(t, "- comm: [job]\n", Options{MaxThreadNames: 2}, []walkStep{
				{live: job(0, "job", "early")}, {live: job(1, "job")}, tt.last,
			})
			if got := strings.Join(sortedNames(tr.groups["job"].threads), " "); got != tt.want {
				t.Errorf("got thread names %s, want %s", got, tt.want)
			}
		})
	}
}

// TestIdleGroupsMerged merges an idle group with one that has a process, at the limit of groups.
// The result is not removed.
func TestIdleGroupsMerged(t *testing.T) {
	const rule = "- {name: '{{printf `all`}}', cmdline: job"
	labels := parseRules(t, rule+", labels: {first: '{{.Comm}}'}}\n")
	noLabels := parseRules(t, "- {name: '{{.Comm}}', comm: [new1, new2]}\n"+rule+"}\n")
	kept, ended := liveSample(12, old, "job1", 1, 3), liveSample(13, old, "job2", 2, 0)
	before := liveSample(12, old, "job1", 1, 0)
	for range 20 { // the order of groups in the map is random
		tr := NewTracker(&replaySource{steps: []walkStep{
			{live: []platform.Sample{before, ended}}, {live: []platform.Sample{kept}},
			{live: []platform.Sample{liveSample(10, young, "new1", 3, 0), liveSample(11, young, "new2", 4, 0), kept}, pause: day},
		}}, labels, Options{MaxGroups: 2})
		var groups []Group
		for step := range 3 {
			if step == 2 {
				tr.SetMatcher(noLabels)
			}
			var err error
			if groups, err = tr.Update(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		if len(groups) != 3 || groups[0].Name != OtherName || groups[1].Name != "all" || groups[1].UserNanos != 3e9 {
			t.Fatalf("got %s, want new2 in %s and 3 s of CPU time in all", usageOf(groups), OtherName)
		}
	}
}

// TestIdleThreadNamesMerged merges groups whose threads have the same name. The name is not
// removed at the limit, although one of the groups had no such thread for 24 hours.
func TestIdleThreadNamesMerged(t *testing.T) {
	const rule = "- {name: '{{printf `all`}}', cmdline: job"
	labels, noLabels := parseRules(t, rule+", labels: {first: '{{.Comm}}'}}\n"), parseRules(t, rule+"}\n")
	job := func(n int, seconds uint64, threads ...string) platform.Sample {
		return withTasks(liveSample(10*n, old, fmt.Sprint("job", n), uint64(n), seconds), threads...)
	}
	for range 20 { // the order of groups in the map is random
		tr := NewTracker(&replaySource{steps: []walkStep{
			{live: []platform.Sample{job(1, 0, "job1"), job(2, 0, "pool"), job(3, 0, "pool")}},
			{live: []platform.Sample{job(1, 0, "job1"), job(2, 0), job(3, 3, "pool")}},
			{live: []platform.Sample{job(1, 0, "job1", "late"), job(2, 0), job(3, 3, "pool")}, pause: day},
		}}, labels, Options{MaxThreadNames: 3})
		for step := range 3 {
			if step == 2 {
				tr.SetMatcher(noLabels)
				tr.opts.MaxThreadNames = 2
			}
			if _, err := tr.Update(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		g := tr.groups["all"]
		if pool := g.threads["pool"]; pool == nil || pool.total.UserNanos != 3e9 {
			t.Fatalf("got thread names %v, want pool with 3 s of CPU time", sortedNames(g.threads))
		}
	}
}
