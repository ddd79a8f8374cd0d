package grouping

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/platform"
)

// commandSource is a replaySource whose processes have command lines.
type commandSource struct {
	replaySource
	commands map[int]string // by PID
	read     int            // processes whose command line was read
}

func (s *commandSource) Identify(_ context.Context, p *platform.Sample, want platform.IdentityFields) (platform.Identity, error) {
	if want&platform.IdentityUser == 0 {
		return platform.Identity{ID: p.ID, Comm: p.Comm, Args: []string{p.Comm}}, nil
	}
	s.read++
	if s.commands[p.PID] == "" {
		return platform.Identity{}, platform.ErrUnresponsive
	}
	return platform.Identity{ID: p.ID, Comm: p.Comm, Username: "<b>alice</b>", Args: strings.Split(s.commands[p.PID], " ")}, nil
}

// listed returns the PIDs and CPU usage of a list as text.
func listed(l ProcessList) string {
	text := ""
	for _, p := range l.Processes {
		text += fmt.Sprintf("%d:%.1f ", p.PID, p.CPU)
	}
	return strings.TrimSpace(text)
}

// TestProcesses checks rates, orders, the limit, and that command lines are read of listed
// processes only and have no secrets.
func TestProcesses(t *testing.T) {
	live := func(cpu ...uint64) (out walkStep) {
		for i, seconds := range cpu {
			s := liveSample(10+i, 5, "worker", 1, seconds)
			s.ResidentBytes = uint64(1000 - i)
			out.live = append(out.live, s)
		}
		return out
	}
	born := liveSample(15, 1250, "worker", 1, 3) // 0.5 s before the third walk
	steps := []walkStep{live(1, 1, 1), live(2, 3, 1), live(2, 3, 5)}
	steps[2].live = append(steps[2].live, born)
	src := &commandSource{replaySource: replaySource{steps: steps}, commands: map[int]string{
		10: "worker --password=hunter2 --name <img onerror=x>", 11: "worker " + strings.Repeat("x", 2000), 15: "worker",
	}}
	tracker := NewTracker(src, Default(), Options{Collectors: CollectorCPU})
	byCPU := ProcessQuery{Group: "worker", Limit: 2}
	oldest := ProcessQuery{Group: "worker", Order: ByPID, Reversed: true, Limit: 1}
	missing := ProcessQuery{Group: "missing", Limit: 2}
	update := func() []ProcessList {
		t.Helper()
		if _, err := tracker.Update(context.Background()); err != nil {
			t.Fatal(err)
		}
		src.read = 0
		return tracker.Processes(context.Background(), []ProcessQuery{byCPU, oldest, missing})
	}
	if first := update()[0]; first.Interval != 0 || first.Total != 3 || first.Processes[0].HaveRates != 0 {
		t.Errorf("got %+v after one walk, want no rates", first)
	}
	second := update()
	if got := listed(second[0]); second[0].Interval != 1 || got != "11:2.0 10:1.0" {
		t.Errorf("got %q, want the two processes with most CPU usage", got)
	}
	if got := listed(second[1]); got != "10:1.0" {
		t.Errorf("got %q, want the lowest PID", got)
	}
	if second[2].Total != 0 || len(second[2].Processes) != 0 || src.read != 3 {
		t.Errorf("got %+v and %d reads, want no process of another group and 3 reads", second[2], src.read)
	}
	p := second[1].Processes[0]
	const start = replayEpoch + 50
	if p.User != "<b>alice</b>" || p.Command != "worker --password=*** --name <img onerror=x>" || p.Start.UnixMilli() != start {
		t.Errorf("got %+v, want user, start and a command line without the secret", p)
	}
	if long := second[0].Processes[0].Command; len(long) > maxCommand+3 || !strings.HasSuffix(long, "…") {
		t.Errorf("got a command line of %d bytes, want at most %d", len(long), maxCommand)
	}
	third := update()[0]
	if got := listed(third); got != "12:4.0 15:3.0" || third.Processes[0].Command != "[worker]" {
		t.Errorf("got %q %q, want the new process from its start, and the name of an unresponsive process", got, third.Processes[0].Command)
	}
	checkLargest(t, tracker)
}

// checkLargest checks the largest process of each group, and that there is no state without queries.
func checkLargest(t *testing.T, tracker *Tracker) {
	t.Helper()
	query := ProcessQuery{Scope: ScopeLargest, Limit: 5}
	largest := tracker.Processes(context.Background(), []ProcessQuery{query})[0]
	if listed(largest) != "10:0.0" || largest.Processes[0].Group != "worker" || largest.Query != query {
		t.Errorf("got %+v, want the largest process of the group", largest)
	}
	if tracker.Processes(context.Background(), nil); tracker.watches != nil {
		t.Error("got state without queries, want none")
	}
}

// TestFoundProcesses finds processes by PID and by name.
func TestFoundProcesses(t *testing.T) {
	small, large := liveSample(7, 1, "Worker", 1, 1), liveSample(8, 1, "Worker", 1, 1)
	small.ResidentBytes, large.ResidentBytes = 1, 2
	source := &replaySource{steps: []walkStep{{live: []platform.Sample{small, large, liveSample(9, 1, "redis-server", 2, 3)}}}}
	tracker := NewTracker(source, parseRules(t, "- {name: all, comm: [Worker]}\n"), Options{})
	if _, err := tracker.Update(t.Context()); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"7": "all 7", "8": "all 8", "work": "all 8", "redis": " 9", "r": "all 8, 9", "78": "", "nothing": "",
	} {
		list := tracker.Processes(t.Context(), []ProcessQuery{{Scope: ScopeFound, Text: text, Limit: 5}})[0]
		var got []string
		for _, p := range list.Processes {
			got = append(got, p.Group+" "+strconv.Itoa(p.PID))
		}
		if strings.Join(got, ",") != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

// TestUngroupedProcesses lists the processes in no group, and rules for processes that no rule ignores.
func TestUngroupedProcesses(t *testing.T) {
	kernel := liveSample(2, 1, "kthreadd", 1, 1)
	kernel.KernelThread = true
	live := []platform.Sample{
		kernel, liveSample(7, 1, "worker", 1, 1), liveSample(8, 1, "redis-server", 2, 3), liveSample(9, 1, "noise", 3, 2),
	}
	source := &replaySource{steps: []walkStep{{live: live}}}
	tracker := NewTracker(source, parseRules(t, "- {name: worker, comm: [worker]}\n- {name: none, comm: [noise], ignore: true}\n"), Options{})
	if _, err := tracker.Update(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := tracker.Processes(t.Context(), []ProcessQuery{{Scope: ScopeUngrouped, Order: ByPID, Limit: 10}})[0]
	if listed(got) != "9:0.0 8:0.0" || got.Total != 2 || got.Processes[0].Group != "" {
		t.Errorf("got %+v, want the two processes in no group that are no kernel threads", got)
	}
	if want := "  - name: \"{{.Comm}}\"\n    comm: [redis-server]\n"; got.SuggestedRules != want {
		t.Errorf("got rules %q, want %q", got.SuggestedRules, want)
	}
}
