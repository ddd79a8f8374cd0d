package grouping

import (
	"context"
	"testing"

	"github.com/seed57308aee/process_exporter/platform"
)

// A titleSource has processes that rewrite their command lines. One call of Fingerprints
// reads at most limit of them.
type titleSource struct {
	staticSource
	titles map[int]string // by PID
	limit  int
	reads  int // fingerprints
}

func (s *titleSource) Identify(_ context.Context, p *platform.Sample, _ platform.IdentityFields) (platform.Identity, error) {
	title := s.titles[p.PID]
	return platform.Identity{ID: p.ID, Comm: p.Comm, Args: []string{title}, Fingerprint: fingerprintOf(title)}, nil
}

func (s *titleSource) Fingerprints(
	_ context.Context, snap *platform.Snapshot, indexes []int, _ platform.IdentityFields, fingerprints []uint64,
) int {
	read := min(len(indexes), s.limit)
	clear(fingerprints)
	for j, i := range indexes[:read] {
		fingerprints[j] = fingerprintOf(s.titles[snap.Samples[i].PID])
	}
	s.reads += read
	return read
}

// runNone makes all processes sleep, except that run makes one run in the next walk.
func (s *titleSource) runNone() {
	for i := range s.samples {
		s.samples[i].Idle = true
	}
}

func (s *titleSource) run(i int, title string) {
	s.samples[i].Idle, s.titles[s.samples[i].PID] = false, title
}

// newTitleTracker returns a Tracker of n processes with the title "idle", after updates in
// which they became old.
func newTitleTracker(t *testing.T, n int, rules string, children bool) (*titleSource, *Tracker) {
	t.Helper()
	src := &titleSource{titles: make(map[int]string), limit: n}
	for pid := 1000; pid < 1000+n; pid++ {
		src.samples = append(src.samples, liveSample(pid, 10, "titled", 1, 0))
		src.titles[pid] = "idle"
	}
	m, err := Parse("test.yaml", []byte("process_names:\n"+rules))
	if err != nil {
		t.Fatal(err)
	}
	tr := NewTracker(src, m, Options{Children: children})
	for range 3 {
		procsOf(t, tr)
	}
	src.runNone()
	return src, tr
}

// procsOf updates a Tracker and returns the number of processes of each group.
func procsOf(t *testing.T, tr *Tracker) map[string]int {
	t.Helper()
	groups, err := tr.Update(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	procs := make(map[string]int)
	for _, g := range groups {
		procs[g.Name] += g.Procs
	}
	return procs
}

// TestRewrittenTitles checks that all processes that rewrite their command line at once are
// in their new groups at the next update, whether they were in a group before or not.
func TestRewrittenTitles(t *testing.T) {
	const n = 300
	for name, rules := range map[string]string{
		"in a group":    "- {name: '{{.Matches.state}}', cmdline: '^(?P<state>\\w+)$'}\n",
		"in no group":   "- {name: busy, cmdline: busy}\n",
		"ignored":       "- {cmdline: idle, ignore: true}\n- {name: busy, cmdline: busy}\n",
		"default name":  "- {comm: titled}\n",
		"not":           "- {name: busy, comm: titled, not: {cmdline: idle}}\n",
		"label":         "- {name: busy, cmdline: .+, labels: {title: '{{.ExeFull}}'}}\n",
		"ancestor rule": "- {name: busy, ancestor: none, cmdline: idle}\n- {name: busy, cmdline: busy}\n",
	} {
		t.Run(name, func(t *testing.T) {
			src, tr := newTitleTracker(t, n, rules, false)
			for i := range src.samples {
				src.run(i, "busy")
			}
			if got := procsOf(t, tr); got["busy"] != n {
				t.Errorf("got %v, want %d busy processes", got, n)
			}
		})
	}
}

// TestFingerprintBudget checks that processes beyond the budget are read in the next
// updates, each once, although they sleep by then.
func TestFingerprintBudget(t *testing.T) {
	const n, limit = 300, 60
	src, tr := newTitleTracker(t, n, "- {name: busy, cmdline: busy}\n", false)
	src.limit = limit
	for i := range src.samples {
		src.run(i, "busy")
	}
	for update := 1; update <= n/limit; update++ {
		if got := procsOf(t, tr)["busy"]; got < update*limit*9/10 {
			t.Errorf("got %d busy processes in update %d, want %d", got, update, update*limit)
		}
		src.runNone()
	}
	if got := procsOf(t, tr)["busy"]; got != n { // some idle processes take their turn as well
		t.Errorf("got %d busy processes in the end, want %d", got, n)
	}
}

// TestFingerprintsOnlyOfDependentMatches checks that command lines are not read again of
// processes whose group does not depend on them, except every 64 updates.
func TestFingerprintsOnlyOfDependentMatches(t *testing.T) {
	const n = 128
	tests := []struct {
		rules string
		want  int // processes read in an update, besides n/64
	}{
		{"- {name: '{{.Comm}}', cmdline: .+}\n", 0},
		{"- {name: '{{.Comm}}', cmdline: '.*'}\n", 0},
		{"- {name: '{{.Comm}}', comm: other, cmdline: x}\n- {name: '{{.Comm}}', cmdline: .+}\n", 0},
		{"- {name: '{{.ExeBase}}', cmdline: .+}\n", n},
		{"- {name: '{{.Matches.m}}', cmdline: '(?P<m>.+)'}\n", n},
		{"- {name: '{{.Comm}}', comm: titled, cmdline: x}\n- {name: '{{.Comm}}', cmdline: .+}\n", n},
	}
	for _, tt := range tests {
		src, tr := newTitleTracker(t, n, tt.rules, true)
		for i := range src.samples {
			src.run(i, "idle")
		}
		src.reads = 0
		procsOf(t, tr)
		if got := src.reads; got < tt.want || got > tt.want+n/idleFingerprintPeriod {
			t.Errorf("%s: got %d processes read again, want %d", tt.rules, got, tt.want)
		}
	}
}
