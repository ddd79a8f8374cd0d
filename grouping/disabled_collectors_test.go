package grouping

import "testing"

// TestDisabledCollectors checks that a rule enables a collector that the flags do not enable, but
// none that is disabled.
func TestDisabledCollectors(t *testing.T) {
	rule := parseRules(t, "- {comm: [a], smaps: true}").Rules()[0]
	for disabled, want := range map[CollectorSet]CollectorSet{0: CollectorIO | CollectorSmaps, CollectorSmaps: CollectorIO} {
		tracker := &Tracker{opts: Options{Collectors: CollectorIO, Disabled: disabled}}
		if got := tracker.collectorsOf(rule); got != want {
			t.Errorf("disabled %v: got %v, want %v", disabled.Names(), got.Names(), want.Names())
		}
	}
}
