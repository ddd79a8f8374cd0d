package inspect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed57308aee/process_exporter/platform/process"
)

// ErrUnresponsive matches the error of a process, or of a part of it, that could
// not be read within the timeout.
var ErrUnresponsive = errors.New("process does not answer")

// An asker reads processes that may not answer. Some files of a process cannot
// be read while the process does what it keeps them locked for, which may take
// for ever, and no call that reads one can be interrupted. So each attribute is
// read by a goroutine of its own, and those that have not answered in time are
// left behind.
type asker struct {
	patience time.Duration // with one process

	mu   sync.Mutex // guards what follows
	left map[question]bool
}

// A question is one that may still wait for its answer. It is not put again
// until then: a report that is repeated leaves no more goroutines behind.
type question struct {
	pid  int
	attr process.Attr // "" opens the process
}

// A reply is what a process says of an attribute.
type reply struct {
	value any
	err   error
}

func newAsker(patience time.Duration) *asker {
	return &asker{patience: patience, left: make(map[question]bool)}
}

// put has a goroutine read the answer to a question, and returns where that will
// arrive: nowhere, if an earlier one still waits for it.
func put[T any](a *asker, q question, read func() T) <-chan T {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.left[q] {
		return nil
	}
	a.left[q] = true
	answer := make(chan T, 1) // so that nobody waits to tell what nobody waits for
	go func() {
		value := read()
		a.mu.Lock()
		delete(a.left, q)
		a.mu.Unlock()
		answer <- value
	}()
	return answer
}

// take returns the answer that arrives before ctx ends.
func take[T any](ctx context.Context, answer <-chan T) (value T, ok bool) {
	if answer == nil {
		return value, false
	}
	select {
	case value = <-answer:
		return value, true
	case <-ctx.Done():
	}
	select {
	case value = <-answer: // was there as well
		return value, true
	default:
		return value, false
	}
}

// ask reads attributes of a process. What does not answer in time has an error
// that matches ErrUnresponsive, and so has the process if not even that can be opened.
func (a *asker) ask(pid int, attrs []process.Attr) (map[process.Attr]reply, error) {
	ctx, cancel := context.WithTimeout(context.Background(), a.patience)
	defer cancel()
	p, err := a.open(ctx, pid)
	if err != nil {
		return nil, err
	}
	defer p.Close() // takes effect when the last goroutine is done
	view := p.Oneshot()
	coming := make(map[process.Attr]<-chan reply)
	for _, attr := range attrs {
		if _, asked := coming[attr]; !asked {
			coming[attr] = put(a, question{pid, attr}, func() reply {
				value, err := view.Attr(attr)
				return reply{value, err}
			})
		}
	}
	replies := make(map[process.Attr]reply)
	for attr, answer := range coming {
		r, ok := take(ctx, answer)
		if !ok {
			r.err = ErrUnresponsive
		}
		replies[attr] = r
	}
	return replies, nil
}

// open opens a process. One that answers too late is closed when it is no longer
// referred to.
func (a *asker) open(ctx context.Context, pid int) (*process.Process, error) {
	type opened struct {
		p   *process.Process
		err error
	}
	o, ok := take(ctx, put(a, question{pid: pid}, func() opened {
		p, err := process.Open(pid)
		return opened{p, err}
	}))
	if !ok {
		return nil, fmt.Errorf("%w: %d", ErrUnresponsive, pid)
	}
	return o.p, o.err
}

// unanswered returns the error of a report that lacks some facets because their
// files do not answer, or nil.
func unanswered(pid int, facets []facet, answers map[process.Attr]reply) error {
	var names []string
	for _, f := range facets {
		if errors.Is(answers[f.attr].err, ErrUnresponsive) {
			names = append(names, f.name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	return fmt.Errorf("%w: %d (%s)", ErrUnresponsive, pid, strings.Join(names, ", "))
}
