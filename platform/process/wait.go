package process

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
)

// An ExitStatus is how a process ended. It is Known only to the parent, and
// only once: if somebody else in this program has waited for the child, such as
// os/exec, nothing is known here.
type ExitStatus struct {
	Known  bool
	Code   int            // what the process returned, if no signal ended it
	Signal syscall.Signal // what ended it, or 0
}

// String tells the status in words.
func (s ExitStatus) String() string {
	switch {
	case !s.Known:
		return "exited"
	case s.Signal != 0:
		return fmt.Sprintf("killed by signal %d (%v)", int(s.Signal), s.Signal)
	}
	return fmt.Sprintf("exited with code %d", s.Code)
}

// Wait waits until the process has exited and was waited for: by this call, if
// it is a child of ours, or else by its parent. If ctx ends before that, the
// error matches [ErrTimeout] and that of ctx. A ctx that has ended already makes
// it look once. The answer is kept, so that Wait may be called again. To be
// stopped or continued does not end the wait.
//
// To wait for a child takes its exit status away from os/exec.
func (p *Process) Wait(ctx context.Context) (ExitStatus, error) {
	const op = "wait"
	h, err := p.acquire(op)
	if err != nil {
		return ExitStatus{}, err
	}
	defer p.release()
	if known := p.exitStatus(); known != nil {
		return *known, nil
	}
	status, err := h.wait(ctx)
	switch {
	case err == nil:
		return p.keepStatus(status), nil
	case ctx.Err() == nil:
		return ExitStatus{}, p.failure(op, err)
	}
	if known := p.exitStatus(); known != nil { // another call saw it end
		return *known, nil
	}
	return ExitStatus{}, &Error{PID: p.PID(), Name: p.shared.name, Op: op, Kind: ErrTimeout, Err: context.Cause(ctx)}
}

func (p *Process) exitStatus() *ExitStatus {
	s := p.shared
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// keepStatus keeps how the process ended. Of several waits only one learns it.
func (p *Process) keepStatus(status ExitStatus) ExitStatus {
	s := p.shared
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.status == nil || status.Known && !s.status.Known {
		s.status = &status
	}
	return *s.status
}

// WaitAll waits for several processes until ctx ends. It returns those that are
// gone, in the order in which they went, and those that are not, in the order
// given; one that is given twice counts once. each, unless it is nil, is called
// with every process that is gone, one after the other. That ctx ends is no
// error; the error is that of processes that could not be waited for, which
// count as alive.
func WaitAll(ctx context.Context, all []*Process, each func(*Process, ExitStatus)) (gone, alive []*Process, err error) {
	type result struct {
		p      *Process
		status ExitStatus
		err    error
	}
	var distinct []*Process
	waiting := make(map[ID]bool)
	results := make(chan result)
	var waits sync.WaitGroup
	for _, p := range all {
		if waiting[p.ID()] {
			continue
		}
		waiting[p.ID()] = true
		distinct = append(distinct, p)
		waits.Go(func() {
			status, err := p.Wait(ctx)
			results <- result{p, status, err}
		})
	}
	go func() { waits.Wait(); close(results) }()
	for r := range results {
		if r.err != nil {
			if !errors.Is(r.err, ErrTimeout) {
				err = errors.Join(err, r.err)
			}
			continue
		}
		delete(waiting, r.p.ID())
		gone = append(gone, r.p)
		if each != nil {
			each(r.p, r.status)
		}
	}
	for _, p := range distinct {
		if waiting[p.ID()] {
			alive = append(alive, p)
		}
	}
	return gone, alive, err
}
