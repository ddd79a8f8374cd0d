package daemon

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// A startedCollector adds the start time of this process to the counters and summaries of
// a collector of the client library, which has none for them.
type startedCollector struct {
	prometheus.Collector
	start *timestamppb.Timestamp
}

// newStarted returns a collector of c whose counters began at start.
func newStarted(c prometheus.Collector, start time.Time) prometheus.Collector {
	return startedCollector{c, timestamppb.New(start)}
}

// Collect implements [prometheus.Collector].
func (c startedCollector) Collect(ch chan<- prometheus.Metric) {
	metrics := make(chan prometheus.Metric)
	go func() {
		defer close(metrics)
		c.Collector.Collect(metrics)
	}()
	for m := range metrics {
		ch <- startedMetric{m, c.start}
	}
}

// A startedMetric is a metric with a start time.
type startedMetric struct {
	prometheus.Metric
	start *timestamppb.Timestamp
}

// Write implements [prometheus.Metric].
func (m startedMetric) Write(out *dto.Metric) error {
	if err := m.Metric.Write(out); err != nil {
		return err
	}
	switch {
	case out.Counter != nil && out.Counter.CreatedTimestamp == nil:
		out.Counter.CreatedTimestamp = m.start
	case out.Summary != nil && out.Summary.CreatedTimestamp == nil:
		out.Summary.CreatedTimestamp = m.start
	}
	return nil
}
