package collector

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// cells make room for samples, many in one piece of memory.
type cells struct {
	gauges   pieces[gaugeCell]
	counters pieces[counterCell]
	metrics  []*dto.Metric // without any, but with their room
}

// A gaugeCell is a sample and all that it points to.
type gaugeCell struct {
	metric dto.Metric
	gauge  dto.Gauge
	value  float64
	labels [3]*dto.LabelPair
}

// A counterCell is the same of a counter.
type counterCell struct {
	metric  dto.Metric
	counter dto.Counter
	value   float64
	labels  [3]*dto.LabelPair
}

// next lets the samples that were taken be taken again.
func (c *cells) next() { c.gauges.used, c.counters.used = 0, 0 }

// take returns a sample without labels, and with room for some.
func (c *cells) take(kind prometheus.ValueType, value float64) *dto.Metric {
	if kind == counter {
		cell := c.counters.take()
		cell.value = value
		cell.counter.Value, cell.metric.Counter, cell.metric.Label = &cell.value, &cell.counter, cell.labels[:0]
		return &cell.metric
	}
	cell := c.gauges.take()
	cell.value = value
	cell.gauge.Value, cell.metric.Gauge, cell.metric.Label = &cell.value, &cell.gauge, cell.labels[:0]
	return &cell.metric
}

// pieceSize is how many things a piece of memory has room for.
const pieceSize = 128

// pieces hand out things that stay where they are.
type pieces[T any] struct {
	all  []*[pieceSize]T
	used int
}

func (p *pieces[T]) take() *T {
	piece, at := p.used/pieceSize, p.used%pieceSize
	if piece == len(p.all) {
		p.all = append(p.all, new([pieceSize]T))
	}
	p.used++
	return &p.all[piece][at]
}
