package config

import (
	"fmt"

	"github.com/seed57308aee/process_exporter/platform"
)

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
