package process

import (
	"errors"

	"github.com/seed57308aee/process_exporter/procfs"
)

// A Limit is how much of a resource a process may use: Soft is enforced, and
// Hard is what the process may raise it to.
type Limit = procfs.Limit

// Unlimited is the value of a limit that is none.
const Unlimited = procfs.Unlimited

// Rlimit returns how much of a resource the process may use. The kernel answers
// the system call for processes of our own user, or with CAP_SYS_RESOURCE; it
// writes the same numbers into a file for everybody.
func (p *Process) Rlimit(r Resource) (Limit, error) {
	const op = "rlimit"
	if r < 0 || int(r) >= resourceCount {
		return Limit{}, p.failure(op, ErrInvalid)
	}
	limit, err := ask(p, op, func(h handle) (Limit, error) { return h.limit(r) })
	if err == nil || errors.Is(err, ErrGone) && !errors.Is(err, ErrZombie) {
		return limit, err
	}
	limits, err := fact(p, nil, op, "limits", procfs.ParseLimits)
	if err != nil {
		return Limit{}, err
	}
	if limits.Have>>r&1 == 0 {
		return Limit{}, p.failure(op, ErrUnsupported)
	}
	return limits.At(int(r)), nil
}

// SetRlimit changes how much of a resource the process may use. To raise Hard
// takes CAP_SYS_RESOURCE.
func (p *Process) SetRlimit(r Resource, to Limit) error {
	const op = "set rlimit"
	if r < 0 || int(r) >= resourceCount || to.Soft > to.Hard {
		return p.failure(op, ErrInvalid)
	}
	return p.command(op, func(h handle) error { return h.setLimit(r, to) })
}

// ask calls a system call that names the process by its number. If the process
// is there afterwards, it had the number all the while.
func ask[T any](p *Process, op string, call func(handle) (T, error)) (T, error) {
	var none T
	h, err := p.acquire(op)
	if err != nil {
		return none, err
	}
	defer p.release()
	answer, err := call(h)
	if h.gone() {
		return none, p.failure(op, ErrGone)
	}
	if err != nil {
		return none, p.failure(op, err)
	}
	return answer, nil
}

// command does to the process what the kernel takes only a number for. It does
// so only if the process is there the moment before. What remains is that the
// process exits, is waited for, and another is given its number, all within
// that moment.
func (p *Process) command(op string, do func(handle) error) error {
	h, err := p.acquire(op)
	if err != nil {
		return err
	}
	defer p.release()
	if h.gone() {
		return p.failure(op, ErrGone)
	}
	if err := do(h); err != nil {
		return p.failure(op, err)
	}
	return nil
}
