package webui

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
)

const (
	// historyStep is the minimum time between two points of the history.
	historyStep = 5 * time.Second

	// DefaultRetention is the time for which the history is kept while clients request it.
	DefaultRetention = 15 * time.Minute

	// maxHistoryGroups limits the groups with a history. Others are part of the totals only.
	maxHistoryGroups = 2000

	// sparkTime is the time of the histories in a [Report].
	sparkTime = 5 * time.Minute
)

// The metrics of the history.
const (
	historyCPU = iota
	historyResident
	historyRead
	historyWrite
	historyThreads
	historySent
	historyReceived
	numHistoryMetrics
)

// historyMetrics are the names of the metrics of the history.
var historyMetrics = [numHistoryMetrics]string{
	"cpu_ratio", "resident_bytes", "read_bytes_per_second", "write_bytes_per_second", "num_threads",
	"tcp_sent_bytes_per_second", "tcp_received_bytes_per_second",
}

// A historyPoint has a value of each metric at one time, or NaN.
type historyPoint [numHistoryMetrics]float32

// A groupHistory is the history of one group.
type groupHistory struct {
	name   string
	labels map[string]string
	first  int // number of the first of points
	points []storedPoint

	// network has the metrics from historySent on, with the indexes of points. It is nil if none
	// was ever known, so that it takes no memory without the collector network.
	network []networkPoint
}

// A storedPoint has the metrics of a point that all groups have, a networkPoint the others.
type (
	storedPoint  [historySent]float32
	networkPoint [numHistoryMetrics - historySent]float32
)

// A history holds what the last walks have measured. Points are numbered from 0. The time
// between two points is at least about historyStep, and longer if walks are rarer. It is safe for
// concurrent use.
type history struct {
	mu        sync.Mutex // guards the following fields
	first     int        // number of the first of times
	times     []time.Time
	totals    []historyPoint // of all groups, by index of times
	groups    map[string]*groupHistory
	events    []Event
	retention time.Duration
}

func newHistory(retention time.Duration) *history {
	return &history{groups: make(map[string]*groupHistory), retention: retention}
}

// add adds a point with the usage of s, unless the last point is recent.
func (h *history) add(s *recording) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := s.last.Time
	if n := len(h.times); n > 0 && at.Sub(h.times[n-1]) < historyStep-historyStep/10 {
		return
	}
	h.dropBefore(at.Add(-h.retention))
	number := h.first + len(h.times)
	total := unknownPoint()
	for i := range s.last.Groups {
		g := &s.last.Groups[i]
		p := newHistoryPoint(s.prev[g.Key()], g, s.interval)
		for m, v := range p {
			switch {
			case v != v: // NaN
			case total[m] != total[m]:
				total[m] = v
			default:
				total[m] += v
			}
		}
		h.addPoint(g, s.last.Labels, number, p)
	}
	h.times, h.totals = append(h.times, at), append(h.totals, total)
}

// unknownPoint returns a point of which no value is known.
func unknownPoint() (p historyPoint) {
	for metric := range p {
		p[metric] = float32(math.NaN())
	}
	return p
}

// newHistoryPoint returns the values of g. Rates are unknown without the previous walk.
func newHistoryPoint(before, g *grouping.Group, interval float64) historyPoint {
	p := unknownPoint()
	if g.GaugeFields&platform.FieldMemory != 0 {
		p[historyResident], p[historyThreads] = float32(g.ResidentBytes), float32(g.NumThreads)
	}
	if before == nil {
		return p
	}
	both := before.CounterFields & g.CounterFields
	if both&platform.FieldStat != 0 {
		p[historyCPU] = float32(rate(before.UserNanos+before.SystemNanos, g.UserNanos+g.SystemNanos, interval) / 1e9)
	}
	if both&platform.FieldIO != 0 {
		p[historyRead] = float32(rate(before.ReadBytes, g.ReadBytes, interval))
		p[historyWrite] = float32(rate(before.WriteBytes, g.WriteBytes, interval))
	}
	var network Network
	if network.setTraffic(before, g, interval); network.SentBytes != nil {
		p[historySent], p[historyReceived] = float32(*network.SentBytes), float32(*network.ReceivedBytes)
	}
	return p
}

