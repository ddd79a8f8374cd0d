package config

import (
	"fmt"

	"github.com/seed57308aee/process_exporter/grouping"
)

// Rules are the grouping rules and where they come from.
type Rules struct {
	Matcher  grouping.Matcher
	Origin   string // for messages: the file or the flags
	Warnings []grouping.Warning
}

// LoadRules loads the rule file, the rules of --procnames and --namemapping, or
// the default rules.
func (s *Settings) LoadRules() (Rules, error) {
	switch {
	case s.ConfigPath != "":
		file, err := grouping.Load(s.ConfigPath)
		if err != nil {
			return Rules{}, fmt.Errorf("--config.path: %w", err)
		}
		return Rules{file, s.ConfigPath, file.Warnings()}, nil
	case s.ProcNames != "" || s.NameMapping != "":
		mapping, err := grouping.NewNameMapping(s.ProcNames, s.NameMapping)
		if err != nil {
			return Rules{}, fmt.Errorf("--procnames, --namemapping: %w", err)
		}
		return Rules{Matcher: mapping, Origin: "--procnames, --namemapping"}, nil
	}
	return Rules{Matcher: grouping.Default(), Origin: "default"}, nil
}

// Hints returns the likely mistakes in rules with these flags. The flags of a command can differ
// from those of the daemon, so hints are not warnings.
func (s *Settings) Hints(rules Rules) (hints []grouping.Warning) {
	for _, r := range rules.Matcher.Rules() {
		enabled := r.Collectors(s.Collectors) &^ s.DisabledCollectors()
		if r.Expect == nil || len(r.Expect.Listen) == 0 || enabled.Has(grouping.CollectorNetwork) {
			continue
		}
		hints = append(hints, grouping.Warning{Path: rules.Origin, Line: r.Line, Column: r.Column,
			Text: "listen in expect needs the collector network; use --collector.network, or add collectors: {network: true} to the rule"})
	}
	return hints
}
