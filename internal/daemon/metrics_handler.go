package daemon

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/seed57308aee/process_exporter/collector"
	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/internal/config"
	"github.com/seed57308aee/process_exporter/internal/webserver"
)

// A metricsHandler serves the metrics of groups and of the exporter.
type metricsHandler struct {
	http.Handler // coalesces scrapes
	renderer     *collector.Handler
}

// newMetricsHandler returns a handler of the metrics of groups, the build
// information, and the permanent metrics. --web.disable-exporter-metrics disables
// all others. enabled returns the collectors that flags or rules enable.
func newMetricsHandler(
	s *config.Settings, log *slog.Logger, groups collector.GroupGatherer, permanent []prometheus.Collector,
	enabled func() grouping.CollectorSet,
) *metricsHandler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(versioncollector.NewCollector(config.Program))
	registry.MustRegister(permanent...)
	m := &metricsHandler{renderer: collector.NewHandler(groups, registry, log)}
	m.Handler = webserver.NewCoalescer(webserver.CoalescerOptions{
		Logger: log, MaxRequests: s.MaxRequests, Render: m.renderer.Render, CPUTime: ownCPUTime,
		Variant: collector.VariantOf,
	})
	m.Handler = checkQuery(enabled, m.Handler)
	if !s.DisableExporterMetrics {
		start := time.Now()
		registry.MustRegister(newStarted(collectors.NewGoCollector(), start), newStarted(newOwnProcess(), start), m.renderer.Errors())
		m.Handler = promhttp.InstrumentMetricHandler(registry, m.Handler)
	}
	return m
}

// checkQuery rejects scrapes whose parameters collect[] and exclude[] are invalid.
func checkQuery(enabled func() grouping.CollectorSet, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := collector.RequestedCollectors(r.URL.Query(), enabled()); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}
