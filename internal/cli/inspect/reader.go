package inspect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed57308aee/process_exporter/platform/process"
)

// ErrUnresponsive matches the error of a process, or of some of its attributes, that
// could not be read within the timeout.
var ErrUnresponsive = errors.New("process is unresponsive")

// A reader reads attributes with a timeout. A read of some files of a process blocks
// while the process holds a lock, possibly forever, and cannot be interrupted. So a
// goroutine reads each attribute, and the reader abandons late reads.
type reader struct {
	timeout time.Duration // per process
	tree    readTree      // of the current report

	mu      sync.Mutex // guards the fields below
	pending map[request]bool
	cpu     map[int]cpuSample // by PID
}

// readTree returns the list of all processes of a report. It reads the list once.
type readTree func() (*process.Tree, error)

// A cpuSample is the CPU time of a process at one time.
type cpuSample struct {
	id   process.ID
	at   time.Time
	used time.Duration
}

// A request identifies a read in progress. The reader does not start it again before
// it ends, so repeated reports do not add goroutines.
type request struct {
	pid  int
	attr process.Attr // "" opens the process
}

// A result is the value of an attribute.
type result struct {
	value any
	err   error
}

func newReader(timeout time.Duration) *reader {
	return &reader{timeout: timeout, pending: make(map[request]bool), cpu: make(map[int]cpuSample)}
}

// cpuInterval is the time over which a first report measures the CPU use. The kernel
// counts in units of 10 ms.
const cpuInterval = 200 * time.Millisecond

// begin prepares a report of processes. For cpu_percent it measures those processes
// that the previous report did not have, and waits for cpuInterval.
func (r *reader) begin(ctx context.Context, pids []int, attrs []attribute) {
	r.tree = sync.OnceValues(process.ReadTree)
	if !slices.ContainsFunc(attrs, func(a attribute) bool { return a.name == process.AttrCPUPercent }) {
		return
	}
	began := time.Now()
	measured := false
	for _, pid := range r.unmeasured(pids) {
		_, err := r.read(pid, []process.Attr{process.AttrCPUPercent})
		measured = measured || err == nil
	}
	if !measured {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(cpuInterval - time.Since(began)):
	}
}

// unmeasured returns the PIDs without a cpuSample. It removes the samples of other
// processes.
func (r *reader) unmeasured(pids []int) []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.cpu, func(pid int, _ cpuSample) bool { return !slices.Contains(pids, pid) })
	return slices.DeleteFunc(slices.Clone(pids), func(pid int) bool { _, ok := r.cpu[pid]; return ok })
}

// cpuPercent returns the CPU use since the last call for the process, in percent of
// one CPU, or 0 in the first call.
func (r *reader) cpuPercent(p *process.Process) (float64, error) {
	times, err := p.CPUTimes()
	if err != nil {
		return 0, err
	}
	now := cpuSample{id: p.ID(), at: time.Now(), used: times.User + times.System}
	r.mu.Lock()
	defer r.mu.Unlock()
	last, ok := r.cpu[p.PID()]
	r.cpu[p.PID()] = now
	if !ok || last.id != now.id || !now.at.After(last.at) {
		return 0, nil
	}
	return math.Round(float64(now.used-last.used)/float64(now.at.Sub(last.at))*1000) / 10, nil
}

// value reads one attribute. view caches the files of p.
func (r *reader) value(tree readTree, p, view *process.Process, attr process.Attr) (any, error) {
	switch attr {
	case process.AttrCPUPercent:
		return r.cpuPercent(p)
	case process.AttrChildren, process.AttrDescendants:
		all, err := tree()
		if err != nil {
			return nil, err
		}
		if attr == process.AttrChildren {
			return all.ChildPIDs(p.ID()), nil
		}
		return all.DescendantPIDs(p.ID()), nil
	}
	return view.Attr(attr)
}

// start calls read in a goroutine and returns the channel that receives its result.
// The channel is nil if an earlier read of the same request is in progress.
func start[T any](r *reader, req request, read func() T) <-chan T {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pending[req] {
		return nil
	}
	r.pending[req] = true
	done := make(chan T, 1) // the goroutine must not block if the read is abandoned
	go func() {
		value := read()
		r.mu.Lock()
		delete(r.pending, req)
		r.mu.Unlock()
		done <- value
	}()
	return done
}

// receive returns the result of start, if it arrives before ctx ends.
func receive[T any](ctx context.Context, done <-chan T) (value T, ok bool) {
	if done == nil {
		return value, false
	}
	select {
	case value = <-done:
		return value, true
	case <-ctx.Done():
	}
	select {
	case value = <-done: // arrived together with the end of ctx
		return value, true
	default:
		return value, false
	}
}

// read reads attributes of a process. An attribute that is late has an error that
// matches ErrUnresponsive. If opening the process is late, read returns such an error.
func (r *reader) read(pid int, attrs []process.Attr) (map[process.Attr]result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), r.timeout)
	defer cancel()
	p, err := r.open(ctx, pid)
	if err != nil {
		return nil, err
	}
	defer p.Close() // takes effect when the last goroutine ends
	view, tree := p.Oneshot(), r.tree
	started := make(map[process.Attr]<-chan result)
	for _, attr := range attrs {
		if _, ok := started[attr]; !ok {
			started[attr] = start(r, request{pid, attr}, func() result {
				value, err := r.value(tree, p, view, attr)
				return result{value, err}
			})
		}
	}
	results := make(map[process.Attr]result)
	for attr, done := range started {
		res, ok := receive(ctx, done)
		if !ok {
			res.err = ErrUnresponsive
		}
		results[attr] = res
	}
	return results, nil
}

// open opens a process. The garbage collector closes one that is opened too late.
func (r *reader) open(ctx context.Context, pid int) (*process.Process, error) {
	type opened struct {
		p   *process.Process
		err error
	}
	o, ok := receive(ctx, start(r, request{pid: pid}, func() opened {
		p, err := process.Open(pid)
		return opened{p, err}
	}))
	if !ok {
		return nil, fmt.Errorf("%w: %d", ErrUnresponsive, pid)
	}
	return o.p, o.err
}

// unresponsiveError returns the error that names the attributes that are missing
// because their reads are late, or nil.
func unresponsiveError(pid int, attrs []attribute, results map[process.Attr]result) error {
	var names []string
	for _, a := range attrs {
		if errors.Is(results[a.name].err, ErrUnresponsive) {
			names = append(names, string(a.name))
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	return fmt.Errorf("%w: %d (%s)", ErrUnresponsive, pid, strings.Join(names, ", "))
}
