//go:build amd64 || arm64

package platform

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seed57308aee/process_exporter/platform/bpf"
	"github.com/seed57308aee/process_exporter/platform/internal/host"
	"github.com/seed57308aee/process_exporter/procfs"
)

// A kernelSource reads processes by programs inside the kernel. From /proc come
// only words, and what takes a look at the memory or the stack of a process. Should
// the programs fail, all comes from there.
type kernelSource struct {
	*source
	programs *bpf.Programs // nil after they failed
	scanner  bpf.Scanner
	batch    bpf.Batch
	ended    map[birth]*ending // of processes that have ended and are not reaped yet
	exits    []Exit
	told     []*ending      // that stand in exits
	owed     bool           // the last walk failed before it told of exits
	spare    []*ending      // to be used again
	zombies  map[ID]*ending // ended, by what names them here; nil until somebody asks
	failed   atomic.Bool    // for Exiting, which any goroutine may call
	exiting  <-chan struct{}
	ticks    ticks
	cgroups  cgroupPaths

	// What the last look found, ascending, and how it is put together.
	pids      []int
	processes []*bpf.Process // of the scanner
	threads   []*bpf.Thread  // of the scanner
	prev      Sample
	families  []family
	turns     turns
	todo      []todo
}

// ticks turns the nanoseconds of the kernel into the ticks of /proc.
type ticks struct {
	nanos  uint64 // of one tick
	offset int64  // nanoseconds by which our time namespace is ahead since boot
	page   uint64
}

func (t *ticks) of(nanos uint64) uint64 { return uint64(int64(nanos)+t.offset) / t.nanos }

// id returns the ID of a process that was born so many nanoseconds after boot.
func (t *ticks) id(pid int32, nanos uint64) ID {
	return ID{PID: int(pid), Start: t.of(nanos), Serial: nanos}
}

// openKernel puts programs into the kernel, and proc behind them.
func openKernel(proc *source) (Source, error) {
	if !proc.mount.IsProcfs() || !proc.mount.OwnPIDs() {
		return nil, errors.New("the process file system is not that of our own PID namespace")
	}
	programs, err := bpf.Load(bpf.Options{})
	if bpf.IsDenied(err) {
		return nil, fmt.Errorf("it takes CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN: %w", err)
	}
	if err != nil {
		return nil, err
	}
	k := &kernelSource{
		source: proc, programs: programs, exiting: programs.Events().Ready(),
		ended:   make(map[birth]*ending),
		cgroups: cgroupPaths{mount: cgroupMount},
		ticks:   ticks{nanos: uint64(time.Second) / proc.clock.TicksPerSecond(), offset: bootOffset(), page: proc.page},
	}
	if err := k.try(); err != nil {
		return nil, errors.Join(err, programs.Close())
	}
	debug.FreeOSMemory() // of the kernel's types, some ten MiB, nothing is needed any more
	return k, nil
}

// try reads everything once and looks whether we ourselves are as /proc says.
func (k *kernelSource) try() error {
	reader := procfs.NewReader(k.mount)
	text, err := reader.Read(os.Getpid(), "stat")
	if err != nil {
		return err
	}
	var st procfs.Stat
	if err := procfs.ParseStat(text, &st); err != nil {
		return err
	}
	if err := k.scan(); err != nil {
		return err
	}
	at, found := slices.BinarySearch(k.pids, os.Getpid())
	if !found {
		return errors.New("the kernel's programs do not see us")
	}
	own := k.sample(k.processes[at], nil)
	if own.Start != st.StartTicks || own.PPID != st.PPID || own.Comm != string(st.Comm) {
		return fmt.Errorf("the kernel's programs do not see us as /proc does: %q started at tick %d, and not %q at %d",
			own.Comm, own.Start, st.Comm, st.StartTicks)
	}
	return nil
}

// Kind implements Source.
func (k *kernelSource) Kind() (Kind, error) {
	if k.programs == nil {
		return KindProcfs, k.notBPF
	}
	return KindBPF, nil
}

// ExitsPending implements Source.
func (k *kernelSource) ExitsPending() <-chan struct{} {
	if k.failed.Load() {
		return nil
	}
	return k.exiting
}

// Close implements Source.
func (k *kernelSource) Close() error {
	if k.programs == nil {
		return k.source.Close()
	}
	return errors.Join(k.programs.Close(), k.source.Close())
}

