package webui

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed57308aee/process_exporter/collector"
	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
)

const (
	// maxQueries is the maximum number of different queries for processes in a minute. Queries that
	// find processes do not count. A walk reads the command lines of the processes of every query.
	maxQueries = 32

	// maxSearches is the maximum number of concurrent requests that find processes, and of their
	// queries. Another query replaces the oldest that has no request.
	maxSearches = 4

	// defaultProcesses and maxProcesses limit the processes of one query.
	defaultProcesses = 20
	maxProcesses     = 100

	// findTimeout is the time after the last request for which walks find processes. It is
	// short, because each change of the text is another query.
	findTimeout = 10 * time.Second

	// maxFindText is the maximum size in bytes of a text to find. The kernel has no longer names.
	maxFindText = 64

	// largestLimit is the number of groups whose largest process is returned.
	largestLimit = 300
)

// processOrders are the orders of processes by the name of the field.
var processOrders = map[string]grouping.ProcessOrder{
	"cpu_ratio":              grouping.ByCPU,
	"resident_bytes":         grouping.ByResident,
	"read_bytes_per_second":  grouping.ByRead,
	"write_bytes_per_second": grouping.ByWrite,
	"start_time_seconds":     grouping.ByStart,
	"pid":                    grouping.ByPID,
}

// A ProcessReport is the state of the processes that a query selects. Fields of values that could
// not be read are absent, never 0.
type ProcessReport struct {
	Version   int            `json:"version"`
	Time      Timestamp      `json:"timestamp_seconds"` // end of the walk
	Interval  float64        `json:"interval_seconds"`  // interval of the rates, 0 if there are no rates
	Total     int            `json:"num_procs"`         // in the scope of the query
	Processes []Process      `json:"processes"`         // in the requested order
	Ended     []EndedProcess `json:"ended,omitempty"`   // newest first, of recorded walks

	SuggestedRules string `json:"suggested_rules,omitempty"` // of ungrouped Processes, in YAML
}

// A Process is the state of one live process.
type Process struct {
	Group         string    `json:"group,omitempty"`
	PID           int       `json:"pid"`
	User          string    `json:"user,omitempty"` // effective user
	Start         Timestamp `json:"start_time_seconds"`
	State         string    `json:"state"` // letter of /proc/PID/stat
	NumThreads    *int      `json:"num_threads,omitempty"`
	CPU           *float64  `json:"cpu_ratio,omitempty"` // 1 is one core
	ResidentBytes *uint64   `json:"resident_bytes,omitempty"`
	ReadBytes     *float64  `json:"read_bytes_per_second,omitempty"`
	WriteBytes    *float64  `json:"write_bytes_per_second,omitempty"`
	Name          string    `json:"name"`    // comm
	Command       string    `json:"command"` // command line without secrets, or the name in brackets
}

// HasOwnName reports whether the name of the process is not the base name of its program: the
// program renamed the process, or is a script.
func (p *Process) HasOwnName() bool {
	program, _, _ := strings.Cut(p.Command, " ")
	program = strings.TrimSuffix(strings.TrimPrefix(path.Base(program), "-"), ":")
	return p.Name != "" && !strings.HasPrefix(p.Command, "[") && program[:min(len(program), 15)] != p.Name
}

// An EndedProcess is a process that has exited.
type EndedProcess struct {
	PID       int       `json:"pid"`
	Name      string    `json:"name"`
	Start     Timestamp `json:"start_time_seconds"`
	End       Timestamp `json:"end_time_seconds"`
	Reason    string    `json:"reason"`
	Code      string    `json:"code"` // exit status or name of the signal
	OOMKilled bool      `json:"oom_killed,omitempty"`
	Failed    bool      `json:"failed,omitempty"` // see [Report.FailedExits]

	// Approximate is true if the time of the exit is unknown. End is then the end of the walk that found it.
	Approximate bool `json:"approximate,omitempty"`
}

// processRequests are the queries for processes, and their last results.
type processRequests struct {
	queries []*processRequest
	ended   []grouping.EndedProcess // in the order of walks, see [grouping.LimitEnded]
}

// A processRequest is a query for processes and its last result.
type processRequest struct {
	query       grouping.ProcessQuery
	lastRequest time.Time
	requests    int                   // that wait in Recorder.find or Recorder.list
	list        *grouping.ProcessList // nil until the next walk
	at          time.Time             // end of the walk of list
	failed      time.Time             // last time when a request had no result after its walks
}

// The errors of [Recorder.Processes].
var (
	errTooManyQueries  = statusError{http.StatusServiceUnavailable, "Too many different requests for processes. Retry in a minute."}
	errTooManyRequests = statusError{http.StatusServiceUnavailable, "Too many concurrent requests to find processes."}
	errNoWalk          = statusError{http.StatusServiceUnavailable, "No walk has read the processes yet."}
)

