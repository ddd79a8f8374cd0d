package grouping

import (
	"math"
	"slices"
)

// A Histogram counts durations in buckets whose bounds grow by the factor 2^(1/8), which is
// schema 3 of the native histograms of Prometheus.
type Histogram struct {
	Count   uint64
	Sum     float64           // seconds
	Buckets []HistogramBucket // that are not empty, ascending by Index
}

// HistogramSchema is the schema of a [Histogram]: a factor of 2 has 2^HistogramSchema buckets.
const HistogramSchema = 3

// A HistogramBucket counts values from 2^((Index-1)/8) seconds, exclusive, to 2^(Index/8)
// seconds.
type HistogramBucket struct {
	Index int
	Count uint64
}

// observe adds a duration. The shortest one is a microsecond.
func (h *Histogram) observe(micros uint32) {
	seconds := float64(max(micros, 1)) / 1e6
	h.Count++
	h.Sum += seconds
	h.addBucket(HistogramBucket{int(math.Ceil(math.Log2(seconds) * (1 << HistogramSchema))), 1})
}

func (h *Histogram) addBucket(b HistogramBucket) {
	at, found := slices.BinarySearchFunc(h.Buckets, b.Index, func(b HistogramBucket, index int) int { return b.Index - index })
	if found {
		h.Buckets[at].Count += b.Count
	} else {
		h.Buckets = slices.Insert(h.Buckets, at, b)
	}
}

// add adds the counts of another histogram.
func (h *Histogram) add(from *Histogram) {
	h.Count += from.Count
	h.Sum += from.Sum
	for _, b := range from.Buckets {
		h.addBucket(b)
	}
}

// clone returns a copy that later observations do not change.
func (h *Histogram) clone() Histogram {
	return Histogram{h.Count, h.Sum, slices.Clone(h.Buckets)}
}
