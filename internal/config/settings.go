// Package config parses the command line and loads what it names: the grouping
// rules, and the sources of processes and of sockets.
//
// A [CommandLine] describes the flags of one command. It accepts the spellings
// of Go's flag package, which the predecessor's unit files use, and those of
// kingpin. [Settings] is the result.
package config

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/alecthomas/units"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/exporter-toolkit/web"

	"github.com/seed57308aee/process_exporter/grouping"
)

// maxRetention is the maximum of --web.retention. It limits memory: see docs/api.md.
const maxRetention = time.Hour

// Program is the name of the program in messages and in the metric
// process_exporter_build_info.
const Program = "process_exporter"

// Settings holds the values of the flags.
type Settings struct {
	ConfigPath  string
	ProcNames   string
	NameMapping string

	Children          bool
	Recheck           bool
	RecheckLimit      time.Duration // 0 disables it
	RemoveEmptyGroups bool
	MatchBudget       time.Duration // CPU time per scrape; 0 is no limit
	MaxGroups         int           // 0 is no limit
	MaxThreadNames    int           // 0 is no limit

	ProcFS string
	Source string // auto, bpf or procfs

	Collectors     grouping.CollectorSet
	collectorFlags collectorFlags // zero after the command line is parsed

	SmapsBudget time.Duration    // CPU time per scrape
	SmapsMaxRSS units.Base2Bytes // 0 is no limit

	Web                    *web.FlagConfig
	TelemetryPath          string
	DisableExporterMetrics bool
	MaxRequests            int // 0 is no limit
	MaxConnections         int
	AllowedHosts           string        // names, separated by commas; see AllowedHostNames
	ShowProcesses          string        // auto, on or off
	Retention              time.Duration // of the history without viewers; 0 is none
	PprofAddress           string        // "" serves no profiles
	EnableLifecycle        bool

	Log     promslog.Config
	Debug   bool
	Sandbox string // auto, strict or off

	ConfigCheck bool
	HealthCheck bool
	OnceDelay   time.Duration // 0 serves; otherwise the delay between two scrapes
	Manual      bool
	Version     bool
	Help        bool
}

// validate returns an error for values that exclude each other or that are out
// of range.
func (s *Settings) validate() error {
	if err := s.ValidateGroupingFlags(); err != nil {
		return err
	}
	if p := s.TelemetryPath; !strings.HasPrefix(p, "/") {
		return fmt.Errorf("invalid value %q for --web.telemetry-path: use a path that starts with a slash, such as /metrics", p)
	}
	if s.PprofAddress != "" && !isLoopback(s.PprofAddress) {
		return fmt.Errorf("invalid value %q for --web.pprof-address: profiles expose memory contents; "+
			"use a loopback address such as 127.0.0.1:6060", s.PprofAddress)
	}
	if s.MaxConnections < 1 {
		return fmt.Errorf("invalid value %d for --web.max-connections: use at least 1", s.MaxConnections)
	}
	for _, name := range s.AllowedHostNames() {
		if name == "" || strings.ContainsAny(name, ":/ \t") || name != "*" && strings.Contains(name, "*") {
			return fmt.Errorf("invalid value %q for --web.allowed-hosts: use host names without port, separated by commas, or *", s.AllowedHosts)
		}
	}
	if s.Retention < 0 || s.Retention > maxRetention {
		return fmt.Errorf("invalid value %q for --web.retention: use 0s to %v", s.Retention, maxRetention)
	}
	if s.OnceDelay < 0 {
		return fmt.Errorf("invalid value %q for --once-to-stdout-delay: use a positive duration", s.OnceDelay)
	}
	return nil
}

// AllowedHostNames returns the host names of --web.allowed-hosts, or nil if it is
// not set.
func (s *Settings) AllowedHostNames() []string {
	if s.AllowedHosts == "" {
		return nil
	}
	return strings.Split(s.AllowedHosts, ",")
}

// ValidateGroupingFlags returns an error if the flags about rules and data sources
// exclude each other or are negative. It disables the collector smaps if its budget is 0.
func (s *Settings) ValidateGroupingFlags() error {
	switch {
	case s.ConfigPath != "" && (s.ProcNames != "" || s.NameMapping != ""):
		return errors.New("-config.path cannot be used with -namemapping or -procnames")
	case s.SmapsBudget < 0 || s.SmapsMaxRSS < 0:
		return errors.New("--smaps.budget and --smaps.max-rss cannot be negative")
	case s.MatchBudget < 0:
		return errors.New("--match-budget cannot be negative; 0s is no limit")
	case s.MaxGroups < 0 || s.MaxThreadNames < 0:
		return errors.New("--max-groups and --max-thread-names cannot be negative; 0 is no limit")
	}
	if s.SmapsBudget == 0 {
		s.Collectors &^= grouping.CollectorSmaps // and those of rules: see DisabledCollectors
	}
	return nil
}

// DisabledCollectors returns the collectors that no rule can enable.
func (s *Settings) DisabledCollectors() grouping.CollectorSet {
	if s.SmapsBudget == 0 {
		return grouping.CollectorSmaps
	}
	return 0
}

// isLoopback reports whether address accepts connections from this machine only.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
