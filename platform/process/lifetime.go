package process

import (
	"context"
	"errors"
	"os"
	"sync"
)

// The errors of closed objects.
const (
	errProcessClosed closedError = "the Process is closed"
	errTableClosed   closedError = "the Table is closed"
)

// A closedError states what is closed. It matches [os.ErrClosed].
type closedError string

func (e closedError) Error() string { return string(e) }

// Is makes a closedError match [os.ErrClosed].
func (closedError) Is(target error) bool { return target == os.ErrClosed }

// A useCount counts the calls that use a resource, so that the last one releases it
// after it was closed.
type useCount struct {
	mu     sync.Mutex // guards the fields below
	calls  int
	closed bool
}

// begin reports whether the resource is open. If so the caller calls end.
func (u *useCount) begin() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return false
	}
	u.calls++
	return true
}

// end reports whether the caller must release the resource.
func (u *useCount) end() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.calls--
	return u.closed && u.calls == 0
}

// close reports whether the resource was open, and whether the caller must release
// it. If not, the last call does.
func (u *useCount) close() (wasOpen, unused bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	wasOpen = !u.closed
	u.closed = true
	return wasOpen, wasOpen && u.calls == 0
}

// acquire returns the handle, which stays open until release.
func (p *Process) acquire(op string) (h handle, err error) {
	done := true
	if p.ctx == nil {
		h, err = p.shared.acquire()
	} else {
		h, err, done = p.shared.acquireBefore(p.ctx)
	}
	if !done {
		return nil, p.interrupted(op, p.ctx)
	}
	if err != nil {
		return nil, p.wrap(op, err)
	}
	return h, nil
}

func (p *Process) release() { p.shared.release() }

// errNotOpen means that a Process has no handle, because each call opens it again.
var errNotOpen = errors.New("not open")

// acquireOpen returns the handle if it is open. It does not block.
func (s *shared) acquireOpen() (handle, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, errProcessClosed
	case s.handle == nil:
		return nil, errNotOpen
	}
	s.calls++
	return s.handle, nil
}

// acquire returns the handle. If there is none, it opens the process again, which can block.
func (s *shared) acquire() (handle, error) {
	if h, err := s.acquireOpen(); err != errNotOpen { //nolint:errorlint // it is never wrapped
		return h, err
	}
	s.reopening.Lock()
	defer s.reopening.Unlock()
	if h, err := s.acquireOpen(); err != errNotOpen { //nolint:errorlint // as above
		return h, err
	}
	h, err := s.reopen()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		h.close()
		return nil, errProcessClosed
	}
	s.handle = h
	s.calls++
	return h, nil
}

// acquireBefore is acquire unless ctx ends first. Then done is false.
func (s *shared) acquireBefore(ctx context.Context) (h handle, err error, done bool) {
	if ctx.Err() != nil {
		return nil, nil, false
	}
	if h, err := s.acquireOpen(); err != errNotOpen { //nolint:errorlint // it is never wrapped
		return h, err, true
	}
	type result struct {
		h   handle
		err error
	}
	results := make(chan result)
	go func() {
		h, err := s.acquire()
		select {
		case results <- result{h, err}:
		case <-ctx.Done():
			if err == nil {
				s.release()
			}
		}
	}()
	select {
	case r := <-results:
		return r.h, r.err, true
	case <-ctx.Done():
		return nil, nil, false
	}
}

// reopen opens the process again. The error matches ErrGone if another process has
// its PID.
func (s *shared) reopen() (handle, error) {
	p, err := s.table.Open(s.id.PID)
	if err != nil {
		return nil, err
	}
	if p.ID() != s.id {
		_ = p.Close()
		return nil, ErrGone
	}
	p.shared.cleanup.Stop()
	return p.shared.handle, nil
}

// exists reports whether the process can be opened again. It returns true if that is
// not known.
func (s *shared) exists() bool {
	h, err := s.reopen()
	if err != nil {
		return !errors.Is(err, ErrGone)
	}
	h.close()
	return true
}

// borrow returns the handle if it is open, also after Close. The caller calls release.
func (s *shared) borrow() (handle, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.handle == nil {
		return nil, false
	}
	s.calls++
	return s.handle, true
}

func (s *shared) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls--
	s.closeUnused()
}

// close reports whether s was not closed before.
func (s *shared) close() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.closed = true
	s.cleanup.Stop()
	s.closeUnused()
	return true
}

// reopenInCalls makes the Process use no descriptors between calls: each call opens it again.
func (s *shared) reopenInCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reopens = true
	s.cleanup.Stop()
	s.closeUnused()
}

// closeUnused closes the handle if no call needs it. The caller holds the mutex.
func (s *shared) closeUnused() {
	if s.calls == 0 && s.handle != nil && (s.closed || s.reopens) {
		s.handle.close()
		s.handle = nil
	}
}
