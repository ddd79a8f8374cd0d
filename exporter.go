package main

import (
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed57308aee/process_exporter/collector"
	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/internal/webserver"
	"github.com/seed57308aee/process_exporter/internal/webui"
	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/platform/sandbox"
)

// An exporter is everything that one run of the program is made of.
type exporter struct {
	settings *settings
	log      *slog.Logger
	rules    rules
	tracker  *grouping.Tracker
	groups   *collector.Collector
	metrics  *exposition
	reloads  reloadMetrics
	web      *webserver.WebConfig

	privileges privilegeMetrics
	tested     selfTest
	manager    net.Conn // of systemd, nil if none wants to be told

	started   time.Time
	reloading sync.Mutex // one reload at a time, whoever asks for it
}

// newExporter wires an exporter. It logs nothing, so that a start which fails
// leaves one line. The [platform.Source] stays open until the process ends: a
// walk that a slow process holds up may outlive every scrape that waits for it,
// and closing the source under it would only turn a clean exit into a noisy one.
func newExporter(s *settings, log *slog.Logger) (*exporter, error) {
	r, err := loadRules(s)
	if err != nil {
		return nil, err
	}
	web, err := webserver.OpenWebConfig(*s.web.WebConfigFile, log)
	if err != nil {
		return nil, err
	}
	source, err := openSource(s)
	if err != nil {
		return nil, err
	}
	tracker := grouping.NewTracker(source, r.matcher, trackerOptions(s))
	groups := collector.New(collector.Options{Tracker: tracker, Logger: log})
	e := &exporter{settings: s, log: log, rules: r, tracker: tracker, groups: groups, reloads: newReloadMetrics(), web: web, started: time.Now().UTC(), privileges: newPrivilegeMetrics(), tested: selfTest{held: sandbox.Held}}
	groups.Watch(func(v collector.View) { e.sourceUsed(platform.Kind(v.Health.Source)) })
	e.metrics = newExposition(s, log, groups, append(append(e.reloads.collectors(), web.Collector()), e.privileges.collectors()...))
	return e, nil
}

// describe fills in what the page shows of this run of the program.
func (e *exporter) describe(x *webui.Exporter) {
	x.Start, x.ConfigTime, x.ConfigReloaded = e.started, *e.reloads.loaded.Load(), !e.reloads.failing.Load()
	if e.settings.smaps {
		x.SmapsBudget = e.settings.smapsBudget.Seconds()
	}
}

// openSource returns what the settings say to read processes from.
func openSource(s *settings) (platform.Source, error) {
	source, err := platform.Open(platform.Options{
		Root: s.procfs, Kind: platform.Kind(s.source), SmapsBudget: s.smapsBudget, SmapsMaxRSS: uint64(s.smapsMaxRSS),
	})
	if err != nil {
		return nil, fmt.Errorf("--procfs=%s --source=%s: %w", s.procfs, s.source, err)
	}
	return source, nil
}

func trackerOptions(s *settings) grouping.Options {
	return grouping.Options{
		Children:       s.children,
		Recheck:        s.recheck || s.recheckLimit != 0,
		RecheckLimit:   s.recheckLimit,
		RemoveEmpty:    s.removeEmpty,
		Fields:         collector.Fields(s.threads, s.smaps),
		MaxGroups:      s.maxGroups,
		MaxThreadNames: s.maxThreadNames,
	}
}

// reloadMetrics say whether the rules in force are the ones in the file.
type reloadMetrics struct {
	successful prometheus.Gauge
	timestamp  prometheus.Gauge

	// The same for the page.
	failing *atomic.Bool
	loaded  *atomic.Pointer[time.Time]
}

// newReloadMetrics returns the state right after the start, whose own load of
// the file counts as the first.
func newReloadMetrics() reloadMetrics {
	m := reloadMetrics{
		successful: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "namedprocess_exporter_config_last_reload_successful",
			Help: "Whether the last load of the configuration succeeded (1) or failed (0).",
		}),
		timestamp: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "namedprocess_exporter_config_last_reload_success_timestamp_seconds",
			Help: "Time of the last successful load of the configuration as a Unix timestamp in seconds.",
		}),
		failing: new(atomic.Bool),
		loaded:  new(atomic.Pointer[time.Time]),
	}
	m.succeeded()
	return m
}

func (m reloadMetrics) succeeded() {
	m.successful.Set(1)
	m.timestamp.SetToCurrentTime()
	now := time.Now().UTC()
	m.loaded.Store(&now)
	m.failing.Store(false)
}

func (m reloadMetrics) failed() {
	m.successful.Set(0)
	m.failing.Store(true)
}

func (m reloadMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.successful, m.timestamp}
}
