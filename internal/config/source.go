package config

import (
	"fmt"
	"time"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/platform/sockets"
)

// OpenSource opens the source of process data.
func (s *Settings) OpenSource() (platform.Source, error) {
	source, err := platform.Open(platform.Options{
		Root: s.ProcFS, Kind: platform.SourceKind(s.Source), SmapsBudget: s.SmapsBudget, SmapsMaxRSS: uint64(s.SmapsMaxRSS),
		Sandboxed: s.Sandbox != "off",
	})
	if err != nil {
		return nil, fmt.Errorf("--procfs=%s --source=%s: %w", s.ProcFS, s.Source, err)
	}
	return source, nil
}

// OpenSockets opens the reader of network sockets if the flags or the rules enable the collector
// network. The reader is nil if they do not, or if the sockets cannot be read; then err says
// why. Processes can be read without it. budget is that of [sockets.Options].
func (s *Settings) OpenSockets(rules Rules, budget time.Duration) (reader sockets.Reader, err error) {
	if !grouping.EnabledCollectors(rules.Matcher, s.Collectors).Has(grouping.CollectorNetwork) {
		return nil, nil
	}
	return sockets.Open(sockets.Options{Root: s.ProcFS, Kind: platform.SourceKind(s.Source), Budget: budget})
}
