package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/internal/config"
	"github.com/seed57308aee/process_exporter/internal/daemon"
	"github.com/seed57308aee/process_exporter/internal/logging"
	"github.com/seed57308aee/process_exporter/platform"
)

// localGroups has the processes of this machine in their groups.
type localGroups struct {
	rules   config.Rules
	tracker *grouping.Tracker
	close   func() error

	groups  []grouping.Group // of the walk of updateOnce
	updated time.Time        // end of that walk

	socketsErr error // why the sockets cannot be read although the collector network is enabled
}

// socketBudget is the CPU time that one read of the sockets in /proc may take. A command that
// prints one result cannot read the remaining processes later, as the daemon does.
const socketBudget = time.Second

// A socketUse states whether a command reads sockets.
type socketUse int

const (
	noSockets   socketUse = iota
	readSockets           // if the collector network is enabled
)

// updateOnce walks over all processes once and groups them.
func updateOnce(ctx context.Context, s *config.Settings, use socketUse) (*localGroups, error) {
	g, err := openLocalGroups(s, use)
	if err != nil {
		return nil, err
	}
	if g.groups, err = g.tracker.Update(ctx); err != nil {
		_ = g.close() // read only
		return nil, err
	}
	g.updated = time.Now()
	return g, nil
}

// openLocalGroups opens the sources without a walk. By default it reads /proc, since loading BPF
// programs costs more than one walk. For sockets it loads BPF programs if possible, since
// /proc does not have their traffic.
func openLocalGroups(s *config.Settings, use socketUse) (*localGroups, error) {
	rules, err := s.LoadRules()
	if err != nil {
		return nil, err
	}
	g := &localGroups{rules: rules}
	var sources daemon.Sources
	if use == readSockets {
		sources.Sockets, g.socketsErr = s.OpenSockets(rules, socketBudget)
	}
	if s.Source == string(platform.SourceAuto) {
		s.Source = string(platform.SourceProcfs)
	}
	s.Sandbox = "off" // commands do not enter it
	g.close = func() error { return closeAll(sources) }
	if sources.Processes, err = s.OpenSource(); err != nil {
		_ = g.close() // read only
		return nil, err
	}
	g.tracker = daemon.NewTracker(s, sources, rules)
	return g, nil
}

// closeAll closes the sources that are open.
func closeAll(s daemon.Sources) (err error) {
	if s.Sockets != nil {
		err = s.Sockets.Close()
	}
	if s.Processes != nil {
		err = errors.Join(err, s.Processes.Close())
	}
	return err
}

// shownCollectors are the collectors with data about other users' processes that groups and top
// show.
const shownCollectors = grouping.CollectorIO | grouping.CollectorSmaps | grouping.CollectorFiles | grouping.CollectorNetwork

// printNotes prints the warnings of the rules, and which data of the collectors and of the
// rules is missing.
func (g *localGroups) printNotes(stderr io.Writer, s *config.Settings, shown grouping.CollectorSet) {
	printNotes(stderr, g.rules, missingCapabilities(s, g.tracker, g.rules, shown))
	printSocketNote(stderr, g.tracker, g.socketsErr)
	if g.tracker.Health().HidePID {
		fmt.Fprintln(stderr, "note: processes of other users are hidden (hidepid); run this command as root")
	}
}

// printSocketNote prints why there are no sockets, or no traffic of them.
func printSocketNote(stderr io.Writer, t *grouping.Tracker, openErr error) {
	switch kind, reason := t.SocketsKind(); {
	case openErr != nil:
		fmt.Fprintf(stderr, "note: cannot read sockets: %s\n", logging.OneLine(openErr))
	case kind == platform.SourceProcfs && reason != nil:
		fmt.Fprintf(stderr, "note: sent and received bytes are unknown: %s\n", logging.OneLine(reason))
	}
}

// printNotes prints the warnings of rules, and the missing capabilities if there are some. A
// closed stderr is no reason to fail.
func printNotes(stderr io.Writer, rules config.Rules, missing string) {
	_ = printFindings(stderr, "warning", rules.Warnings)
	if missing != "" {
		fmt.Fprintf(stderr, "note: some data of other users' processes cannot be read; run this command as root. Missing capabilities: %s\n",
			missing)
	}
}

// missingCapabilities returns the capabilities that the shown collectors and the rules need and
// this process lacks, "" for none.
func missingCapabilities(s *config.Settings, t *grouping.Tracker, rules config.Rules, shown grouping.CollectorSet) string {
	kind, _ := t.Kind()
	if sockets, _ := t.SocketsKind(); sockets != platform.SourceProcfs {
		shown &^= grouping.CollectorNetwork
	}
	enabled := grouping.EnabledCollectors(rules.Matcher, s.Collectors) &^ s.DisabledCollectors()
	return daemon.MissingCapabilities(kind, enabled&shown, rules.Matcher)
}
