//go:build amd64 || arm64

package platform

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"slices"

	"github.com/seed57308aee/process_exporter/platform/bpf"
	"github.com/seed57308aee/process_exporter/platform/internal/host"
	"github.com/seed57308aee/process_exporter/procfs"
)

// A bpfSource reads processes with BPF programs. From /proc it reads only names, FieldSmaps and
// FieldWChan. If the programs fail in a walk, this walk reads /proc, and the next walk tries
// the programs again.
type bpfSource struct {
	*procfsSource
	programs  *bpf.Programs
	scanTasks func(*bpf.Scanner) error // starts a scan: programs.ScanTasks
	scanner   bpf.Scanner
	fallback  bool // the last walk read /proc because of bpfError
	ready     <-chan struct{}
	times     timeConverter
	cgroups   cgroupPaths
	exits     exitTable

	unreported unreportedCheck

	// Result of the last scan, ascending by ID, and memory to assemble it.
	scanned    []int          // PIDs
	processes  []*bpf.Process // in the memory of scanner, parallel to scanned
	threads    []*bpf.Thread  // in the memory of scanner
	prev       Sample
	threadSums []threadSum
	wchans     wchanSchedule
	reads      []procRead
	skipSmaps  bool // Snapshot.SkipSmaps of the last walk
}

// A timeConverter makes the IDs of processes.
type timeConverter struct{ host.TickConverter }

// id returns the ID of a process that started at a number of nanoseconds after boot.
func (c *timeConverter) id(pid int32, start uint64) ID {
	return ID{PID: int(pid), Start: c.Ticks(start), Serial: start}
}

// openBPF loads the programs. proc is the source for reads of /proc.
func openBPF(proc *procfsSource, o Options) (Source, error) {
	if !proc.mount.IsProcfs() || !proc.mount.InOwnPIDNamespace() {
		return nil, errors.New("the process file system does not belong to the PID namespace of this process")
	}
	programs, err := bpf.Load(bpf.Options{})
	if bpf.IsDenied(err) {
		return nil, fmt.Errorf("requires CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN: %w", err)
	}
	if err != nil {
		return nil, err
	}
	b := &bpfSource{
		procfsSource: proc, programs: programs, scanTasks: programs.ScanTasks, ready: programs.Events().Ready(),
		cgroups: cgroupPaths{mount: cgroupMount, cacheOnly: o.Sandboxed},
		times:   timeConverter{host.NewTickConverter()},
	}
	b.exits = newExitTable(&b.times, proc.pageSize)
	b.exits.nested = programs.InNestedPIDNamespace()
	if err := b.selfTest(); err != nil {
		return nil, errors.Join(err, programs.Close())
	}
	debug.FreeOSMemory() // frees the BTF types of the kernel, about 10 MiB
	return b, nil
}

// selfTest compares the own process in a scan with /proc. It tries again after a difference:
// the parent may exit in between.
func (b *bpfSource) selfTest() (err error) {
	for range maxScans {
		if err = b.compareSelf(); err == nil {
			break
		}
	}
	return err
}

// compareSelf scans all processes once and compares the own process with /proc.
func (b *bpfSource) compareSelf() error {
	reader := procfs.NewReader(b.mount)
	text, err := reader.Read(os.Getpid(), "stat")
	if err != nil {
		return err
	}
	var st procfs.Stat
	if err := procfs.ParseStat(text, &st); err != nil {
		return err
	}
	if err := b.scan(); err != nil {
		return err
	}
	at, found := slices.BinarySearch(b.scanned, os.Getpid())
	if !found {
		return errors.New("the BPF programs do not report this process")
	}
	own := b.sample(b.processes[at], nil)
	if own.Start != st.StartTicks || own.PPID != st.PPID || own.Comm != string(st.Comm) {
		return fmt.Errorf("the BPF programs and /proc disagree about this process: %q started at tick %d, in /proc %q at tick %d",
			own.Comm, own.Start, st.Comm, st.StartTicks)
	}
	return nil
}

