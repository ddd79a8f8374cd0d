package process

import (
	"errors"
	"fmt"
)

// Nice returns the nice value of the main thread, from -20, which runs first,
// to 19.
func (p *Process) Nice() (int, error) {
	const op = "nice"
	stat, err := p.stat(op)
	if err == nil {
		return stat.Nice, nil
	}
	if !errors.Is(err, ErrAccessDenied) {
		return 0, err
	}
	// What a file system hides, the system call still tells.
	return ask(p, op, handle.nice)
}

// SetNice changes the nice value of the main thread. The kernel takes the
// nearest value that there is.
func (p *Process) SetNice(n int) error {
	return p.command("set nice", func(h handle) error { return h.setNice(n) })
}

// An IOClass says when requests to storage are served.
type IOClass int

// The classes of requests to storage.
const (
	IOClassNone       IOClass = iota // from the nice value
	IOClassRealtime                  // first
	IOClassBestEffort                // after those
	IOClassIdle                      // when nobody else asks
)

// String returns the word that ionice(1) uses.
func (c IOClass) String() string {
	names := [...]string{"none", "realtime", "best-effort", "idle"}
	if c < 0 || int(c) >= len(names) {
		return fmt.Sprintf("IOClass(%d)", int(c))
	}
	return names[c]
}

// An IOPriority says how requests of a process to storage are ranked.
type IOPriority struct {
	Class IOClass
	Level int // from 0, the first, to 7; 0 for IOClassNone and IOClassIdle
}

// The layout of a packed I/O priority. Between class and level are hints that
// tell of the device, not of the rank; since Linux 6.5.
const (
	ioClassShift = 13
	ioLevelMask  = 7
)

// IONice returns how the requests of the main thread to storage are ranked.
func (p *Process) IONice() (IOPriority, error) {
	packed, err := ask(p, "ionice", handle.ioPriority)
	if err != nil {
		return IOPriority{}, err
	}
	return IOPriority{Class: IOClass(packed >> ioClassShift), Level: packed & ioLevelMask}, nil
}

// SetIONice changes how the requests of the main thread to storage are ranked.
func (p *Process) SetIONice(to IOPriority) error {
	const op = "set ionice"
	ranked := to.Class == IOClassRealtime || to.Class == IOClassBestEffort
	if to.Class < IOClassNone || to.Class > IOClassIdle || to.Level < 0 || to.Level > ioLevelMask || !ranked && to.Level != 0 {
		return p.failure(op, ErrInvalid)
	}
	return p.command(op, func(h handle) error {
		return h.setIOPriority(int(to.Class)<<ioClassShift | to.Level)
	})
}

// CPUAffinity returns the CPUs that the main thread may run on, ascending.
func (p *Process) CPUAffinity() ([]int, error) {
	return ask(p, "cpu affinity", handle.affinity)
}

// SetCPUAffinity changes the CPUs that the main thread may run on. Without any,
// it may run on all that its cpuset allows.
func (p *Process) SetCPUAffinity(cpus ...int) error {
	const op = "set cpu affinity"
	for _, cpu := range cpus {
		if cpu < 0 || cpu >= maxCPUs {
			return p.failure(op, ErrInvalid)
		}
	}
	return p.command(op, func(h handle) error { return h.setAffinity(cpus) })
}

// maxCPUs is how many CPUs a Linux kernel can be built for.
const maxCPUs = 8192

// A Resource is what a process may use only so much of.
type Resource int

// The resources of Linux.
const (
	ResourceCPU        Resource = iota // seconds
	ResourceFSize                      // bytes of a file that it writes
	ResourceData                       // bytes
	ResourceStack                      // bytes
	ResourceCore                       // bytes
	ResourceRSS                        // bytes; not enforced
	ResourceNProc                      // threads of its user
	ResourceNoFile                     // one more than the greatest file descriptor
	ResourceMemlock                    // bytes
	ResourceAS                         // bytes of address space
	ResourceLocks                      // not enforced
	ResourceSigPending                 // signals of its user
	ResourceMsgQueue                   // bytes of its user
	ResourceNice                       // n allows nice values down to 20 - n
	ResourceRTPrio
	ResourceRTTime // microseconds

	resourceCount = int(iota)
)

// Resources returns all of them.
func Resources() []Resource {
	all := make([]Resource, resourceCount)
	for i := range all {
		all[i] = Resource(i)
	}
	return all
}

// String returns the name that setrlimit(2) uses.
func (r Resource) String() string {
	names := [resourceCount]string{"CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK",
		"AS", "LOCKS", "SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO", "RTTIME"}
	if r < 0 || int(r) >= len(names) {
		return fmt.Sprintf("Resource(%d)", int(r))
	}
	return "RLIMIT_" + names[r]
}
