package collector

import (
	"testing"

	"github.com/seed57308aee/process_exporter/test/procfstree"
)

// TestObserverOrder checks that no walk begins before the observers have the result of the
// walk before: they would receive the results in another order.
func TestObserverOrder(t *testing.T) {
	f := newFixture(t, setup{config: groupG})
	f.Set(procfstree.Process{PID: 7, Comm: "g"})
	results := 0
	f.c.Watch(func(UpdateResult) {
		results++
		if _, started := f.c.begin(t.Context()); started {
			t.Error("got another walk that began before the observer returned")
		}
	})
	f.scrape()
	if results != 1 {
		t.Errorf("got %d results of one walk, want 1", results)
	}
}