// Kind implements Source.
func (b *bpfSource) Kind() (SourceKind, error) {
	if b.fallback {
		return SourceProcfs, b.bpfError
	}
	return SourceBPF, nil
}

// ExitsReady implements Source.
func (b *bpfSource) ExitsReady() <-chan struct{} { return b.ready }

// Close implements Source.
func (b *bpfSource) Close() error { return errors.Join(b.programs.Close(), b.procfsSource.Close()) }

// Walk implements Source.
func (b *bpfSource) Walk(ctx context.Context, snap *Snapshot) error {
	b.startClock(snap)
	// Exits are taken before the scan. A process that was reaped before is not in the scan,
	// and one that is reaped later is in the exits of the next walk: no process is in both.
	err := b.takeExits(snap)
	if err == nil {
		err = b.readAll(snap)
	}
	if b.exits.keepReported = host.ResourceExhausted(err); b.exits.keepReported {
		return fmt.Errorf("platform: %w", err)
	}
	if b.fallback, b.bpfError = err != nil, err; b.fallback {
		return b.walkProc(ctx, snap)
	}
	snap.Kind = SourceBPF
	b.expireExits(snap)
	b.runReads(ctx, snap)
	return nil
}

// walkProc reads the processes from /proc in this walk. It reports the exits that the
// programs have reported.
func (b *bpfSource) walkProc(ctx context.Context, snap *Snapshot) error {
	snap.Unreported, snap.UnreportedList = 0, ""
	snap.blankExited(b.exits.reaped)
	if err := b.procfsSource.Walk(ctx, snap); err != nil {
		b.exits.keepReported = true
		return err
	}
	b.expireExits(snap)
	return nil
}

// Complete implements Source.
func (b *bpfSource) Complete(ctx context.Context, snap *Snapshot) {
	if b.fallback {
		b.procfsSource.Complete(ctx, snap)
		return
	}
	defer snap.dropUnwanted()
	b.states.attach(snap)
	b.reads = b.reads[:0]
	for i := range snap.Samples {
		s := &snap.Samples[i]
		if s.Want&^(s.Have|s.Unreadable|s.Skipped)&(FieldSmaps|FieldWChan) != 0 {
			b.planReads(s, nil, i)
		}
	}
	b.runReads(ctx, snap)
}

// Identify implements Source. /proc has no names of a zombie, but its exit event has.
func (b *bpfSource) Identify(ctx context.Context, s *Sample, want IdentityFields) (Identity, error) {
	if s.State == 'Z' {
		if e := b.exits.zombie(s.ID); e != nil {
			return b.ExitIdentity(e, want), nil
		}
	}
	id, err := b.procfsSource.Identify(ctx, s, want)
	if last := len(id.Cgroups) - 1; err == nil && last >= 0 { // the line of cgroup v2 is the last one
		b.cgroups.add(s.Cgroup, id.Cgroups[last])
	}
	return id, err
}

// readAll fills snap with all processes, and plans what to read from /proc.
func (b *bpfSource) readAll(snap *Snapshot) error {
	walk := snap.walks
	b.unreported.begin(b.reader, walk)
	if err := b.scan(); err != nil {
		return err
	}
	err := b.unreported.end(b.reader, walk, b.scanned, func() ([]int, error) {
		err := b.scan()
		return b.scanned, err
	})
	if err != nil {
		return err
	}
	hidePID, err := b.hidePID()
	if err != nil {
		return err
	}
	snap.begin(b.scanned)
	b.states.begin(snap, b.scanned)
	snap.HidePID, snap.Unreported, snap.UnreportedList = hidePID, b.unreported.count, b.unreported.list
	b.threadSums, b.reads = b.threadSums[:0], b.reads[:0]
	b.wchans, b.skipSmaps = wchanSchedule{walk: snap.walks}, snap.SkipSmaps
	for i, p := range b.processes {
		prev, s, state := &b.prev, &snap.Samples[i], &b.states.processes[i]
		if *prev = *s; prev.blank() || prev.Serial != p.Start {
			prev, *state = nil, processState{pid: s.PID}
		}
		state.activity, state.threads = activity{}, nil
		*s = b.sample(p, prev)
		if p.Threads > 1 { // assignThreads completes it
			b.threadSums = append(b.threadSums, newThreadSum(i, p, prev))
			continue
		}
		s.setUsage(&p.Usage, p.Flags, prev)
		b.planReads(s, prev, i)
	}
	b.assignThreads(snap)
	return nil
}

