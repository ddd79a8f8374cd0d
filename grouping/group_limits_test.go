package grouping

import (
	"fmt"
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