// interest returns what the next walk has to return about single processes.
func (r *Recorder) interest() (out collector.ProcessInterest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	out.Ended = r.keep > 0 || now.Sub(r.lastRequest) <= viewerTimeout
	r.processes.dropOld(now)
	for _, q := range r.processes.queries {
		out.Queries = append(out.Queries, q.query)
	}
	return out
}

// dropOld drops the queries without a recent request.
func (p *processRequests) dropOld(now time.Time) {
	p.queries = slices.DeleteFunc(p.queries, func(q *processRequest) bool {
		if q.query.Scope == grouping.ScopeFound {
			return q.requests == 0 && now.Sub(q.lastRequest) > findTimeout
		}
		return now.Sub(q.lastRequest) > viewerTimeout
	})
}

// makeSpace reports whether there may be another query with a scope. If too many queries find
// processes, it drops the one whose last request is the oldest, of those without a waiting request.
func (p *processRequests) makeSpace(scope grouping.ProcessScope) bool {
	found, oldest := 0, -1
	for i, q := range p.queries {
		if q.query.Scope != grouping.ScopeFound {
			continue
		}
		found++
		if q.requests == 0 && (oldest < 0 || q.lastRequest.Before(p.queries[oldest].lastRequest)) {
			oldest = i
		}
	}
	if scope != grouping.ScopeFound {
		return len(p.queries)-found < maxQueries
	}
	if found < maxSearches {
		return true
	}
	if oldest < 0 {
		return false
	}
	p.queries = slices.Delete(p.queries, oldest, oldest+1)
	return true
}

// hasRates reports whether the result of a query has rates.
func hasRates(q grouping.ProcessQuery) bool {
	return q.Scope != grouping.ScopeLargest && q.Scope != grouping.ScopeFound
}

// observe stores the results of a walk.
func (p *processRequests) observe(v *collector.UpdateResult) {
	for _, e := range v.Ended {
		e.Found = v.Time
		p.ended = append(p.ended, e)
	}
	p.ended = grouping.LimitEnded(p.ended)
	for _, list := range v.Processes {
		for _, q := range p.queries {
			if q.query == list.Query {
				q.list, q.at = &list, v.Time
			}
		}
	}
}

// register returns a query, and records a request for it. The caller holds r.mu.
func (r *Recorder) register(query grouping.ProcessQuery) (*processRequest, error) {
	now := r.now()
	i := slices.IndexFunc(r.processes.queries, func(q *processRequest) bool { return q.query == query })
	if i < 0 {
		r.processes.dropOld(now)
		if !r.processes.makeSpace(query.Scope) {
			return nil, errTooManyQueries
		}
		i = len(r.processes.queries)
		r.processes.queries = append(r.processes.queries, &processRequest{query: query})
	}
	q := r.processes.queries[i]
	q.lastRequest, r.lastRequest = now, now
	return q, nil
}

// wait returns a query, and keeps it until endWait.
func (r *Recorder) wait(query grouping.ProcessQuery) (*processRequest, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	q, err := r.register(query)
	if err == nil {
		q.requests++
	}
	return q, err
}

func (r *Recorder) endWait(q *processRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	q.requests--
}

// state returns a copy of q and the end of the last recorded walk.
func (r *Recorder) state(q *processRequest) (processRequest, time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return *q, r.current.updateEnd
}

