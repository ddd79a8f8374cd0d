package cli

import (
	"context"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/internal/config"
	"github.com/seed57308aee/process_exporter/internal/daemon"
	"github.com/seed57308aee/process_exporter/platform"
)

// grouped is the processes of this machine in their groups.
type grouped struct {
	rules   config.Rules
	tracker *grouping.Tracker
	close   func() error
}

// groupProcesses walks over all processes once and groups them. By default it
// reads /proc, since loading BPF programs costs more than one walk.
func groupProcesses(ctx context.Context, s *config.Settings) (*grouped, error) {
	rules, err := s.LoadRules()
	if err != nil {
		return nil, err
	}
	if s.Source == string(platform.KindAuto) {
		s.Source = string(platform.KindProcfs)
	}
	source, err := s.OpenSource()
	if err != nil {
		return nil, err
	}
	g := &grouped{rules: rules, tracker: daemon.NewTracker(s, source, rules), close: source.Close}
	if _, err := g.tracker.Update(ctx); err != nil {
		_ = g.close() // read only
		return nil, err
	}
	return g, nil
}
