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

// A procfsSource reads processes from a process file system.
type procfsSource struct {
	mount    *procfs.Mount
	clock    host.Clock
	pageSize uint64 // bytes

	cpuClocks         bool        // the CPU clock of a process shows whether one of its threads has run
	statusNeverBlocks bool        // status, statm and the size of fd never block: the mount is the kernel's
	schedstatWorks    bool        // schedstat shows whether a thread has run
	reportsWChan      atomic.Bool // the kernel has reported a wchan

	smapsBudget   time.Duration
	smapsMaxRSS   uint64
	smapsFirstPID atomic.Int64 // PID from which the next walk continues to read smaps again

	bpfError error // why BPF is not in use although it was allowed

	reader *procfs.Reader // for files that never block

	pids        []int
	listed      []procfs.Entry // parallel to pids
	exited      int            // number of listed processes that have exited
	unread      int            // number of listed processes that were not read because a read blocks
	resumePID   int            // PID at which the deadline ended the last walk, 0 if it did not
	spareWorker *worker        // worker for the next call, nil after one was abandoned
	users       *host.Passwd
	seed        maphash.Seed // of all hashes that are compared

	lastFingerprints  []uint64 // copy of the argument of Fingerprints
	fingerprintBudget time.Duration

	states     stateTable
	quarantine quarantine

	nonBlocking nonBlockingStats
}

func openProcfs(o Options) (*procfsSource, error) {
	if o.Root == "" {
		o.Root = "/proc"
	}
	mount, err := procfs.Open(o.Root)
	if err != nil {
		return nil, err
	}
	s := &procfsSource{
		mount: mount,
		clock: host.NewClock(mount),
		users: host.OpenPasswd(host.PasswdPath),

		reader:      procfs.NewReader(mount),
		smapsBudget: o.SmapsBudget,
		smapsMaxRSS: o.SmapsMaxRSS,

		fingerprintBudget: fingerprintBudget,

		pageSize: uint64(os.Getpagesize()),
		seed:     maphash.MakeSeed(),
	}
	s.quarantine.processes = make(map[*worker]unresponsiveProcess)
	s.statusNeverBlocks = mount.IsProcfs()
	s.cpuClocks = mount.IsProcfs() && mount.InOwnPIDNamespace() && hasPreciseCPUClock()
	// The PID of this process is unknown in another PID namespace. That the kernel
	// lacks schedstat is assumed only where the test is possible.
	s.schedstatWorks = !mount.IsProcfs() || newWorker(s).threadMarker(os.Getpid(), os.Getpid()) != 0 || !mount.InOwnPIDNamespace()
	return s, nil
}

// Kind implements Source.
func (s *procfsSource) Kind() (SourceKind, error) { return SourceProcfs, s.bpfError }

// ExitsReady implements Source: /proc does not report exits.
func (s *procfsSource) ExitsReady() <-chan struct{} { return nil }

// Close implements Source.
func (s *procfsSource) Close() error {
	s.users.Close()
	return s.mount.Close()
}

// worker returns a worker, or nil if too many reads block already.
func (s *procfsSource) worker() *worker {
	if s.spareWorker == nil {
		if s.quarantine.size() >= maxBlockedReads {
			return nil
		}
		s.spareWorker = newWorker(s)
	}
	return s.spareWorker
}

// startClock sets the start time of a walk, and refreshes the user names.
func (s *procfsSource) startClock(snap *Snapshot) {
	s.users.Refresh()
	s.clock.Update()
	snap.BootTime, snap.TicksPerSecond, snap.Now = s.clock.BootTime(), s.clock.TicksPerSecond(), s.clock.Now(s.reader)
	snap.Time = s.clock.WallTime(snap.Now)
}

// errNoProcess is the error of a walk that finds no process, as after the end of a PID namespace.
var errNoProcess = errors.New("platform: the process file system contains no process")

