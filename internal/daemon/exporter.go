// Package daemon runs the exporter: it connects the rules, the source of process
// data, the metrics and the web server, and handles signals, reloads, systemd
// and the sandbox.
package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed57308aee/process_exporter/collector"
	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/internal/config"
	"github.com/seed57308aee/process_exporter/internal/webserver"
	"github.com/seed57308aee/process_exporter/internal/webui"
	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/platform/containers"
	"github.com/seed57308aee/process_exporter/platform/sandbox"
	"github.com/seed57308aee/process_exporter/platform/sockets"
)

// An Exporter is one run of the daemon.
type Exporter struct {
	settings *config.Settings
	log      *slog.Logger
	rules    config.Rules // those of the start
	tracker  *grouping.Tracker

	hasSockets bool  // the Tracker reads sockets
	socketsErr error // why it does not, although the collector network is enabled

	collector *collector.Collector
	metrics   *metricsHandler
	web       *webserver.WebConfig

	sandboxMetrics sandboxMetrics
	capabilities   capabilityCheck
	notifySocket   net.Conn // of systemd, nil without one

	started   time.Time
	enabled   atomic.Pointer[grouping.CollectorSet] // by the flags or the current rules
	reloads   reloadMetrics
	reloading sync.Mutex // held during a reload
}

// New creates an Exporter. It does not log, so that a failed start leaves one
// line. The [platform.Source] stays open until the process ends: a walk that an
// unresponsive process delays may take longer than all scrapes that wait for
// it, and to close the source during the walk would turn a clean exit into an
// error.
func New(s *config.Settings, log *slog.Logger) (*Exporter, error) {
	rules, err := s.LoadRules()
	if err != nil {
		return nil, err
	}
	web, err := webserver.OpenWebConfig(*s.Web.WebConfigFile, log)
	if err != nil {
		return nil, err
	}
	source, err := s.OpenSource()
	if err != nil {
		return nil, err
	}
	reader, socketsErr := s.OpenSockets(rules, 0)
	tracker := NewTracker(s, Sources{source, reader}, rules)
	e := &Exporter{
		settings:       s,
		log:            log,
		hasSockets:     reader != nil,
		socketsErr:     socketsErr,
		rules:          rules,
		tracker:        tracker,
		collector:      collector.New(collector.Options{Tracker: tracker, Logger: log}),
		web:            web,
		sandboxMetrics: newSandboxMetrics(),
		capabilities:   capabilityCheck{held: sandbox.Held, kernel: thisKernel()},
		started:        time.Now().UTC(),
		reloads:        newReloadMetrics(),
	}
	e.setEnabled(rules)
	e.collector.Watch(func(v collector.UpdateResult) { e.checkSource(v.Health.Kind, v.Sockets.Kind) })
	permanent := slices.Concat(e.reloads.collectors(), []prometheus.Collector{web.Collector()}, e.sandboxMetrics.collectors())
	e.metrics = newMetricsHandler(s, log, e.collector, permanent, e.enabledCollectors)
	return e, nil
}

// Sources are what a Tracker reads.
type Sources struct {
	Processes platform.Source
	Sockets   sockets.Reader // nil without
}

// NewTracker creates the Tracker that groups the processes of sources.
func NewTracker(s *config.Settings, sources Sources, rules config.Rules) *grouping.Tracker {
	return grouping.NewTracker(sources.Processes, rules.Matcher, grouping.Options{
		Sockets:        sources.Sockets,
		Children:       s.Children,
		Recheck:        s.Recheck || s.RecheckLimit != 0,
		RecheckLimit:   s.RecheckLimit,
		RemoveEmpty:    s.RemoveEmptyGroups,
		Collectors:     s.Collectors,
		Disabled:       s.DisabledCollectors(),
		MatchBudget:    s.MatchBudget,
		CPUTime:        ownCPUTime,
		MaxGroups:      s.MaxGroups,
		MaxThreadNames: s.MaxThreadNames,
		Containers:     containers.Open(containers.DefaultDirs()),
	})
}

// ValidateTelemetryPath returns an error if the daemon serves something else at the path of
// the metrics.
func ValidateTelemetryPath(s *config.Settings) error {
	if slices.Contains(reservedPaths(), s.TelemetryPath) {
		return fmt.Errorf("invalid value %q for --web.telemetry-path: the path is reserved; use another path", s.TelemetryPath)
	}
	return nil
}

// enabledCollectors returns the collectors that the flags or the rules enable.
func (e *Exporter) enabledCollectors() grouping.CollectorSet { return *e.enabled.Load() }

// setEnabled sets the collectors that the flags or these rules enable.
func (e *Exporter) setEnabled(rules config.Rules) {
	enabled := grouping.EnabledCollectors(rules.Matcher, e.settings.Collectors)
	e.enabled.Store(&enabled)
}

// Gatherer returns the metrics of one scrape, which ends with ctx.
func (e *Exporter) Gatherer(ctx context.Context) prometheus.Gatherer {
	return e.metrics.renderer.Gatherer(ctx)
}

// newRecorder returns the Recorder of the page.
func (e *Exporter) newRecorder() *webui.Recorder {
	hostname, _ := os.Hostname() // "" if it is unknown
	return webui.NewRecorder(e.collector, webui.Options{
		MaxAge:    webui.DefaultMaxAge,
		Retention: e.settings.Retention,
		Describe:  e.describe,
		Hostname:  hostname,
		Machine:   platform.OpenMachine(e.settings.ProcFS).Read, // stays open, as the source does
	})
}

// showsProcesses reports whether the response to r may contain single processes.
func (e *Exporter) showsProcesses(r *http.Request) bool {
	switch e.settings.ShowProcesses {
	case "on":
		return true
	case "off":
		return false
	}
	return webserver.OnLoopback(r.Context())
}

// describe sets the fields of x about this run.
func (e *Exporter) describe(x *webui.ExporterStatus) {
	x.StartTime = webui.Timestamp{Time: e.started}
	x.ReloadTime, x.ReloadSuccessful = webui.Timestamp{Time: *e.reloads.loaded.Load()}, !e.reloads.failing.Load()
	if e.settings.Collectors.Has(grouping.CollectorSmaps) {
		x.SmapsBudget = e.settings.SmapsBudget.Seconds()
	}
}
