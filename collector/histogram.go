package collector

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seed57308aee/process_exporter/grouping"
)

// histogram is the kind of families of native histograms, which the client library does not
// have among its kinds. Only the protobuf format has them.
const histogram = prometheus.UntypedValue + 1

// zeroThreshold is the highest value that a native histogram counts as 0. It is the default of
// the client library.
const zeroThreshold = prometheus.DefNativeHistogramZeroThreshold

// addHistogram adds the native histogram of one group to mf.
func (b *familyBuilder) addHistogram(mf *dto.MetricFamily, f *family, g *grouping.Group, u *update) {
	h := f.histogram(g)
	if h == nil {
		return
	}
	m := &dto.Metric{Histogram: nativeHistogram(h, g.CountersStart)}
	b.addLabels(m, f, g, u.labels, labelValues{})
	mf.Metric = append(mf.Metric, m)
}

// nativeHistogram converts a histogram that counts from start, in milliseconds since the Unix
// epoch; 0 is unknown. The spans and deltas of buckets are those of the format: a span has
// adjacent buckets, and each bucket is the difference to the previous bucket.
func nativeHistogram(h *grouping.Histogram, start int64) *dto.Histogram {
	schema, threshold, zero := int32(grouping.HistogramSchema), float64(zeroThreshold), uint64(0)
	out := &dto.Histogram{SampleCount: &h.Count, SampleSum: &h.Sum, Schema: &schema, ZeroThreshold: &threshold, ZeroCount: &zero}
	if start > 0 {
		out.CreatedTimestamp = &timestamppb.Timestamp{Seconds: start / 1000, Nanos: int32(start%1000) * 1e6}
	}
	next, last := 0, int64(0)
	for _, bucket := range h.Buckets {
		if n := len(out.PositiveSpan); n > 0 && bucket.Index == next {
			*out.PositiveSpan[n-1].Length++
		} else {
			offset, length := int32(bucket.Index-next), uint32(1)
			out.PositiveSpan = append(out.PositiveSpan, &dto.BucketSpan{Offset: &offset, Length: &length})
		}
		out.PositiveDelta = append(out.PositiveDelta, int64(bucket.Count)-last)
		next, last = bucket.Index+1, int64(bucket.Count)
	}
	return out
}
