package process

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

// WithContext returns a view of p whose methods return when ctx ends. The error then
// matches the error of ctx, and [ErrTimeout] if its deadline passed. No read of /proc
// can be interrupted: a read that blocks continues in a goroutine until the kernel
// returns. Processes that the methods return obey ctx too. A view needs no Close and
// ends with p. A view of a view obeys the new ctx only.
//
// All methods obey ctx, with these exceptions:
//   - PID, ID, Equal, String, Oneshot, WithContext and Close read nothing.
//   - Running returns true if ctx ends before the result is known.
//   - Wait and CPUPercentOver end with the first of ctx and their own context. Wait
//     checks once even if ctx has ended.
//
// Once ctx has ended, the other methods fail. Kill then sends no signal, and a view
// of [Process.Oneshot] does not return the values that it has read before.
//
// Each read makes a goroutine, and no further system call.
func (p *Process) WithContext(ctx context.Context) *Process {
	return &Process{shared: p.shared, cache: p.cache, ctx: ctx, view: true}
}

// WithContext returns a view of t whose methods obey ctx, as [Process.WithContext]
// describes, and so do the processes that they return. Close of a view does nothing.
func (t *Table) WithContext(ctx context.Context) *Table {
	return &Table{tableState: t.tableState, ctx: ctx}
}

// OpenContext opens a process as [Open] does. OpenContext and the methods of the Process
// obey ctx, as [Process.WithContext] describes.
func OpenContext(ctx context.Context, pid int) (*Process, error) {
	t, err := systemTable()
	if err != nil {
		return nil, err
	}
	return t.WithContext(ctx).Open(pid)
}

// AllContext iterates over all processes as [All] does. The iteration and its
// processes obey ctx, as [Process.WithContext] describes.
func AllContext(ctx context.Context) iter.Seq2[*Process, error] {
	return func(yield func(*Process, error) bool) {
		t, err := systemTable()
		if err != nil {
			yield(nil, err)
			return
		}
		t.WithContext(ctx).All()(yield)
	}
}

// within calls f with a Process without a context, and returns early if the context
// of p ends.
func within[T any](p *Process, op string, f func(*Process) (T, error)) (T, error) {
	shared, cache := p.shared, p.cache // a closure with p would move every view to the heap
	value, err, ok := await(p.ctx, func() (T, error) {
		return f(&Process{shared: shared, cache: cache, view: true})
	})
	if !ok {
		err = p.interrupted(op, p.ctx)
	}
	return value, err
}

// withinAll is within for a method whose processes obey the context too.
func (p *Process) withinAll(op string, f func(*Process) ([]*Process, error)) ([]*Process, error) {
	all, err := within(p, op, f)
	for _, q := range all {
		q.ctx = p.ctx
	}
	return all, err
}

// await calls f in a goroutine. It returns false if ctx ends first.
func await[T any](ctx context.Context, f func() (T, error)) (value T, err error, ok bool) {
	if ctx.Err() != nil {
		return value, nil, false
	}
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1) // the goroutine must not block if the call is late
	go func() {
		value, err := f()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err, true
	case <-ctx.Done():
		return value, nil, false
	}
}

// tableWithin calls f, and returns early if the context of t ends.
func tableWithin[T any](t *Table, op string, f func(system) (T, error)) (value T, err error) {
	if t.ctx == nil {
		value, err = f(t.system)
	} else {
		var done bool
		if value, err, done = await(t.ctx, func() (T, error) { return f(t.system) }); !done {
			err = contextError(t.ctx)
		}
	}
	if err != nil {
		return value, fmt.Errorf("process: %s: %w", op, err)
	}
	return value, nil
}

// A joinedContext ends when the first of two contexts ends, with the error and the
// cause of that one.
type joinedContext struct {
	context.Context // derived from one; canceled with a viewEnded when view ends
	view            context.Context
}

// A viewEnded is the cause of the end of the context of a view.
type viewEnded struct{ error }

func (v viewEnded) Unwrap() error { return v.error }

// Err implements [context.Context].
func (j joinedContext) Err() error {
	var first viewEnded
	if errors.As(context.Cause(j.Context), &first) {
		return j.view.Err()
	}
	return j.Context.Err()
}

// joinContext returns a context that ends when ctx or the context of p ends. The
// caller calls stop.
func (p *Process) joinContext(ctx context.Context) (joined context.Context, stop func()) {
	if p.ctx == nil {
		return ctx, func() {}
	}
	view := p.ctx
	inner, cancel := context.WithCancelCause(ctx)
	unregister := context.AfterFunc(view, func() { cancel(viewEnded{context.Cause(view)}) })
	return joinedContext{inner, view}, func() {
		unregister()
		cancel(nil)
	}
}

// interrupted returns the error of an operation that ctx has ended.
func (p *Process) interrupted(op string, ctx context.Context) error {
	e := interruptedError(p.PID(), op, ctx)
	e.Name = p.shared.lastName() // reading the name could block
	return e
}

// interruptedError returns an Error that matches the error of ctx, its cause, and
// ErrTimeout if the deadline has passed.
func interruptedError(pid int, op string, ctx context.Context) *Error {
	e := &Error{PID: pid, Op: op, Err: endError(ctx)}
	if errors.Is(e.Err, context.DeadlineExceeded) {
		e.Kind = ErrTimeout
	}
	return e
}

// contextError returns an error that matches what that of interruptedError does.
func contextError(ctx context.Context) error {
	err := endError(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", ErrTimeout, err)
	}
	return err
}

// endError returns the error of an ended ctx, with its cause if that is another one.
func endError(ctx context.Context) error {
	err := ctx.Err()
	if cause := context.Cause(ctx); !errors.Is(cause, err) {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}