// Walk implements Source.
func (k *kernelSource) Walk(ctx context.Context, snap *Snapshot) error {
	if k.programs == nil {
		return k.source.Walk(ctx, snap)
	}
	k.startClock(snap)
	// What has been reaped when the look begins is not seen by it, and what is
	// reaped later is not told of before the next walk: nothing is ever both.
	err := k.takeExits(snap)
	if err == nil {
		err = k.look(snap)
	}
	if k.owed = err != nil; k.owed && host.ResourceExhausted(err) {
		return fmt.Errorf("platform: %w", err) // the programs are as good as before
	}
	if err != nil {
		k.failed.Store(true)
		k.notBPF = errors.Join(err, k.programs.Close())
		k.programs = nil
		return k.source.Walk(ctx, snap)
	}
	snap.Source = string(KindBPF)
	k.giveUp(snap)
	k.carryOut(ctx, snap, true)
	return nil
}

// Complete implements Source.
func (k *kernelSource) Complete(ctx context.Context, snap *Snapshot) {
	if k.programs == nil {
		k.source.Complete(ctx, snap)
		return
	}
	k.todo = k.todo[:0]
	for i := range snap.Samples {
		s := &snap.Samples[i]
		if s.Want&^(s.Have|s.Lost|s.Skipped)&(FieldSmaps|FieldWChan) != 0 {
			k.plan(s, nil, i)
		}
	}
	k.carryOut(ctx, snap, false)
}

// Identify implements Source. Of a zombie /proc has forgotten everything.
func (k *kernelSource) Identify(ctx context.Context, s *Sample, want IdentityFields) (Identity, error) {
	if s.State == 'Z' {
		if e := k.lastWords(s.ID); e != nil {
			return k.ExitIdentity(e, want), nil
		}
	}
	id, err := k.source.Identify(ctx, s, want)
	if last := len(id.Cgroups) - 1; err == nil && last >= 0 { // that of version 2 comes last
		k.cgroups.keep(s.Cgroup, id.Cgroups[last])
	}
	return id, err
}

// look fills snap with all processes, and finds out what to read of them from
// /proc.
func (k *kernelSource) look(snap *Snapshot) error {
	if err := k.scan(); err != nil {
		return err
	}
	concealed, err := k.conceals()
	if err != nil {
		return err
	}
	snap.begin(k.pids)
	snap.HidePID = concealed
	k.families, k.todo = k.families[:0], k.todo[:0]
	k.turns = turns{walk: snap.walks}
	for i, p := range k.processes {
		prev, s := &k.prev, &snap.Samples[i]
		if *prev = *s; prev.blank() || prev.Serial != p.Start {
			prev = nil
		}
		*s = k.sample(p, prev)
		if p.Threads > 1 { // its threads are still to come
			k.families = append(k.families, newFamily(i, p, prev))
			continue
		}
		s.use(&p.Usage, p.Flags, prev)
		k.plan(s, prev, i)
	}
	k.deal(snap)
	return nil
}

// conceals reports whether the process file system keeps the processes of others
// from us. The programs see them all, but their names come from there, and one
// whose names cannot be read looks as if it had just ended. Every PID namespace has
// a first process, and reading its status waits for nobody.
func (k *kernelSource) conceals() (bool, error) {
	_, err := k.lister.Read(1, "status")
	if err != nil && host.ResourceExhausted(err) {
		return false, err
	}
	return errors.Is(err, procfs.ErrAccessDenied) || errors.Is(err, fs.ErrNotExist), nil
}

// exitDead is the state of a task that is being reaped (EXIT_DEAD, linux/sched.h).
// What it has used may be told twice, by itself and by its process; what tells of
// its end, or has told, knows better.
const exitDead = 0x10

// scan takes down what the kernel's programs tell.
func (k *kernelSource) scan() error {
	k.pids, k.processes, k.threads = k.pids[:0], k.processes[:0], k.threads[:0]
	if err := k.programs.ScanTasks(&k.scanner); err != nil {
		return err
	}
	defer k.scanner.Stop()
	for k.scanner.Scan() {
		if t := k.scanner.Thread(); t != nil {
			k.threads = append(k.threads, t)
			continue
		}
		p := k.scanner.Process()
		if p.ExitState == exitDead {
			continue
		}
		if n := len(k.pids); n > 0 && k.pids[n-1] >= int(p.Pid) {
			return fmt.Errorf("the kernel's programs tell of process %d after %d", p.Pid, k.pids[n-1])
		}
		k.pids = append(k.pids, int(p.Pid))
		k.processes = append(k.processes, p)
	}
	if err := k.scanner.Err(); err != nil {
		return err
	}
	if len(k.pids) == 0 {
		return errors.New("the kernel's programs see no process")
	}
	return nil
}

// bootOffset returns by how many nanoseconds our time namespace shifts the time
// since boot.
func bootOffset() int64 {
	text, err := os.ReadFile("/proc/self/timens_offsets")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		var clock string
		var seconds, nanos int64
		if n, _ := fmt.Sscan(line, &clock, &seconds, &nanos); n == 3 && clock == "boottime" {
			return seconds*int64(time.Second) + nanos
		}
	}
	return 0
}
