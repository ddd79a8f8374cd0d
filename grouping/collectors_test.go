package grouping

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/platform"
)

// TestCollectorNames checks that the constants and the table have the same order.
func TestCollectorNames(t *testing.T) {
	names := AllCollectors.Names()
	if len(names) != len(CollectorTable) || !slices.IsSorted(names) {
		t.Fatalf("got names %v, want one for each element of the table, sorted", names)
	}
	for c, want := range map[CollectorSet]string{
		CollectorCPU: "cpu", CollectorExits: "exits", CollectorFaults: "faults", CollectorFiles: "files", CollectorIO: "io",
		CollectorMemory: "memory", CollectorProcs: "procs", CollectorRules: "rules", CollectorScrape: "scrape", CollectorSmaps: "smaps",
		CollectorStates: "states", CollectorSwitches: "switches", CollectorThreads: "threads", CollectorTop: "top", CollectorWChan: "wchan",
	} {
		if got := c.Names(); !slices.Equal(got, []string{want}) {
			t.Errorf("got names %v, want %s", got, want)
		}
		if got, err := ParseCollector(want); got != c || err != nil {
			t.Errorf("%s: got %b, error %v, want %b", want, got, err, c)
		}
	}
	const want = `unknown collector "disk"; the collectors are cpu, exits,`
	if _, err := ParseCollector("disk"); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want one with the names", err)
	}
}

// TestRuleCollectors checks which collectors the keys of a rule turn on and off.
func TestRuleCollectors(t *testing.T) {
	const flags = AllCollectors &^ CollectorSmaps
	tests := []struct {
		keys    string
		want    CollectorSet
		problem string // part of the error or the warning
	}{
		{"", flags, ""},
		{"collectors: null", flags, ""},
		{"collectors: {smaps: true}", AllCollectors, ""},
		{"collectors: {io: false, wchan: no, cpu: true}", 0, `wchan is "no"; write true or false`},
		{"collectors: {io: false, wchan: False, cpu: true}", flags &^ (CollectorIO | CollectorWChan), ""},
		{"collectors: {io: false}, threads: false, smaps: true", AllCollectors &^ (CollectorIO | CollectorThreads), ""},
		{"collectors: {threads: false}, threads: true", 0, "threads is also set under collectors; remove one of the two"},
		{"collectors: {threads: false}, threads: null", flags &^ CollectorThreads, ""},
		{"collectors: [io]", 0, "collectors is a list, not a mapping"},
		{"collectors: {swiches: false, cpu: false}", flags &^ CollectorCPU, `unknown key "swiches", did you mean "switches"?`},
		{"collectors: {rules: false}", flags &^ CollectorRules, "rules has no effect in a rule"},
		{"collectors: {disk: false}", flags, `unknown key "disk"; the keys here are cpu, exits`},
	}
	for _, tt := range tests {
		t.Run(tt.keys, func(t *testing.T) {
			c, err := Parse("test.yaml", []byte("process_names:\n- {comm: [a], "+tt.keys+"}\n"))
			problem := ""
			if err != nil {
				problem = err.Error()
			} else if len(c.Warnings()) > 0 {
				problem = c.Warnings()[0].String()
			}
			if tt.problem == "" && problem != "" || !strings.Contains(problem, tt.problem) {
				t.Errorf("got the problem %q, want %q", problem, tt.problem)
			}
			if err != nil {
				return
			}
			if got := c.rules[0].Collectors(flags); got != tt.want {
				t.Errorf("got collectors %v, want %v", got.Names(), tt.want.Names())
			}
			if got, want := EnabledCollectors(c, flags), tt.want|flags; got != want {
				t.Errorf("got enabled collectors %v, want %v", got.Names(), want.Names())
			}
		})
	}
}

// A wantSource has two processes and no usage.
type wantSource struct {
	replaySource
	comms []string
}

func (s *wantSource) Walk(_ context.Context, snap *platform.Snapshot) error {
	snap.Now, snap.TicksPerSecond, snap.Kind = 1000, 100, platform.SourceProcfs
	snap.Samples = snap.Samples[:0]
	for i, comm := range s.comms {
		id := platform.ID{PID: i + 1, Start: 5}
		snap.Samples = append(snap.Samples, platform.Sample{ID: id, Comm: comm, Have: platform.FieldStat, NumThreads: 1})
	}
	return nil
}

func (s *wantSource) Identify(_ context.Context, sample *platform.Sample, _ platform.IdentityFields) (platform.Identity, error) {
	return platform.Identity{Comm: sample.Comm, Fingerprint: 1}, nil
}

func (s *wantSource) Complete(context.Context, *platform.Snapshot) {}

// TestWantedFields checks the fields that the Tracker wants of a process, and the collectors
// of its group, before and after a reload.
func TestWantedFields(t *testing.T) {
	src := &wantSource{comms: []string{"a", "b"}}
	load := func(rules string) Matcher {
		c, err := Parse("test.yaml", []byte("process_names:\n"+rules))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	rules := load("- {comm: [a], collectors: {io: false}}\n- {name: g, comm: [b]}\n")
	tr := NewTracker(src, rules, Options{Collectors: CollectorIO | CollectorFiles})
	check := func(what string, wantA, wantB platform.Fields, collectorsA CollectorSet) {
		t.Helper()
		groups, err := tr.Update(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if a, b := tr.snap.Samples[0].Want, tr.snap.Samples[1].Want; a != wantA || b != wantB {
			t.Errorf("%s: got wanted fields %b and %b, want %b and %b", what, a, b, wantA, wantB)
		}
		for _, g := range groups {
			if g.Name == "a" && g.Collectors != collectorsA {
				t.Errorf("%s: got collectors %v of the group, want %v", what, g.Collectors.Names(), collectorsA.Names())
			}
		}
	}
	files := CollectorFiles.Fields()
	check("start", files, files|platform.FieldIO, CollectorFiles)
	tr.SetMatcher(load("- {comm: [a], collectors: {files: false, cpu: true}}\n"))
	check("reload", platform.FieldStat|platform.FieldIO, 0, CollectorIO|CollectorCPU)
	tr.SetMatcher(load("- {comm: [a], name: a, user: ['0']}\n- {name: a, comm: [b], collectors: {files: false}}\n- {name: a, comm: [a]}\n"))
	check("rules with users", files|platform.FieldIO|platform.FieldStatus, platform.FieldIO|platform.FieldStatus, CollectorIO|CollectorFiles)
	src.comms = nil
	tr.SetMatcher(load("- {name: other, comm: [c]}\n"))
	groups, err := tr.Update(context.Background())
	if err != nil || len(groups) == 0 || groups[0].Name != "a" || groups[0].Collectors != CollectorIO|CollectorFiles {
		t.Errorf("got %+v, error %v, want the group a with its last collectors", groups, err)
	}
}
