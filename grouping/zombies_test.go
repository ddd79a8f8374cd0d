package grouping

import (
	"context"
	"testing"

	"github.com/seed57308aee/process_exporter/platform"
)

// unreadableZombie returns a zombie, whose memory and files cannot be read.
func unreadableZombie(p platform.Sample) platform.Sample {
	p.State, p.Unreadable = 'Z', platform.FieldIO|platform.FieldFDs
	p.Have &^= p.Unreadable
	return p
}

// TestZombiesAreReadable checks that zombies do not count as unreadable, except in the metric
// of the predecessor.
func TestZombiesAreReadable(t *testing.T) {
	step := walkStep{live: []platform.Sample{initSample, unreadableZombie(liveSample(7, 1250, "job", 1, 1)), liveSample(8, 1250, "job", 1, 1)}}
	tr := NewTracker(&replaySource{steps: []walkStep{step}}, parseRules(t, "- {name: job, comm: [job]}\n"), replayOptions)
	groups, err := tr.Update(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(groups) != 1 || groups[0].Procs != 2 || len(groups[0].Unreadable) != 0 {
		t.Errorf("got groups %+v, want one with two processes and nothing unreadable", groups)
	}
	if h := tr.Health(); h.Partial != 0 || h.PartialTotal != 1 {
		t.Errorf("got %d partial processes, in total %d, want 0 and 1", h.Partial, h.PartialTotal)
	}
}

// A zombieSource has no command line of zombies, as /proc.
type zombieSource struct{ replaySource }

func (s *zombieSource) Identify(ctx context.Context, p *platform.Sample, want platform.IdentityFields) (platform.Identity, error) {
	id, err := s.replaySource.Identify(ctx, p, want)
	if p.State == 'Z' {
		id.Args = nil
	}
	return id, err
}

// TestZombiesAtStart checks that a zombie whose command line is unknown creates no group with
// an empty part in its name, and joins a group whose name does not depend on it.
func TestZombiesAtStart(t *testing.T) {
	for rule, want := range map[string]string{
		"{name: 'job:{{.App}}', comm: [job]}":                         "",
		"{name: 'job:{{.Exe}}', comm: [job]}":                         "",
		"{name: 'job', comm: [job], labels: {app: '{{.App}}'}}":       "",
		"{name: 'job:{{.Comm}}', comm: [job]}":                        "job:job",
		"{name: 'job:{{.App | default .Comm}}', comm: [job, python]}": "",
	} {
		step := walkStep{live: []platform.Sample{initSample, unreadableZombie(liveSample(7, 1250, "job", 1, 1))}}
		source := &zombieSource{replaySource{steps: []walkStep{step}}}
		groups, err := NewTracker(source, parseRules(t, "- "+rule+"\n"), replayOptions).Update(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, g := range groups {
			if g.Procs > 0 {
				got += g.Name
			}
		}
		if got != want {
			t.Errorf("%s: got group %q of the zombie, want %q", rule, got, want)
		}
	}
}