// Walk implements Source.
func (s *procfsSource) Walk(ctx context.Context, snap *Snapshot) error {
	s.startClock(snap)
	var err error
	if s.listed, err = s.reader.AppendProcesses(s.listed[:0]); err != nil {
		return fmt.Errorf("platform: cannot list processes: %w", err)
	}
	s.pids = s.pids[:0]
	for i := range s.listed {
		s.pids = append(s.pids, s.listed[i].PID)
	}
	if len(s.pids) == 0 {
		return errNoProcess
	}
	snap.begin(s.pids)
	s.states.begin(snap, s.pids)
	s.exited, s.unread = 0, 0
	snap.Kind, snap.Exits = SourceProcfs, nil
	snap.HidePID = s.mount.IsProcfs() && s.pids[0] != 1
	// Start with the processes that the last walk did not reach before its deadline.
	first, _ := slices.BinarySearch(s.pids, s.resumePID)
	s.resumePID = 0
	smapsFirst := s.takeSmapsFirst(snap)
	if err = s.walkRange(ctx, snap, first, len(s.pids), smapsFirst); err == nil {
		err = s.walkRange(ctx, snap, 0, first, smapsFirst)
	} else {
		for i := range first {
			s.states.keepUnread(i)
		}
	}
	s.states.finish()
	snap.Unresponsive += max(s.unread, s.quarantine.size()) // a read may have ended since
	if err != nil {
		return fmt.Errorf("platform: %w", err)
	}
	if s.exited == len(s.pids) {
		return errNoProcess
	}
	return nil
}

// walkRange reads the processes s.pids[next:end]. It keeps the Samples of processes that
// it does not reach. It reads smaps again from the PID smapsFirst on.
func (s *procfsSource) walkRange(ctx context.Context, snap *Snapshot, next, end, smapsFirst int) (err error) {
	for err == nil && next < end && ctx.Err() == nil {
		w := s.worker()
		if w == nil {
			break
		}
		from := next
		w.smapsFirst = smapsFirst
		finished := s.run(ctx, w, func(w *worker) { w.walk(snap, s.listed[:end], from) })
		if next, err = w.progress(); !finished { // a read of the process at next blocks
			s.keepUnresponsive(snap, next)
			s.unread++
			s.states.replaceArenas()
			next++
		}
	}
	if next < end {
		snap.Incomplete = true
		if s.resumePID == 0 {
			s.resumePID = s.pids[next]
		}
	}
	for ; next < end; next++ {
		if err != nil || ctx.Err() != nil {
			s.states.keepUnread(next)
		} else { // too many reads block
			s.keepUnresponsive(snap, next)
		}
	}
	return err
}

// Complete implements Source.
func (s *procfsSource) Complete(ctx context.Context, snap *Snapshot) {
	defer snap.dropUnwanted()
	s.states.attach(snap)
	for next := 0; next < len(snap.Samples); {
		w := s.worker()
		if w == nil || ctx.Err() != nil {
			snap.Incomplete = true
			return
		}
		from := next
		finished := s.run(ctx, w, func(w *worker) { w.complete(snap, from) })
		if next, _ = w.progress(); !finished {
			snap.Samples[next].Unreadable |= snap.Samples[next].Want
			s.states.processes[next].activity = activity{}
			s.states.replaceArenas()
			next++
		}
	}
}

// Identify implements Source.
func (s *procfsSource) Identify(ctx context.Context, sample *Sample, want IdentityFields) (Identity, error) {
	w := s.worker()
	if w == nil || w.skips(sample.PID, 0) {
		return Identity{}, fmt.Errorf("platform: identify process %d: %w", sample.PID, ErrUnresponsive)
	}
	target, inode := *sample, s.states.inode(sample.PID)
	var id Identity
	var err error
	if !s.run(ctx, w, func(w *worker) { id, err = w.identify(target, inode, want) }) {
		return Identity{}, fmt.Errorf("platform: identify process %d: %w", target.PID, ErrUnresponsive)
	}
	if err != nil {
		return Identity{}, fmt.Errorf("platform: identify process %d: %w", target.PID, err)
	}
	id.StartTime = s.clock.Time(target.Start)
	if w.scratch.hasUser {
		id.Username = s.users.Name(id.EUID)
	}
	return id, nil
}

// ExitIdentity implements Source. It does not resolve the cgroup: /proc does not report
// exits.
func (s *procfsSource) ExitIdentity(e *Exit, want IdentityFields) Identity {
	id := Identity{ID: e.ID, Comm: e.Comm, StartTime: s.clock.Time(e.Start), EUID: e.EUID}
	if want&IdentityArgs != 0 {
		id.Args = procfs.AppendArgs(nil, e.Args)
	}
	if want&IdentityUser != 0 {
		id.Username = s.users.Name(e.EUID)
	}
	return id
}
