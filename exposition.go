package main

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
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
	log    *slog.Logger
	groups groupCollector
	own    *prometheus.Registry
	failed *prometheus.CounterVec // what could not be gathered or encoded
	shared *renderings
	size   atomic.Int64 // of the last answer, in bytes
	slots  slots
	handle http.Handler
}

// newExposition returns the exposition of groups. The metrics in always, and
// the build information, stay even if the exporter's own are disabled: they
// tell what runs and with which rules, not how the runtime feels.
func newExposition(s *settings, log *slog.Logger, groups groupCollector, always []prometheus.Collector) *exposition {
	x := &exposition{log: log, groups: groups, own: prometheus.NewRegistry(), failed: newFailures()}
	x.own.MustRegister(versioncollector.NewCollector(program))
	x.own.MustRegister(always...)
	x.shared = newRenderings(log, x.render)
	x.slots = newSlots(s.maxRequests)
	x.handle = http.HandlerFunc(x.serveScrape)
	if !s.noOwnMetrics {
		x.own.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
		x.own.MustRegister(x.failed)
		x.handle = promhttp.InstrumentMetricHandler(x.own, x.handle)
	}
	return x
}

// ServeHTTP answers a scrape.
func (x *exposition) ServeHTTP(w http.ResponseWriter, r *http.Request) { x.handle.ServeHTTP(w, r) }

// serveScrape finds the answer and sends it. Only the first takes a slot: a
// client that is slow to fetch its answer keeps no other from being served.
func (x *exposition) serveScrape(w http.ResponseWriter, r *http.Request) {
	if !x.slots.take() {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "Too many scrapes at the same time, the limit is --web.max-requests="+strconv.Itoa(cap(x.slots))+".", http.StatusServiceUnavailable)
		return
	}
	answer := x.shared.answer(r)
	x.slots.give()
	if answer != nil {
		defer x.shared.leave(answer)
		answer.send(w, r)
	}
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

const (
	timeoutHeader   = "X-Prometheus-Scrape-Timeout-Seconds"
	defaultDeadline = 10 * time.Second       // as long as Prometheus waits unless told otherwise
	maxDeadline     = 10 * time.Second       // whoever waits longer has an answer by then, if a partial one
	networkTime     = 500 * time.Millisecond // left for the answer's way back
)

// scrapeDeadline returns how long a scrape may take: what its sender says it
// waits, less the time that the answer needs on its way. A header that makes
// no sense counts as none.
func scrapeDeadline(h http.Header) time.Duration {
	seconds, err := strconv.ParseFloat(h.Get(timeoutHeader), 64)
	if err != nil || math.IsNaN(seconds) || seconds <= 0 {
		return defaultDeadline
	}
	// Twice the most, so that the time for the way back comes off what was sent.
	timeout := time.Duration(min(seconds, 2*maxDeadline.Seconds()) * float64(time.Second))
	return min(max(timeout-networkTime, timeout/2), maxDeadline)
}

// slots are places for requests that wait for their answer. There is no queue
// for them: a scraper comes again anyway, and a queue would serve it late and
// keep the next one waiting. No slots at all are no limit.
type slots chan struct{}

func newSlots(n int) slots {
	if n <= 0 {
		return nil
	}
	return make(slots, n)
}

func (s slots) take() bool {
	if s == nil {
		return true
	}
	select {
	case s <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s slots) give() {
	if s != nil {
		<-s
	}
}
