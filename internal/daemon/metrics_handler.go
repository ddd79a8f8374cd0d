package daemon

import (
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/seed57308aee/process_exporter/collector"
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
// all others.
func newMetricsHandler(
	s *config.Settings, log *slog.Logger, groups collector.GroupMetrics, permanent []prometheus.Collector,
) *metricsHandler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(versioncollector.NewCollector(config.Program))
	registry.MustRegister(permanent...)
	m := &metricsHandler{renderer: collector.NewHandler(groups, registry, log)}
	m.Handler = webserver.NewCoalescer(webserver.CoalescerOptions{
		Logger: log, MaxRequests: s.MaxRequests, Render: m.renderer.Render, Variant: collector.FormatOf,
	})
	if !s.DisableExporterMetrics {
		registry.MustRegister(collectors.NewGoCollector(), newOwnProcess(), m.renderer.Errors())
		m.Handler = promhttp.InstrumentMetricHandler(registry, m.Handler)
	}
	return m
}
