package grouping

import (
	"testing"

	"github.com/seed57308aee/process_exporter/platform"
)

// TestUnreadableProcesses checks that a process of which nothing can be read is hidden, and
// that one with other unreadable files is partial: no process is both.
func TestUnreadableProcesses(t *testing.T) {
	job, other := liveSample(7, 1250, "job", 1, 1), liveSample(8, 1250, "job", 2, 1)
	partial := other
	partial.Have &^= platform.FieldIO
	partial.Unreadable = platform.FieldIO
	steps := []walkStep{
		{live: []platform.Sample{initSample, job, other}},
		{live: []platform.Sample{initSample, unreadSample(job), partial}},
	}
	tr := NewTracker(&replaySource{steps: steps}, parseRules(t, "- {name: job, comm: [job]}\n"), replayOptions)
	for range steps {
		if _, err := tr.Update(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if h := tr.Health(); h.StatUnreadable != 1 || h.Partial != 1 || h.StatUnreadableTotal != 1 || h.PartialTotal != 1 {
		t.Errorf("got %+v, want 1 process without stat and 1 with another unreadable field, also in total", h)
	}
}
