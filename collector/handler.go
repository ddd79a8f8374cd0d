package collector

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/seed57308aee/process_exporter/collector/httpgzip"
	"github.com/seed57308aee/process_exporter/grouping"
)

// Causes of errors in a scrape, values of the label cause.
const (
	causeGathering = "gathering"
	causeEncoding  = "encoding"
)

// GroupGatherer returns the metrics of groups, in the format that a scrape needs. [Collector]
// implements it. With only, a scrape omits the metrics of all other collectors.
type GroupGatherer interface {
	Gatherer(ctx context.Context) prometheus.Gatherer
	EachFamily(ctx context.Context, only grouping.CollectorSet, use func(*dto.MetricFamily) error) error
	EachText(ctx context.Context, only grouping.CollectorSet, format TextFormat, use func(name string, lines []byte) error) error
}

// A Handler renders scrapes: the metrics of groups and the metrics of another
// gatherer, sorted by name, in the format and encoding that the client accepts.
// It is safe for concurrent use.
type Handler struct {
	groups GroupGatherer
	other  prometheus.Gatherer
	log    *slog.Logger
	errors *prometheus.CounterVec
}

// NewHandler returns a Handler of groups and other. Their metrics must have
// different names.
func NewHandler(groups GroupGatherer, other prometheus.Gatherer, log *slog.Logger) *Handler {
	h := &Handler{groups: groups, other: other, log: log, errors: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "promhttp_metric_handler_errors_total", // as the handler of the client library
		Help: "Total number of internal errors encountered by the promhttp metric handler.",
	}, []string{"cause"})}
	h.errors.WithLabelValues(causeGathering)
	h.errors.WithLabelValues(causeEncoding)
	return h
}

// Errors returns the counter of errors in scrapes.
func (h *Handler) Errors() prometheus.Collector { return h.errors }

// Gatherer returns the metrics of one scrape, which ends with ctx. It appends
// the families of both sources. The Gatherers of the client library would check every
// series again.
func (h *Handler) Gatherer(ctx context.Context) prometheus.Gatherer {
	groups := h.groups.Gatherer(ctx)
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		families, err := groups.Gather()
		other, otherErr := h.other.Gather()
		families = append(families, other...)
		slices.SortFunc(families, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
		return families, errors.Join(err, otherErr)
	})
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.Render(r.Context(), w, r) }

// Render writes the response to the scrape r, which ends with ctx. It builds and
// writes one family at a time: all families together would need three times the
// memory of the response. An error in one family does not affect the others.
// The parameters collect[] and exclude[] select collectors, see [RequestedCollectors]. The
// metrics of the other gatherer belong to no collector.
func (h *Handler) Render(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	only, err := RequestedCollectors(r.URL.Query(), grouping.AllCollectors)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	format := negotiate(r.Header)
	w.Header().Set("Content-Type", string(format.contentType))
	out := io.Writer(w)
	if httpgzip.Accepted(r.Header) {
		w.Header().Set("Content-Encoding", httpgzip.Encoding)
		z := httpgzip.NewWriter(w)
		defer func() { _ = z.Close() }() // a write error means that the client closed the connection
		out = z
	}
	enc := format.encoder(out)
	merger := merger{handler: h, enc: enc}
	if text, ok := format.text(); ok {
		err = h.groups.EachText(ctx, only, text, func(name string, lines []byte) error {
			merger.writeBefore(name)
			_, err := out.Write(lines)
			return err
		})
	} else {
		err = h.groups.EachFamily(ctx, only, func(mf *dto.MetricFamily) error {
			merger.writeBefore(mf.GetName())
			merger.encode(mf)
			return nil
		})
	}
	if err != nil {
		h.fail(causeEncoding, err)
	}
	merger.writeRest()
	if closer, ok := enc.(expfmt.Closer); ok { // OpenMetrics ends with "# EOF"
		if err := closer.Close(); err != nil {
			h.fail(causeEncoding, err)
		}
	}
}

// fail counts and logs an error in a scrape.
func (h *Handler) fail(cause string, err error) {
	h.errors.WithLabelValues(cause).Inc()
	h.log.Error("part of a scrape failed", "reason", cause, "err", err)
}

// A merger writes the families of Handler.other between those of groups, so that
// all are sorted by name.
type merger struct {
	handler  *Handler
	enc      expfmt.Encoder
	gathered bool
	rest     []*dto.MetricFamily // not yet written, sorted by name
}

// gather gathers the other families once. The caller calls it after the update,
// because some of these metrics depend on it.
func (m *merger) gather() {
	if m.gathered {
		return
	}
	m.gathered = true
	var err error
	if m.rest, err = m.handler.other.Gather(); err != nil {
		m.handler.fail(causeGathering, err)
	}
}

// writeBefore writes the families with names before name.
func (m *merger) writeBefore(name string) {
	m.gather()
	for len(m.rest) > 0 && m.rest[0].GetName() < name {
		m.encode(m.rest[0])
		m.rest = m.rest[1:]
	}
}

// writeRest writes all remaining families.
func (m *merger) writeRest() {
	m.gather()
	for _, mf := range m.rest {
		m.encode(mf)
	}
}

func (m *merger) encode(mf *dto.MetricFamily) {
	if err := m.enc.Encode(mf); err != nil {
		m.handler.fail(causeEncoding, err)
	}
}
