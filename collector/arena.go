package collector

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// An arena allocates samples in large blocks. [arena.reset] makes the memory of
// all samples reusable.
type arena struct {
	gauges   blocks[gaugeSample]
	counters blocks[counterSample]
	metrics  []*dto.Metric // empty, with capacity for the samples of one family
}

// A gaugeSample is a sample with everything that it points to.
type gaugeSample struct {
	metric dto.Metric
	gauge  dto.Gauge
	value  float64
	labels [3]*dto.LabelPair
}

// A counterSample is a sample with everything that it points to.
type counterSample struct {
	metric  dto.Metric
	counter dto.Counter
	value   float64
	start   timestamppb.Timestamp
	labels  [3]*dto.LabelPair
}

// reset allows new samples to overwrite all samples so far.
func (a *arena) reset() { a.gauges.used, a.counters.used = 0, 0 }

// newSample returns a sample without labels. A counter counts from start, in milliseconds
// since the Unix epoch; 0 is unknown.
func (a *arena) newSample(kind prometheus.ValueType, value float64, start int64) *dto.Metric {
	if kind == counter {
		s := a.counters.next()
		s.value = value
		if s.counter.CreatedTimestamp = nil; start > 0 {
			s.start.Seconds, s.start.Nanos = start/1000, int32(start%1000)*1e6
			s.counter.CreatedTimestamp = &s.start
		}
		s.counter.Value, s.metric.Counter, s.metric.Label = &s.value, &s.counter, s.labels[:0]
		return &s.metric
	}
	s := a.gauges.next()
	s.value = value
	s.gauge.Value, s.metric.Gauge, s.metric.Label = &s.value, &s.gauge, s.labels[:0]
	return &s.metric
}

// blockSize is the number of elements in one allocation.
const blockSize = 128

// blocks is a list of elements that never move.
type blocks[T any] struct {
	all  []*[blockSize]T
	used int
}

func (b *blocks[T]) next() *T {
	block, at := b.used/blockSize, b.used%blockSize
	if block == len(b.all) {
		b.all = append(b.all, new([blockSize]T))
	}
	b.used++
	return &b.all[block][at]
}
