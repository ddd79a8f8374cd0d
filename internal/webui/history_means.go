package webui

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// GroupMeans has the means of the metrics of one group in a part of the history.
type GroupMeans struct {
	Group  string               `json:"group"`
	Labels map[string]string    `json:"labels,omitempty"`
	Values map[string]jsonFloat `json:"values"` // by the name of the metric, without unknown values
}

// jsonFloat is a value with the decimals of historyValues.
type jsonFloat float32

// MarshalJSON implements [json.Marshaler].
func (v jsonFloat) MarshalJSON() ([]byte, error) { return appendValue(nil, float32(v)), nil }

// means returns the means of all groups with values from one time to another, by name. A point counts
// for the time since the point before it.
func (h *history) means(q historyQuery, begin, end int) (out []GroupMeans) {
	weights := h.weights(q, begin, end)
	for _, s := range h.groups {
		m := GroupMeans{Group: s.name, Labels: s.labels, Values: make(map[string]jsonFloat)}
		for metric, name := range historyMetrics {
			sum, total := 0.0, 0.0
			for i, weight := range weights {
				if v := s.at(h.first+begin+i, metric); v == v { // not NaN
					sum += weight * float64(v)
					total += weight
				}
			}
			if total > 0 {
				m.Values[name] = jsonFloat(sum / total)
			}
		}
		if len(m.Values) > 0 {
			out = append(out, m)
		}
	}
	slices.SortFunc(out, func(a, b GroupMeans) int {
		return cmp.Or(strings.Compare(a.Group, b.Group), cmp.Compare(fmt.Sprint(a.Labels), fmt.Sprint(b.Labels)))
	})
	return out
}

// weights returns the seconds for which points count in the time of q.
func (h *history) weights(q historyQuery, begin, end int) []float64 {
	out := make([]float64, end-begin)
	for i := range out {
		at := h.times[begin+i]
		before := at.Add(-historyStep)
		if begin+i > 0 {
			before = h.times[begin+i-1]
		}
		if !q.to.IsZero() {
			at = earlier(at, q.to)
		}
		if before.Before(q.from) {
			before = q.from
		}
		out[i] = max(0, at.Sub(before).Seconds())
	}
	return out
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
