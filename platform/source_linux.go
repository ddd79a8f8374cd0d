package platform

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/seed57308aee/process_exporter/platform/internal/host"
	"github.com/seed57308aee/process_exporter/procfs"
)

// source reads processes from a process file system.
type source struct {
	mount *procfs.Mount
	clock host.Clock
	page  uint64 // bytes

	clocks bool // the CPU clock of a process tells whether one of its threads has run
	vital  bool // some files never wait
	vitals vitals
	beats  bool // schedstat tells whether a thread has run

	smapsBudget time.Duration
	smapsMaxRSS uint64
	smapsFrom   atomic.Int64 // the PID at which the next walk goes on reading smaps again

	notBPF error // why not, where it was allowed

	lister *procfs.Reader // of what belongs to no process, and so never hangs

	pids   []int
	listed []procfs.Entry // those of pids
	resume int            // the PID at which the deadline ended the last walk, 0 if it did not
	idle   *worker        // the worker that the next call uses, nil after one got stuck
	users  host.UserNames
	seed   maphash.Seed // of all that is compared by its hash

	wereSums []uint64 // scratch of Sums

	quarantine quarantine
}

func open(o Options) (Source, error) {
	proc, err := openProc(o)
	if err != nil {
		return nil, err
	}
	if o.Kind != KindAuto && o.Kind != KindBPF {
		return proc, nil
	}
	kernel, err := openKernel(proc)
	switch {
	case err == nil:
		return kernel, nil
	case o.Kind == KindAuto:
		proc.notBPF = err
		return proc, nil
	}
	_ = proc.Close() // nothing has been written to it
	return nil, fmt.Errorf("platform: source %s: %w", KindBPF, err)
}

func openProc(o Options) (*source, error) {
	if o.Root == "" {
		o.Root = "/proc"
	}
	mount, err := procfs.Open(o.Root)
	if err != nil {
		return nil, err
	}
	s := &source{
		mount: mount,
		clock: host.NewClock(mount),

		lister:      procfs.NewReader(mount),
		smapsBudget: o.SmapsBudget,
		smapsMaxRSS: o.SmapsMaxRSS,

		page: uint64(os.Getpagesize()),
		seed: maphash.MakeSeed(),
	}
	s.quarantine.stuck = make(map[*worker]captive)
	s.vital = mount.IsProcfs()
	s.clocks = mount.IsProcfs() && mount.OwnPIDs() && clocksAreFine()
	// In another PID namespace our own PID is not known; kernels that differ
	// there are none.
	s.beats = !mount.IsProcfs() || newWorker(s).taskBeat(os.Getpid(), os.Getpid()) != 0 || !mount.OwnPIDs()
	return s, nil
}

// Kind implements Source.
func (s *source) Kind() (Kind, error) { return KindProcfs, s.notBPF }

// ExitsPending implements Source: /proc tells of no exits.
func (s *source) ExitsPending() <-chan struct{} { return nil }

// Close implements Source.
func (s *source) Close() error { return s.mount.Close() }

// worker returns a worker, or nil when too many hang already.
func (s *source) worker() *worker {
	if s.idle == nil {
		if s.quarantine.size() >= maxStuck {
			return nil
		}
		s.idle = newWorker(s)
	}
	return s.idle
}

// startClock writes the time at which a walk begins into snap.
func (s *source) startClock(snap *Snapshot) {
	s.clock.Update(s.lister)
	snap.BootTime, snap.TicksPerSecond, snap.Now = s.clock.BootTime(), s.clock.TicksPerSecond(), s.clock.Now(s.lister)
}

