package grouping

import (
	"context"
	"testing"

	"github.com/seed57308aee/process_exporter/platform"
)

// TestCounterDecreases checks that a lower value counts as a decrease only if the
// counter of the same process has decreased.
func TestCounterDecreases(t *testing.T) {
	init := liveSample(1, 1, "init", 1, 0)
	before := liveSample(7, 10, "job", 1, 5)
	reaped := before
	reaped.NumThreads, reaped.UserNanos, reaped.WriteBytes = 0, 0, 0
	coarse := before // in clock ticks, as /proc has it
	before.UserNanos += 1e6
	notReached := before
	notReached.Have, notReached.UserNanos = 0, 0
	decreased := coarse
	decreased.UserNanos, decreased.SystemNanos = 4e9, 2e9 // a lower sum means another process
	tests := []struct {
		name  string
		steps []walkStep
		want  CounterDecreases
	}{
		{name: "process is being reaped", steps: []walkStep{
			{live: []platform.Sample{init, before}},
			{live: []platform.Sample{init, reaped}},
		}},
		{name: "source changes to procfs", steps: []walkStep{
			{live: []platform.Sample{init, before}},
			{live: []platform.Sample{init, coarse}, procfs: true},
			{live: []platform.Sample{init, coarse}, procfs: true},
		}},
		{name: "process was not reached", steps: []walkStep{
			{live: []platform.Sample{init, before}},
			{live: []platform.Sample{init, notReached}},
		}},
		{name: "user time decreases", steps: []walkStep{
			{live: []platform.Sample{init, before}},
			{live: []platform.Sample{init, decreased}},
		}, want: CounterDecreases{CPU: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := NewTracker(&replaySource{steps: tt.steps}, Default(), Options{})
			for range tt.steps {
				if _, err := tr.Update(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
			if got := tr.Health().CounterDecreases; got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}