// Processes returns the processes that query selects. It waits for a walk that reads them, if none
// has. It also waits for a walk while there are no rates, or after a failed request, at most once in
// a second. A query that finds processes waits for a walk at least a second after the last recorded
// walk. Processes returns an error if there is no result after the walks.
func (r *Recorder) Processes(ctx context.Context, query grouping.ProcessQuery) (ProcessReport, error) {
	read := r.list
	if query.Scope == grouping.ScopeFound {
		read = r.find
	}
	q, err := read(ctx, query)
	if err != nil {
		return ProcessReport{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.processes.report(&q), nil
}

// list returns the state of a query, after a walk if it needs one. Concurrent requests wait for the
// same walk.
func (r *Recorder) list(ctx context.Context, query grouping.ProcessQuery) (processRequest, error) {
	stored, err := r.wait(query)
	if err != nil {
		return processRequest{}, err
	}
	defer r.endWait(stored)
	updateEnd := r.recording(ctx).updateEnd
	q, _ := r.state(stored)
	now := r.now()
	switch {
	case q.list == nil && now.Sub(q.failed) < minInterval:
		return q, errNoWalk
	case q.list != nil && (q.list.Interval > 0 || !hasRates(query) || now.Sub(updateEnd) < minInterval):
		return q, nil
	}
	for range 2 { // the first walk can have begun before the request
		r.walk(ctx)
		if q, _ = r.state(stored); q.list != nil {
			return q, nil
		}
		if ctx.Err() != nil {
			return q, ctx.Err()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	stored.failed = r.now()
	return q, errNoWalk
}

// ProcessesOf returns the processes of the groups with one name that use most CPU.
func (r *Recorder) ProcessesOf(ctx context.Context, name string) (ProcessReport, error) {
	return r.Processes(ctx, grouping.ProcessQuery{Group: name, Limit: defaultProcesses})
}

// LargestProcesses returns the process with most resident memory of each group, of at most 300 groups.
func (r *Recorder) LargestProcesses(ctx context.Context) (ProcessReport, error) {
	return r.Processes(ctx, largestQuery)
}

// report returns the state of q, whose list is not nil.
func (p *processRequests) report(q *processRequest) ProcessReport {
	out := ProcessReport{
		Version: Version, Time: Timestamp{q.at}, Interval: q.list.Interval, Total: q.list.Total,
		Processes: []Process{}, SuggestedRules: q.list.SuggestedRules,
	}
	for i := range q.list.Processes {
		out.Processes = append(out.Processes, newProcess(&q.list.Processes[i]))
	}
	for _, e := range slices.Backward(p.ended) {
		if q.query.Scope == grouping.ScopeGroup && e.Group == q.query.Group && len(out.Ended) < q.query.Limit {
			ended := EndedProcess{
				PID: e.PID, Name: e.Name, Start: Timestamp{e.Start}, End: Timestamp{e.End}, Reason: e.Reason, Code: e.Code,
				OOMKilled: e.OOMKilled, Failed: grouping.IsFailure(e.Reason, e.Code), Approximate: e.End.IsZero(),
			}
			if ended.Approximate {
				ended.End = Timestamp{e.Found}
			}
			out.Ended = append(out.Ended, ended)
		}
	}
	return out
}

func newProcess(p *grouping.Process) Process {
	out := Process{
		Group: p.Group, PID: p.PID, User: p.User, Start: Timestamp{p.Start}, State: string(rune(p.State)), Name: p.Name, Command: p.Command,
	}
	if p.Have&(platform.FieldStat|platform.FieldMemory) != 0 {
		out.NumThreads, out.ResidentBytes = &p.NumThreads, &p.ResidentBytes
	}
	if p.HaveRates&platform.FieldStat != 0 {
		out.CPU = &p.CPU
	}
	if p.HaveRates&platform.FieldIO != 0 {
		out.ReadBytes, out.WriteBytes = &p.ReadBytes, &p.WriteBytes
	}
	return out
}

// serveProcesses serves a [ProcessReport] of the processes that parseProcessQuery selects.
func (h *Handler) serveProcesses(w http.ResponseWriter, r *http.Request) {
	if !h.options.ShowsProcesses(r) {
		writeError(w, statusError{http.StatusForbidden,
			"This listener does not show processes. Use a loopback listener, or start the exporter with --web.show-processes=on."})
		return
	}
	query, err := parseProcessQuery(r)
	if err != nil {
		writeError(w, statusError{http.StatusBadRequest, err.Error()})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), walkTimeout)
	defer cancel()
	report, err := h.recorder.Processes(ctx, query)
	if err != nil {
		if ctx.Err() != nil {
			err = errNoWalk
		}
		writeError(w, err)
		return
	}
	encoded, err := encode(report)
	if err != nil {
		writeError(w, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	encoded.send(w, r)
}

// largestQuery selects the process with most resident memory of each group.
var largestQuery = grouping.ProcessQuery{Scope: grouping.ScopeLargest, Limit: largestLimit}

// parseProcessQuery returns the query of a request: find, or group or unmatched, sort and limit.
func parseProcessQuery(r *http.Request) (q grouping.ProcessQuery, err error) {
	values := r.URL.Query()
	if text := values.Get("find"); text != "" {
		if len(text) > maxFindText || values.Has("group") || values.Has("unmatched") {
			return q, fmt.Errorf("invalid value of the parameter find: use at most %d bytes, without the parameters group and unmatched",
				maxFindText)
		}
		return grouping.ProcessQuery{Scope: grouping.ScopeFound, Text: strings.ToLower(text), Limit: maxProcesses}, nil
	}
	unmatched, err := strconv.ParseBool(cmp.Or(values.Get("unmatched"), "false"))
	switch {
	case err != nil || unmatched && values.Has("group"):
		return q, errors.New("invalid value of the parameter unmatched: use true, without the parameter group")
	case !unmatched && values.Get("group") == "":
		return largestQuery, nil
	}
	name, descending := strings.CutPrefix(cmp.Or(values.Get("sort"), "-cpu_ratio"), "-")
	order, ok := processOrders[name]
	if !ok {
		return q, fmt.Errorf("unknown value %q of the parameter sort", name)
	}
	q = grouping.ProcessQuery{Group: values.Get("group"), Order: order, Reversed: !descending, Limit: defaultProcesses}
	if unmatched {
		q.Scope = grouping.ScopeUngrouped
	}
	if text := values.Get("limit"); text != "" {
		if q.Limit, err = strconv.Atoi(text); err != nil || q.Limit < 1 || q.Limit > maxProcesses {
			return q, fmt.Errorf("invalid value %q of the parameter limit: use 1 to %d", text, maxProcesses)
		}
	}
	return q, nil
}
