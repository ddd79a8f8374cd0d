package main

import (
	"fmt"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/seed57308aee/process_exporter/grouping"
)

// rules are what puts processes into groups, and what is odd about them.
type rules struct {
	matcher  grouping.Matcher
	origin   string // for logs: the file or the flags they come from
	warnings []grouping.Warning
}

// loadRules loads the rules that the settings name: those of a file, those of
// the two flags, or the default ones.
func loadRules(s *settings) (rules, error) {
	switch {
	case s.configPath != "":
		config, err := grouping.Load(s.configPath)
		if err != nil {
			return rules{}, fmt.Errorf("--config.path: %w", err)
		}
		return rules{config, s.configPath, config.Warnings()}, nil
	case s.procNames != "" || s.nameMapping != "":
		mapping, err := grouping.NewNameMapping(s.procNames, s.nameMapping)
		if err != nil {
			return rules{}, fmt.Errorf("--procnames, --namemapping: %w", err)
		}
		return rules{matcher: mapping, origin: "--procnames, --namemapping"}, nil
	}
	return rules{matcher: grouping.Default(), origin: "default: every process with a command line, by its name"}, nil
}

// logRules logs once what rules are in force and what is odd about them.
func (e *exporter) logRules(r rules) {
	e.log.Info("Rules loaded", "from", r.origin)
	for _, w := range r.warnings {
		e.log.Warn("Doubtful configuration", "warning", w.String())
	}
}

// reload loads the rules again. They take effect at the next scrape, and the
// counters of groups that keep their name go on. If the file is bad, the rules
// in force stay: an exporter that a typo stops helps nobody.
func (e *exporter) reload() error {
	if e.settings.configPath == "" {
		e.log.Info("Nothing to reload: no --config.path was given")
		return nil
	}
	e.reloading.Lock()
	defer e.reloading.Unlock()
	e.notify(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
	defer e.notify(daemon.SdNotifyReady)
	r, err := loadRules(e.settings)
	if err != nil {
		e.reloads.failed()
		e.log.Error("Configuration not reloaded, the old one stays in force", "err", err)
		return err
	}
	e.reloads.succeeded() // before a scrape can show what it did
	e.tracker.SetMatcher(r.matcher)
	e.logRules(r)
	e.rulesChanged(r.matcher.Needs())
	return nil
}