// Walk implements Source.
func (s *source) Walk(ctx context.Context, snap *Snapshot) error {
	s.startClock(snap)
	var err error
	if s.listed, err = s.lister.AppendProcesses(s.listed[:0]); err != nil {
		return fmt.Errorf("platform: cannot list processes: %w", err)
	}
	s.pids = s.pids[:0]
	for i := range s.listed {
		s.pids = append(s.pids, s.listed[i].PID)
	}
	if len(s.pids) == 0 {
		return errors.New("platform: the process file system shows no process")
	}
	snap.begin(s.pids)
	snap.Source, snap.Exits = string(KindProcfs), nil
	snap.HidePID = s.mount.IsProcfs() && s.pids[0] != 1
	// Those that the last walk had no time for come first.
	first, _ := slices.BinarySearch(s.pids, s.resume)
	s.resume = 0
	smaps := int(s.smapsFrom.Swap(0))
	if err = s.walkRange(ctx, snap, first, len(s.pids), smaps); err == nil {
		err = s.walkRange(ctx, snap, 0, first, smaps)
	} else {
		for i := range first {
			snap.hold(i)
		}
	}
	snap.finish()
	snap.Unresponsive += s.quarantine.size()
	if err != nil {
		return fmt.Errorf("platform: %w", err)
	}
	return nil
}

// walkRange reads the processes s.pids[next:end]. It holds the places of those
// that it does not come to. From the PID smaps on it reads smaps again.
func (s *source) walkRange(ctx context.Context, snap *Snapshot, next, end, smaps int) (err error) {
	for err == nil && next < end && ctx.Err() == nil {
		w := s.worker()
		if w == nil {
			break
		}
		from := next
		w.smaps = smaps
		finished := s.attempt(ctx, w, func(w *worker) { w.walk(snap, s.listed[:end], from) })
		if next, err = w.reached(); !finished { // the process at next does not answer
			s.hold(snap, next)
			snap.renew = len(snap.tasks)
			next++
		}
	}
	if next < end {
		snap.Partial = true
		if s.resume == 0 {
			s.resume = s.pids[next]
		}
	}
	for ; next < end; next++ {
		if err != nil || ctx.Err() != nil {
			snap.hold(next)
		} else { // too many hang
			s.hold(snap, next)
		}
	}
	return err
}

// Complete implements Source.
func (s *source) Complete(ctx context.Context, snap *Snapshot) {
	for next := 0; next < len(snap.Samples); {
		w := s.worker()
		if w == nil || ctx.Err() != nil {
			snap.Partial = true
			return
		}
		from := next
		finished := s.attempt(ctx, w, func(w *worker) { w.complete(snap, from) })
		if next, _ = w.reached(); !finished {
			snap.Samples[next].Lost |= snap.Samples[next].Want
			snap.Samples[next].pulse = pulse{}
			snap.renew = len(snap.tasks)
			next++
		}
	}
}

// Identify implements Source.
func (s *source) Identify(ctx context.Context, sample *Sample, want IdentityFields) (Identity, error) {
	w := s.worker()
	if w == nil || w.avoids(sample.PID, 0) {
		return Identity{}, fmt.Errorf("platform: identify process %d: %w", sample.PID, ErrUnresponsive)
	}
	target := *sample
	var id Identity
	var err error
	if !s.attempt(ctx, w, func(w *worker) { id, err = w.identify(target, want) }) {
		return Identity{}, fmt.Errorf("platform: identify process %d: %w", target.PID, ErrUnresponsive)
	}
	if err != nil {
		return Identity{}, fmt.Errorf("platform: identify process %d: %w", target.PID, err)
	}
	id.StartTime = s.clock.Time(target.Start)
	if w.read.hasUser {
		id.Username = s.users.Name(id.EUID)
	}
	return id, nil
}

// ExitIdentity implements Source. It resolves no control group: /proc does not
// report exits.
func (s *source) ExitIdentity(e *Exit, want IdentityFields) Identity {
	id := Identity{ID: e.ID, Comm: e.Comm, StartTime: s.clock.Time(e.Start), EUID: e.EUID}
	if want&IdentityArgs != 0 {
		id.Args = procfs.AppendArgs(nil, e.Args)
	}
	if want&IdentityUser != 0 {
		id.Username = s.users.Name(e.EUID)
	}
	return id
}
