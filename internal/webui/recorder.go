package webui

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/seed57308aee/process_exporter/collector"
	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
)

const (
	// DefaultMaxAge is the age of the last walk from which on a request starts a new one.
	DefaultMaxAge = 5 * time.Second

	// minInterval is the shortest interval for rates: CPU time increases in
	// ticks of 10 ms.
	minInterval = time.Second

	// viewerTimeout is the time after the last request for which walks are kept.
	viewerTimeout = time.Minute
)

// A Recorder keeps the last two walks of a [collector.Collector] and a history of usage. It keeps
// nothing without requests, unless [Options.Retention] is set. It is safe for concurrent use.
type Recorder struct {
	walk      func(context.Context) // waits for a walk; observe receives its result
	describe  func(*ExporterStatus)
	machine   machineReader
	now       func() time.Time
	sleep     func(context.Context, time.Duration)
	searches  chan struct{} // contains a value for each call of Recorder.find
	searching chan struct{} // contains a value while one of them walks
	maxAge    time.Duration
	keep      time.Duration // see Options.Retention

	mu          sync.Mutex // guards the following fields
	lastRequest time.Time
	current     *recording
	unrecorded  []grouping.EndedProcess // since current.last
	processes   processRequests
}

// A recording holds the last two successful walks, and the history. It is immutable, except for
// the history and the responses that it caches; a walk creates a new recording.
type recording struct {
	last      *collector.UpdateResult    // last successful walk, nil if there is none
	prev      map[string]*grouping.Group // groups of the successful walk before last, by key
	interval  float64                    // seconds between prev and last, 0 without prev
	err       error                      // error of the last walk
	updateEnd time.Time                  // end of the last update
	history   *history                   // of this and the following recordings
	failures  failures
	responses cachedResponses
}

// Options are the settings of a [Recorder].
type Options struct {
	MaxAge time.Duration // age of the last walk from which a request starts a new one

	// Describe sets the fields of an ExporterStatus that no walk contains. The Recorder
	// calls it for every request.
	Describe func(*ExporterStatus)

	// Retention is the time for which the history of all walks is kept, also without
	// requests. If it is 0, the history of the last DefaultRetention is kept while there are
	// requests. Ended processes are kept in the same walks, as far as [grouping.LimitEnded] keeps them.
	Retention time.Duration

	Hostname string
	Machine  func() platform.Machine // reads the totals of the machine, may block
}

// NewRecorder returns a Recorder of the walks of c.
func NewRecorder(c *collector.Collector, o Options) *Recorder {
	r := &Recorder{
		walk: c.Update, describe: o.Describe, now: time.Now, maxAge: o.MaxAge, keep: o.Retention,
		sleep: sleep, searches: make(chan struct{}, maxSearches), searching: make(chan struct{}, 1),
		machine: machineReader{hostname: o.Hostname, read: o.Machine, now: time.Now},
	}
	r.current = r.newRecording()
	c.Watch(r.observe)
	c.SetInterest(r.interest)
	return r
}

// newRecording returns a recording without walks.
func (r *Recorder) newRecording() *recording {
	return &recording{history: newHistory(cmp.Or(r.keep, DefaultRetention))}
}

// observe records a walk if there was a request in the last minute, or always with
// [Options.Retention]. Of an update for exits it records only the results for queries for
// processes, and the processes that ended.
func (r *Recorder) observe(v collector.UpdateResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keep == 0 && r.now().Sub(r.lastRequest) > viewerTimeout {
		r.current, r.processes, r.unrecorded = r.newRecording(), processRequests{}, nil
		return
	}
	r.processes.observe(&v)
	r.unrecorded = grouping.LimitEnded(append(r.unrecorded, v.Ended...))
	if v.ForExits {
		return
	}
	v.Ended = r.unrecorded
	if r.current = r.current.with(&v); r.current.last == &v {
		r.unrecorded = nil
	}
}

// with returns the recording after the walk v.
func (s *recording) with(v *collector.UpdateResult) *recording {
	next := &recording{
		last: s.last, prev: s.prev, interval: s.interval, err: v.Err, updateEnd: v.Time, history: s.history, failures: s.failures,
	}
	if v.Err != nil {
		return next
	}
	if s.last == nil {
		next.last = v
		return next
	}
	interval := v.Time.Sub(s.last.Time)
	if interval < minInterval {
		if s.err == nil {
			return s // recent enough
		}
		return next
	}
	next.prev = make(map[string]*grouping.Group, len(s.last.Groups))
	for i := range s.last.Groups {
		g := &s.last.Groups[i]
		next.prev[g.Key()] = g
	}
	next.last, next.interval = v, interval.Seconds()
	next.failures = s.failures.extended(s.last.Time, v.Time, next.prev, v.Groups)
	next.history.addEvents(v, next.prev)
	next.history.add(next)
	return next
}

// Report returns the state of all groups. It waits for a walk if the last one is
// too old, but not longer than ctx.
func (r *Recorder) Report(ctx context.Context) Report {
	s := r.recording(ctx)
	out, _ := s.report(r.reportStatus(ctx, s))
	return out
}

// Detail returns the state of the groups with one name, with fields that Report
// does not contain.
func (r *Recorder) Detail(ctx context.Context, name string) Report {
	s := r.recording(ctx)
	return s.detail(r.reportStatus(ctx, s), name)
}

// recording records a request, and waits for a walk if the last one is too old.
func (r *Recorder) recording(ctx context.Context) *recording {
	r.mu.Lock()
	now := r.now()
	r.lastRequest = now
	s := r.current
	r.mu.Unlock()
	maxAge := r.maxAge
	if s.last != nil && s.prev == nil && s.err == nil {
		maxAge = minInterval // there are no rates yet
	}
	if now.Sub(s.updateEnd) < maxAge {
		return s
	}
	r.walk(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current
}