// hidePID reports whether the process file system hides processes of other users. The
// programs report them, but their names are in /proc, and a process without readable names
// looks as if it had just exited. PID 1 exists in every PID namespace, and a read of its
// status never blocks.
func (b *bpfSource) hidePID() (bool, error) {
	_, err := b.reader.Read(1, "status")
	if err != nil && host.ResourceExhausted(err) {
		return false, err
	}
	return errors.Is(err, procfs.ErrAccessDenied) || errors.Is(err, fs.ErrNotExist), nil
}

// exitDead is EXIT_DEAD (linux/sched.h), the exit state of a task that is being reaped. Its
// counters may be in its process already, so scans skip it: the exit event has the exact ones.
const exitDead = 0x10

// maxScans is the number of scans after which scan sorts the records.
const maxScans = 4

// scan reads the records of the task iterator, ascending by PID and TID. If a thread
// other than the main thread calls execve(2), the kernel exchanges the TIDs of the two. During
// the scan this can put a record out of order, or report a process twice: scan then starts
// again. After maxScans attempts it sorts the records, so that no process can make it fail.
func (b *bpfSource) scan() error {
	for range maxScans {
		if ordered, err := b.scanOnce(); ordered || err != nil {
			return err
		}
	}
	b.processes = sortByID(b.processes, func(p *bpf.Process) int32 { return p.Pid })
	b.threads = sortByID(b.threads, func(t *bpf.Thread) int32 { return t.Tid })
	b.scanned = b.scanned[:0]
	for _, p := range b.processes {
		b.scanned = append(b.scanned, int(p.Pid))
	}
	return nil
}

// scanOnce reads the records of the task iterator, and reports whether they are in order.
func (b *bpfSource) scanOnce() (ordered bool, err error) {
	b.scanned, b.processes, b.threads, ordered = b.scanned[:0], b.processes[:0], b.threads[:0], true
	if err := b.scanTasks(&b.scanner); err != nil {
		return false, err
	}
	defer b.scanner.Stop()
	for b.scanner.Scan() {
		if t := b.scanner.Thread(); t != nil {
			if n := len(b.threads); n > 0 && b.threads[n-1].Tid >= t.Tid {
				ordered = false
			}
			b.threads = append(b.threads, t)
			continue
		}
		p := b.scanner.Process()
		if p.ExitState == exitDead {
			continue
		}
		if n := len(b.scanned); n > 0 && b.scanned[n-1] >= int(p.Pid) {
			ordered = false
		}
		b.scanned = append(b.scanned, int(p.Pid))
		b.processes = append(b.processes, p)
	}
	if err := b.scanner.Err(); err != nil {
		return false, err
	}
	if len(b.scanned) == 0 {
		return false, errors.New("the BPF programs report no process")
	}
	return ordered, nil
}

// sortByID sorts records by their ID. Of several records with the same ID it keeps the last
// one, which is the newest.
func sortByID[T any](records []*T, id func(*T) int32) []*T {
	slices.SortStableFunc(records, func(x, y *T) int { return cmp.Compare(id(x), id(y)) })
	kept := records[:0]
	for i, r := range records {
		if i+1 == len(records) || id(records[i+1]) != id(r) {
			kept = append(kept, r)
		}
	}
	return kept
}
