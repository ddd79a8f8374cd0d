package grouping

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/platform"
)

// TestEnded checks that exits are kept on request only, and that their number is limited.
func TestEnded(t *testing.T) {
	steps := []walkStep{{}, {}, {}}
	for i := range steps {
		for pid := range 2*maxEnded + 10 {
			s := liveSample(100+pid, uint64(900+100*i), "worker", 1, 1)
			steps[i].exits = append(steps[i].exits, exitOf(s, 3<<8))
		}
	}
	tracker := NewTracker(&replaySource{steps: steps}, Default(), Options{})
	for i, keep := range []bool{false, true, false} {
		tracker.KeepEnded(keep)
		if _, err := tracker.Update(context.Background()); err != nil {
			t.Fatal(err)
		}
		ended := tracker.Ended()
		if !keep {
			if len(ended) != 0 {
				t.Errorf("walk %d: got %d ended processes without a request, want none", i, len(ended))
			}
			continue
		}
		if len(ended) != maxEndedOfGroup || ended[0].Group != "worker" || ended[0].Code != "3" || ended[19].PID != 100+2*maxEnded+9 {
			t.Errorf("walk %d: got %d ended processes such as %+v", i, len(ended), ended[0])
		}
	}
}

// TestLimitEnded checks that a group with many exits displaces neither other groups nor its failures.
func TestLimitEnded(t *testing.T) {
	ended := []EndedProcess{
		{Group: "quiet", PID: 1, Reason: "exited", Code: "0"},
		{Group: "noisy", PID: 2, Reason: "exited", Code: "3"},
		{Group: "quiet", PID: 3, Reason: "killed", Code: "SIGKILL"},
	}
	for pid := range 2000 {
		ended = append(ended, EndedProcess{Group: "noisy", PID: 100 + pid, Reason: "exited", Code: "0"})
	}
	ended = LimitEnded(ended)
	if len(ended) != 22 || ended[0].PID != 1 || ended[1].PID != 2 || ended[2].PID != 3 || ended[3].PID != 2081 || ended[21].PID != 2099 {
		t.Errorf("got %d processes: %+v, want 2 of quiet, and the failure and the last 19 of noisy", len(ended), ended)
	}
	ended = ended[:1]
	for i := range 2 * maxEnded {
		ended = append(ended, EndedProcess{Group: fmt.Sprint(i), PID: 100 + i, Reason: "exited", Code: "0"})
	}
	ended[1].Code = "1"
	if ended = LimitEnded(ended); len(ended) != maxEnded || ended[0].PID != 100 || ended[1].PID != 100+maxEnded+1 {
		t.Errorf("got %d processes such as %+v and %+v, want the failure and the last others", len(ended), ended[0], ended[1])
	}
}

// TestEndedTimes checks that the times of an exit have the precision of clock ticks, also if the machine
// has not booted at a whole second.
func TestEndedTimes(t *testing.T) {
	s := liveSample(100, 1012, "worker", 1, 1)
	exit := exitOf(s, 0)
	exit.End = 1099
	source := &replaySource{steps: []walkStep{{live: []platform.Sample{s}}, {exits: []platform.Exit{exit}}}}
	tracker := NewTracker(source, Default(), Options{})
	tracker.KeepEnded(true)
	if _, err := tracker.Update(t.Context()); err != nil {
		t.Fatal(err)
	}
	live := tracker.Processes(t.Context(), []ProcessQuery{{Scope: ScopeFound, Text: "worker", Limit: 1}})[0].Processes
	if len(live) != 1 || live[0].Start.UnixMilli() != replayEpoch+10120 {
		t.Errorf("got %+v, want a process that started 10.12 s after the boot", live)
	}
	if _, err := tracker.Update(t.Context()); err != nil {
		t.Fatal(err)
	}
	ended := tracker.Ended()
	if len(ended) != 1 || ended[0].Start.UnixMilli() != replayEpoch+10120 || ended[0].End.UnixMilli() != replayEpoch+10990 {
		t.Errorf("got %+v, want a process from 10.12 to 10.99 s after the boot at %v", ended, time.UnixMilli(replayEpoch).UTC())
	}
}
