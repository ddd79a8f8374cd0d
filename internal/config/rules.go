package config

import (
	"fmt"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
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

// OpenSource opens the source of process data.
func (s *Settings) OpenSource() (platform.Source, error) {
	source, err := platform.Open(platform.Options{
		Root: s.ProcFS, Kind: platform.Kind(s.Source), SmapsBudget: s.SmapsBudget, SmapsMaxRSS: uint64(s.SmapsMaxRSS),
	})
	if err != nil {
		return nil, fmt.Errorf("--procfs=%s --source=%s: %w", s.ProcFS, s.Source, err)
	}
	return source, nil
}
