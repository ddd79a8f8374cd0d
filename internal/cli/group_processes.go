package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/internal/config"
	"github.com/seed57308aee/process_exporter/internal/daemon"
	"github.com/seed57308aee/process_exporter/platform"
)

// grouped is the processes of this machine in their groups.
type grouped struct {
	rules   config.Rules
	source  platform.Source
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
	s.Sandbox = "off" // commands do not enter it
	source, err := s.OpenSource()
	if err != nil {
		return nil, err
	}
	reader, _ := s.OpenSockets(rules) // without it, the groups have no sockets
	g := &grouped{rules: rules, source: source, tracker: daemon.NewTracker(s, daemon.Sources{Processes: source, Sockets: reader}, rules)}
	g.close = func() error {
		if reader != nil {
			return errors.Join(reader.Close(), source.Close())
		}
		return source.Close()
	}
	if _, err := g.tracker.Update(ctx); err != nil {
		_ = g.close() // read only
		return nil, err
	}
	return g, nil
}

// shownCollectors are the collectors with data about other users' processes that groups and top
// show.
const shownCollectors = grouping.CollectorIO | grouping.CollectorSmaps | grouping.CollectorFiles

// printNotes prints the warnings of the rules, and which data of the collectors and of the
// rules is missing.
func (g *grouped) printNotes(stderr io.Writer, s *config.Settings, shown grouping.Collectors) {
	printNotes(stderr, g.rules, missingCapabilities(s, g.source, g.rules, shown))
	if g.tracker.Health().HidePID {
		fmt.Fprintln(stderr, "note: processes of other users are hidden (hidepid); run this command as root")
	}
}

// printNotes prints the warnings of rules, and the missing capabilities if there are some. A
// closed stderr is no reason to fail.
func printNotes(stderr io.Writer, rules config.Rules, missing string) {
	_ = printWarnings(stderr, rules.Warnings)
	if missing != "" {
		fmt.Fprintf(stderr, "note: some data of other users' processes cannot be read; run this command as root. Missing capabilities: %s\n",
			missing)
	}
}

// missingCapabilities returns the capabilities that the shown collectors and the rules need and
// this process lacks, "" for none.
func missingCapabilities(s *config.Settings, source platform.Source, rules config.Rules, shown grouping.Collectors) string {
	kind, _ := source.Kind()
	enabled := grouping.EnabledCollectors(rules.Matcher, s.Collectors) &^ s.DisabledCollectors()
	return daemon.MissingCapabilities(kind, enabled&shown, rules.Matcher)
}
