package grouping

import (
	"context"
	"testing"

	"github.com/seed57308aee/process_exporter/platform"
)

// TestNoRegression has processes whose counters are read lower, and did not fall.
func TestNoRegression(t *testing.T) {
	init := alive(1, 1, "init", 1, 0)
	before := alive(7, 10, "job", 1, 5)
	reaped := before
	reaped.Threads, reaped.UserNanos, reaped.WriteBytes = 0, 0, 0
	coarse := before // in ticks
	before.UserNanos += 1e6
	lost := before
	lost.Have, lost.UserNanos = 0, 0
	fallen := coarse
	fallen.UserNanos, fallen.SystemNanos = 4e9, 2e9 // less in all would be another process
	tests := []struct {
		name  string
		steps []step
		want  Regressions
	}{
		{"being reaped", []step{{alive: []platform.Sample{init, before}}, {alive: []platform.Sample{init, reaped}}}, Regressions{}},
		{"read from /proc from now on", []step{
			{alive: []platform.Sample{init, before}}, {alive: []platform.Sample{init, coarse}, procfs: true}, {alive: []platform.Sample{init, coarse}, procfs: true}}, Regressions{}},
		{"not reached", []step{{alive: []platform.Sample{init, before}}, {alive: []platform.Sample{init, lost}}}, Regressions{}},
		{"a fall", []step{{alive: []platform.Sample{init, before}}, {alive: []platform.Sample{init, fallen}}}, Regressions{CPU: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := NewTracker(&replaySource{steps: tt.steps}, Default(), Options{})
			for range tt.steps {
				if _, err := tr.Update(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
			if got := tr.Health().Regressions; got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}
