package webui

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// defaultTop and maxTop limit the groups of a history report, for each metric.
	defaultTop = 8
	maxTop     = 50
)

// A HistoryReport is the usage of groups over time. All series have one value for each of
// Times, whose distances can differ.
type HistoryReport struct {
	Version   int             `json:"version"`
	Retention float64         `json:"retention_seconds"` // age from which points are dropped
	Always    bool            `json:"records_always"`    // also without requests
	Times     []Timestamp     `json:"timestamps_seconds"`
	Series    []HistorySeries `json:"series"`
	Events    []Event         `json:"events"` // oldest first

	// Means has all groups with values, if the query has a time and no group.
	Means []GroupMeans `json:"means,omitempty"`
}

// A HistorySeries is one metric of one group, or the sum of other groups.
type HistorySeries struct {
	Metric string            `json:"metric"`
	Group  string            `json:"group,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	Others int               `json:"others,omitempty"` // number of groups in the sum of all groups without a series
	Values historyValues     `json:"values"`           // null if it is unknown
}

// historyValues are values of which NaN is null.
type historyValues []float32

// MarshalJSON implements [json.Marshaler].
func (v historyValues) MarshalJSON() ([]byte, error) {
	out := []byte{'['}
	for i, value := range v {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendValue(out, value)
	}
	return append(out, ']'), nil
}

// appendValue appends the JSON of a value, with as many decimals as a reader needs.
func appendValue(out []byte, value float32) []byte {
	switch {
	case value != value:
		return append(out, "null"...)
	case value >= 1000:
		return strconv.AppendFloat(out, math.Round(float64(value)), 'f', 0, 64)
	}
	return strconv.AppendFloat(out, math.Round(float64(value)*1000)/1000, 'f', -1, 64)
}

// A historyQuery selects a part of the history.
type historyQuery struct {
	group    string // "" is the groups with the highest mean
	top      int
	from, to time.Time // zero is no limit
}

// report returns the part of the history that q selects.
func (h *history) report(q historyQuery) HistoryReport {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := HistoryReport{
		Version: Version, Retention: h.retention.Seconds(), Times: []Timestamp{}, Series: []HistorySeries{}, Events: []Event{},
	}
	begin, end := h.span(q.from, q.to)
	for _, at := range h.times[begin:end] {
		out.Times = append(out.Times, Timestamp{at})
	}
	inRange := func(at time.Time) bool { return !at.Before(q.from) && (q.to.IsZero() || !at.After(q.to)) }
	for _, e := range h.events {
		if inRange(e.Time.Time) && (q.group == "" || e.Group == q.group || e.Others > 0) {
			out.Events = append(out.Events, e)
		}
	}
	if q.group == "" && !(q.from.IsZero() && q.to.IsZero()) {
		out.Means = h.means(q, begin, end)
	}
	for metric := range numHistoryMetrics {
		switch {
		case q.group != "":
			out.Series = append(out.Series, h.groupSeries(q.group, metric, begin, end)...)
		case metric < historyThreads:
			out.Series = append(out.Series, h.topSeries(q.top, metric, begin, end)...)
		}
	}
	return out
}

// span returns the indexes of the times from a time to another, and of one time before and
// after them, so that a line crosses the range.
func (h *history) span(from, to time.Time) (begin, end int) {
	for begin < len(h.times) && h.times[begin].Before(from) {
		begin++
	}
	end = begin
	for end < len(h.times) && (to.IsZero() || !h.times[end].After(to)) {
		end++
	}
	if !from.IsZero() && begin > 0 {
		begin--
	}
	if !to.IsZero() && end < len(h.times) {
		end++
	}
	return begin, end
}

// groupSeries returns a metric of the groups with one name.
func (h *history) groupSeries(name string, metric, begin, end int) (out []HistorySeries) {
	for _, s := range h.groups {
		if s.name == name && (metric < historySent || s.network != nil) {
			out = append(out, h.series(s, metric, begin, end))
		}
	}
	slices.SortFunc(out, func(a, b HistorySeries) int { return cmp.Compare(fmt.Sprint(a.Labels), fmt.Sprint(b.Labels)) })
	return out
}

// topSeries returns a metric of the groups with the highest sums, and the sum of the others.
func (h *history) topSeries(top, metric, begin, end int) (out []HistorySeries) {
	type ranked struct {
		*groupHistory
		sum float64
	}
	var groups []ranked
	for _, s := range h.groups {
		r := ranked{groupHistory: s}
		for number := h.first + begin; number < h.first+end; number++ {
			if v := s.at(number, metric); v == v { // not NaN
				r.sum += float64(v)
			}
		}
		if r.sum > 0 {
			groups = append(groups, r)
		}
	}
	slices.SortFunc(groups, func(a, b ranked) int { return cmp.Or(cmp.Compare(b.sum, a.sum), strings.Compare(a.name, b.name)) })
	rest := make(historyValues, end-begin)
	for i := range rest {
		rest[i] = h.totals[begin+i][metric]
	}
	shown := groups[:min(top, len(groups))]
	for _, g := range shown {
		series := h.series(g.groupHistory, metric, begin, end)
		for i, v := range series.Values {
			if v == v { // not NaN
				rest[i] = max(0, rest[i]-v)
			}
		}
		out = append(out, series)
	}
	unused := len(groups) == 0 && slices.ContainsFunc(rest, func(v float32) bool { return v == v }) // known to be 0
	if others := len(groups) - len(shown); others > 0 || unused || len(h.groups) >= maxHistoryGroups {
		out = append(out, HistorySeries{Metric: historyMetrics[metric], Others: others, Values: rest})
	}
	return out
}

func (h *history) series(s *groupHistory, metric, begin, end int) HistorySeries {
	out := HistorySeries{Metric: historyMetrics[metric], Group: s.name, Labels: s.labels, Values: make(historyValues, end-begin)}
	for i := range out.Values {
		out.Values[i] = s.at(h.first+begin+i, metric)
	}
	return out
}

// historyReport returns a part of the history, after a walk if the last one is too old.
func (r *Recorder) historyReport(ctx context.Context, q historyQuery) HistoryReport {
	s := r.recording(ctx)
	out := s.history.report(q)
	out.Always = r.keep > 0
	e := r.exporter(s)
	for kind, at := range map[string]time.Time{EventReload: e.ReloadTime.Time, EventBegin: e.StartTime.Time} {
		isStart := kind == EventReload && at.Sub(e.StartTime.Time) < time.Second
		if n := len(out.Times); n > 0 && !isStart && !at.Before(out.Times[0].Time) && !at.After(out.Times[n-1].Time) {
			out.Events = append(out.Events, Event{Time: Timestamp{at}, Kind: kind, Count: 1})
		}
	}
	slices.SortStableFunc(out.Events, func(a, b Event) int { return a.Time.Compare(b.Time.Time) })
	return out
}

// serveHistory serves a [HistoryReport].
func (h *Handler) serveHistory(w http.ResponseWriter, r *http.Request) {
	q, err := parseHistoryQuery(r)
	if err != nil {
		writeError(w, statusError{http.StatusBadRequest, err.Error()})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), walkTimeout)
	defer cancel()
	encoded, err := h.limited(func() (any, error) { return h.recorder.historyReport(ctx, q), nil })
	if err != nil {
		writeError(w, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	encoded.send(w, r)
}

// parseHistoryQuery returns the query of a request: group, top, from and to.
func parseHistoryQuery(r *http.Request) (q historyQuery, err error) {
	values := r.URL.Query()
	q = historyQuery{group: values.Get("group"), top: defaultTop}
	if text := values.Get("top"); text != "" {
		if q.top, err = strconv.Atoi(text); err != nil || q.top < 1 || q.top > maxTop {
			return q, fmt.Errorf("invalid value %q of the parameter top: use 1 to %d", text, maxTop)
		}
	}
	for name, to := range map[string]*time.Time{"from": &q.from, "to": &q.to} {
		text := values.Get(name)
		if text == "" {
			continue
		}
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil || !(seconds > 0 && seconds < 1e11) {
			return q, errors.New("invalid value of the parameter " + name + ": use a Unix time in seconds")
		}
		*to = time.UnixMilli(int64(seconds * 1000))
	}
	return q, nil
}
