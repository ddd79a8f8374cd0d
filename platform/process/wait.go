package process

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"
)

// An ExitStatus is the exit status of a process. It is valid only if there is no
// error. Only the parent can read it, and only once. It is not Known if the process
// is not a child, or if other code of this program, such as os/exec, has reaped it.
type ExitStatus struct {
	Known  bool           // Code and Signal are valid
	Code   int            // exit code; -1 if a signal ended the process; 0 if not Known
	Signal syscall.Signal // signal that ended the process, or 0
}

// String returns "exited with code 3", "killed by signal 9 (killed)" or "exited with
// unknown status".
func (s ExitStatus) String() string {
	switch {
	case !s.Known:
		return "exited with unknown status"
	case s.Signal != 0:
		return fmt.Sprintf("killed by signal %d (%v)", int(s.Signal), s.Signal)
	}
	return fmt.Sprintf("exited with code %d", s.Code)
}

// Wait waits until the process has exited and was reaped. It reaps a child of this
// process itself. For another process it waits until the parent of that process
// reaps it or exits: a process that has exited and is not reaped counts as alive. If
// ctx ends first, the error matches the error of ctx, and [ErrTimeout] if its
// deadline passed. With an ended ctx, Wait checks once. On a view of
// [Process.WithContext], Wait ends with the first of the two contexts, with the error
// of that one.
//
// Further calls return the same status. Stopping or continuing the process does not
// end the wait. Wait for the own process returns only when ctx ends.
//
// For a child that os/exec started, call either Wait or the Wait method of
// [os/exec.Cmd]. After this Wait the other fails with ECHILD; call it nevertheless if
// Stdin, Stdout or Stderr is not an *os.File, because it waits for their copying. After
// the other the status of this one is not Known.
//
// System calls: about 8.
func (p *Process) Wait(ctx context.Context) (ExitStatus, error) {
	const op = "wait"
	if known := p.exitStatus(); known != nil {
		return *known, nil
	}
	ctx, stop := p.joinContext(ctx)
	defer stop()
	h, err, done := p.shared.acquireToWait(ctx)
	switch {
	case !done:
		return ExitStatus{}, p.interrupted(op, ctx)
	case err != nil:
		return ExitStatus{}, p.wrap(op, err)
	}
	defer p.release()
	status, err := h.wait(ctx)
	switch {
	case err == nil:
		return p.storeStatus(status), nil
	case ctx.Err() == nil:
		return ExitStatus{}, p.wrap(op, err)
	}
	if known := p.exitStatus(); known != nil { // a concurrent call read the status
		return *known, nil
	}
	return ExitStatus{}, p.interrupted(op, ctx)
}

// acquireToWait is acquireBefore that does not fail at once if ctx has ended.
func (s *shared) acquireToWait(ctx context.Context) (h handle, err error, done bool) {
	const timeout = 100 * time.Millisecond // to open a Process again
	if ctx.Err() == nil {
		return s.acquireBefore(ctx)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	return s.acquireBefore(ctx)
}

func (p *Process) exitStatus() *ExitStatus {
	s := p.shared
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// storeStatus stores the exit status. Of several concurrent waits only one gets a
// Known status.
func (p *Process) storeStatus(status ExitStatus) ExitStatus {
	s := p.shared
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.status == nil || status.Known && !s.status.Known {
		s.status = &status
	}
	return *s.status
}

// WaitAll waits for processes with [Process.Wait] until ctx ends. It returns the
// exited processes in the order of their exit, and the live ones in the order of
// all. A process that has exited and is not reaped counts as alive. Afterwards Wait
// of an exited process returns its status again.
//
// Duplicates count once: of several Processes of one process only the first is in a
// result, and only that one has the status. WaitAll calls each, unless nil, for
// every exited process, one after the other. An ended ctx is not an error. A process
// that cannot be waited for counts as alive, and its error is part of err. The
// psutil counterpart is wait_procs.
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
			if ctx.Err() == nil || !errors.Is(r.err, ctx.Err()) {
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
