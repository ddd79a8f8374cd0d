package process

import (
	"errors"
	"fmt"

	"github.com/seed57308aee/process_exporter/procfs"
)

// A Limit is a resource limit. The kernel enforces Soft; the process may raise it
// up to Hard.
type Limit struct {
	Soft uint64 // in the unit of the Resource; Unlimited for none
	Hard uint64 // as Soft
}

// Unlimited is the limit of a resource without a limit: RLIM_INFINITY.
const Unlimited uint64 = 1<<64 - 1

// A Resource is a resource of setrlimit(2).
type Resource int

// The resources of Linux.
const (
	ResourceCPU        Resource = iota // seconds
	ResourceFSize                      // bytes of a written file
	ResourceData                       // bytes
	ResourceStack                      // bytes
	ResourceCore                       // bytes
	ResourceRSS                        // bytes; not enforced
	ResourceNProc                      // threads of the real user
	ResourceNoFile                     // greatest file descriptor plus one
	ResourceMemlock                    // bytes
	ResourceAS                         // bytes of address space
	ResourceLocks                      // not enforced
	ResourceSigPending                 // queued signals of the real user
	ResourceMsgQueue                   // bytes of the real user
	ResourceNice                       // value n allows nice values down to 20 - n
	ResourceRTPrio                     // greatest real-time priority
	ResourceRTTime                     // microseconds of CPU time without a blocking system call

	resourceCount = int(iota)
)

// Resources returns all resources.
func Resources() []Resource {
	all := make([]Resource, resourceCount)
	for i := range all {
		all[i] = Resource(i)
	}
	return all
}

// String returns the name in setrlimit(2), such as RLIMIT_CPU.
func (r Resource) String() string {
	names := [resourceCount]string{"CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK",
		"AS", "LOCKS", "SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO", "RTTIME"}
	if r < 0 || int(r) >= len(names) {
		return fmt.Sprintf("Resource(%d)", int(r))
	}
	return "RLIMIT_" + names[r]
}

// Rlimit returns a resource limit of the process. It uses prlimit(2), which requires
// the same user or CAP_SYS_RESOURCE, and otherwise reads /proc/PID/limits, which
// every user can read.
//
// System calls: 2.
func (p *Process) Rlimit(r Resource) (Limit, error) {
	const op = "rlimit"
	if r < 0 || int(r) >= resourceCount {
		return Limit{}, p.invalid(op, "resource %d is not one of the constants", int(r))
	}
	limit, err := query(p, op, func(h handle) (Limit, error) { return h.limit(r) })
	if err == nil || errors.Is(err, ErrGone) && !errors.Is(err, ErrZombie) {
		return limit, err
	}
	limits, err := parseFile(p, nil, op, "limits", procfs.ParseLimits)
	if err != nil {
		return Limit{}, err
	}
	if limits.Have>>r&1 == 0 {
		return Limit{}, p.wrap(op, ErrUnsupported)
	}
	return Limit(limits.At(int(r))), nil
}

// SetRlimit sets a resource limit of the process with prlimit(2). A higher Hard
// requires CAP_SYS_RESOURCE.
//
// System calls: 2.
func (p *Process) SetRlimit(r Resource, to Limit) error {
	const op = "set rlimit"
	if r < 0 || int(r) >= resourceCount {
		return p.invalid(op, "resource %d is not one of the constants", int(r))
	}
	if to.Soft > to.Hard {
		return p.invalid(op, "soft limit %d exceeds hard limit %d", to.Soft, to.Hard)
	}
	return p.change(op, func(h handle) error { return h.setLimit(r, to) })
}

// query makes a system call that takes a PID. If the process exists afterwards, the
// PID was its own during the call.
func query[T any](p *Process, op string, call func(handle) (T, error)) (T, error) {
	var none T
	h, err := p.acquire(op)
	if err != nil {
		return none, err
	}
	defer p.release()
	value, err := call(h)
	if h.gone() {
		return none, p.wrap(op, ErrGone)
	}
	if err != nil {
		return none, p.wrap(op, err)
	}
	return value, nil
}

// change makes a system call that takes a PID and changes the process, if the
// process exists immediately before. A race remains: the process may exit, be
// reaped, and its PID be reused between the check and the call.
func (p *Process) change(op string, do func(handle) error) error {
	h, err := p.acquire(op)
	if err != nil {
		return err
	}
	defer p.release()
	if h.gone() {
		return p.wrap(op, ErrGone)
	}
	if err := do(h); err != nil {
		return p.wrap(op, err)
	}
	return nil
}
