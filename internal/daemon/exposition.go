package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/seed57308aee/process_exporter/internal/config"
	"github.com/seed57308aee/process_exporter/internal/webserver"
)

// A groupCollector yields the metrics of all groups, waiting for a walk over
// the processes no longer than a context allows.
type groupCollector interface {
	For(ctx context.Context) prometheus.Gatherer
	Stream(ctx context.Context, use func(*dto.MetricFamily) error) error
	StreamText(ctx context.Context, use func(name string, lines []byte) error) error
}

// An exposition puts together what a scrape answers: the metrics of the groups
// and those of the exporter itself.
type exposition struct {
	http.Handler // of scrapes

	log    *slog.Logger
	groups groupCollector
	own    *prometheus.Registry
	failed *prometheus.CounterVec // what could not be gathered or encoded
}

// newExposition returns the exposition of groups. The metrics in always, and
// the build information, stay even if the exporter's own are disabled: they
// tell what runs and with which rules, not how the runtime feels.
func newExposition(s *config.Settings, log *slog.Logger, groups groupCollector, always []prometheus.Collector) *exposition {
	x := &exposition{log: log, groups: groups, own: prometheus.NewRegistry(), failed: newFailures()}
	x.own.MustRegister(versioncollector.NewCollector(config.Program))
	x.own.MustRegister(always...)
	x.Handler = webserver.NewCoalescer(log, s.MaxRequests, x.render)
	if !s.DisableExporterMetrics {
		x.own.MustRegister(collectors.NewGoCollector(), newOwnProcess())
		x.own.MustRegister(x.failed)
		x.Handler = promhttp.InstrumentMetricHandler(x.own, x.Handler)
	}
	return x
}

// gatherer returns the source of one scrape's metrics. The groups' families and
// the exporter's own never share a name, so joining them is all there is to do;
// the client library's own way of merging would check each series once more.
func (x *exposition) gatherer(ctx context.Context) prometheus.Gatherer {
	groups := x.groups.For(ctx)
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		families, err := groups.Gather()
		own, ownErr := x.own.Gather()
		families = append(families, own...)
		byName(families)
		return families, errors.Join(err, ownErr)
	})
}