// addPoint adds the point with a number to the history of a group.
func (h *history) addPoint(g *grouping.Group, labelNames []string, number int, p historyPoint) {
	key := g.Key()
	s := h.groups[key]
	if s == nil {
		if len(h.groups) >= maxHistoryGroups {
			return
		}
		s = &groupHistory{name: g.Name, labels: labelMap(labelNames, g.Labels), first: number}
		h.groups[key] = s
	}
	limit := int(h.retention/historyStep) + 2
	for s.first+len(s.points) < number { // the group did not exist
		s.add(unknownPoint(), limit)
	}
	s.add(p, limit)
}

// add adds a point. limit is the number of points with the usual distance in the time of the history;
// there are more if walks are closer.
func (s *groupHistory) add(p historyPoint, limit int) {
	n := len(s.points)
	network := networkPoint(p[historySent:])
	if s.network == nil && network[0] == network[0] { // not NaN
		s.network = make([]networkPoint, n, max(n+1, limit))
		unknown := unknownPoint()
		for i := range s.network {
			s.network[i] = networkPoint(unknown[historySent:])
		}
	}
	if s.network != nil {
		s.network = append(s.network, network)
	}
	if n == cap(s.points) { // append would allocate more than the retention needs
		s.points = append(make([]storedPoint, 0, max(n+1, min(2*n+8, limit))), s.points...)
	}
	s.points = append(s.points, storedPoint(p[:historySent]))
}

// dropBefore removes the points and events before a time.
func (h *history) dropBefore(oldest time.Time) {
	n := 0
	for n < len(h.times) && h.times[n].Before(oldest) {
		n++
	}
	h.events = slices.DeleteFunc(h.events, func(e Event) bool { return e.Time.Before(oldest) })
	if n == 0 {
		return
	}
	h.first += n
	h.times, h.totals = slices.Delete(h.times, 0, n), slices.Delete(h.totals, 0, n)
	for key, s := range h.groups {
		if drop := min(h.first-s.first, len(s.points)); drop > 0 {
			s.points = slices.Delete(s.points, 0, drop)
			if s.network != nil {
				s.network = slices.Delete(s.network, 0, drop)
			}
			s.first += drop
		}
		if len(s.points) == 0 {
			delete(h.groups, key)
		}
	}
}

// pointNumbers are the numbers of some points: from begin on, before end.
type pointNumbers struct{ begin, end int }

// recent returns the points of the last five minutes, and their times, the newest last.
func (h *history) recent() (n pointNumbers, times []Timestamp) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n.end = h.first + len(h.times)
	n.begin = n.end
	for i := len(h.times) - 1; i >= 0 && h.times[len(h.times)-1].Sub(h.times[i]) <= sparkTime; i-- {
		n.begin--
	}
	for _, at := range h.times[n.begin-h.first:] {
		times = append(times, Timestamp{at})
	}
	return n, times
}

// cpuOf returns the CPU usage of a group at some points.
func (h *history) cpuOf(key string, n pointNumbers) []float64 {
	return valuesOf(h, key, historyCPU, n, func(v float64) float64 { return math.Round(v*1000) / 1000 })
}

// residentOf returns the resident memory of a group at some points.
func (h *history) residentOf(key string, n pointNumbers) []uint64 {
	return valuesOf(h, key, historyResident, n, func(v float64) uint64 { return uint64(v) })
}

// valuesOf returns a metric of a group at some points. There are fewer values than points if the group
// is younger: the first ones are missing.
func valuesOf[T float64 | uint64](h *history, key string, metric int, n pointNumbers, convert func(float64) T) (out []T) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.groups[key]
	if s == nil || s.first+len(s.points) < n.end {
		return nil
	}
	for number := max(n.begin, s.first); number < n.end; number++ {
		if v := s.at(number, metric); v == v { // not NaN
			out = append(out, convert(float64(v)))
		} else {
			out = out[:0] // the group did not exist before
		}
	}
	return out
}

// at returns the value of a metric at the point with a number, or NaN.
func (s *groupHistory) at(number, metric int) float32 {
	i := number - s.first
	if i < 0 || i >= len(s.points) {
		return float32(math.NaN())
	}
	switch {
	case metric < historySent:
		return s.points[i][metric]
	case s.network == nil:
		return float32(math.NaN())
	}
	return s.network[i][metric-historySent]
}
