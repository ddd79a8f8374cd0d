package daemon

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"time"

	sddaemon "github.com/coreos/go-systemd/v22/daemon"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/internal/config"
)

// handleReloads reloads the rules for each signal until the process ends. It
// runs in a separate goroutine, so that a rule file on an unresponsive file system
// does not delay a stop.
func (e *Exporter) handleReloads(signals <-chan os.Signal) {
	for range signals {
		_ = e.reload() // logs the error
	}
}

// errNoRules is the error of a reload of a file without rules, such as one that an editor is
// about to write.
var errNoRules = errors.New("the file has no rules; restart the exporter to use it")

// reload loads the rules again. They take effect at the next scrape. Counters
// of groups that keep their names continue. On error the current rules stay in
// effect, because an exporter that stops is worse than one with old rules.
func (e *Exporter) reload() error {
	if e.settings.ConfigPath == "" {
		e.log.Info("ignored reload: --config.path is not set")
		return nil
	}
	e.reloading.Lock()
	defer e.reloading.Unlock()
	e.notify(sddaemon.SdNotifyReloading + "\n" + sddaemon.SdNotifyMonotonicUsec())
	defer e.notify(sddaemon.SdNotifyReady)
	rules, err := e.settings.LoadRules()
	if err == nil && len(rules.Matcher.Rules()) == 0 {
		err = fmt.Errorf("--config.path: %s: %w", e.settings.ConfigPath, errNoRules)
	}
	if err != nil {
		e.reloads.setFailed()
		e.log.Error("configuration reload failed; keeping the previous rules", "err", err)
		return err
	}
	e.reloads.setLoaded() // before a scrape uses the new rules
	e.tracker.SetMatcher(rules.Matcher)
	e.setEnabled(rules)
	e.logRules(rules)
	e.checkRules(rules.Matcher)
	if !e.hasSockets && e.socketsErr == nil && e.enabledCollectors().Has(grouping.CollectorNetwork) {
		e.log.Warn("the collector network has no metrics until a restart; the programs that read sockets are loaded at the start")
	}
	return nil
}

// logRules logs the origin of the rules, their warnings, and hints about the flags.
func (e *Exporter) logRules(rules config.Rules) {
	key := "path"
	if e.settings.ConfigPath == "" {
		key = "origin"
	}
	e.log.Info("rules loaded", key, rules.Origin)
	for _, w := range slices.Concat(rules.Warnings, e.settings.Hints(rules)) {
		e.log.Warn("configuration warning", "reason", w.String())
	}
}

// reloadMetrics are the result of the last reload, as metrics and for the page.
type reloadMetrics struct {
	successful prometheus.Gauge
	timestamp  prometheus.Gauge

	failing *atomic.Bool
	loaded  *atomic.Pointer[time.Time]
}

// newReloadMetrics returns the state after startup, which has loaded the rules.
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
	m.setLoaded()
	return m
}

func (m reloadMetrics) setLoaded() {
	m.successful.Set(1)
	m.timestamp.SetToCurrentTime()
	now := time.Now().UTC()
	m.loaded.Store(&now)
	m.failing.Store(false)
}

func (m reloadMetrics) setFailed() {
	m.successful.Set(0)
	m.failing.Store(true)
}

func (m reloadMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.successful, m.timestamp}
}
