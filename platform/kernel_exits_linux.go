//go:build amd64 || arm64

package platform

import (
	"cmp"

	"github.com/seed57308aee/process_exporter/platform/bpf"
)

// A birth names a process for the whole machine: the kernel's programs tell of
// its end when it has lost the number that it had in our PID namespace.
type birth struct {
	tgid  uint32
	start uint64 // nanoseconds after boot
}

// takeExits turns the events since the last walk into snap.Exits. A process
// ends in two steps: its last thread ends, which is when it can still be asked
// for its name, and its parent takes note, after which its counters are final.
func (k *kernelSource) takeExits(snap *Snapshot) (err error) {
	k.zombies = nil
	if !k.owed {
		k.exits = k.exits[:0]
		k.spare = append(k.spare, k.told[:min(len(k.told), maxSpare-len(k.spare))]...)
		clear(k.told)
		k.told = k.told[:0]
	}
	if k.batch, err = k.programs.Events().Take(k.batch); err != nil {
		return err
	}
	for k.batch.Next() {
		if w := k.batch.IdentityRecord(); w != nil {
			k.remember(w, snap.Now)
		} else if f := k.batch.FreeRecord(); f != nil {
			k.finish(f)
		}
	}
	snap.LostExitEvents, err = k.programs.LostEvents()
	return err
}

// remember keeps the words of a process until it is reaped. An old kernel has
// no command line any more for one that ends: what it said at exec stays.
func (k *kernelSource) remember(w *bpf.IdentityRecord, now uint64) {
	key := birth{w.Tgid, w.Start}
	e := k.ended[key]
	if e == nil {
		e = k.newEnding()
		k.ended[key] = e
	}
	if w.ArgsLen > 0 || e.ExecID != w.ExecId+1 {
		e.Args = e.Args[:0]
		for _, c := range w.Args[:w.ArgsLen] {
			e.Args = append(e.Args, byte(c))
		}
	}
	e.ID = k.ticks.id(w.Pid, w.Start)
	e.PPID, e.EUID, e.ExecID, e.Cgroup = int(w.Ppid), w.Uid, w.ExecId+1, w.Cgroup
	e.Comm = commOf(&w.Comm, cmp.Or(e.Comm, e.last))
	e.heard = now
	if w.Kind == bpf.KindExit {
		e.at = now
		e.end(&w.Usage, w.Flags)
		e.Status, e.OOMKilled, e.PeakResidentBytes = w.ExitCode, w.OomKilled != 0, w.PeakRss*k.ticks.page
	}
}

// An ending is a process that has ended, as far as is known.
type ending struct {
	Exit
	at    uint64 // ticks after boot; 0 if it has not, but has become another program
	heard uint64 // when we were last told of it
	last  string // a name that the memory held before, and that comes again most of the time
}

// end takes over what the process has used.
func (e *Exit) end(u *bpf.Usage, flags uint32) {
	e.State = 'X'
	e.Have = FieldStat | FieldStatus
	e.use(u, flags, nil)
}

// finish adds a process that was reaped to the exits.
func (k *kernelSource) finish(f *bpf.FreeRecord) {
	key := birth{f.Tgid, f.Start}
	e := k.ended[key]
	if e == nil { // it ended before we came, or that is lost, or it has been given up
		e = k.newEnding()
		e.ID = k.ticks.id(int32(f.Tgid), f.Start)
	}
	delete(k.ended, key)
	e.ExecID, e.EventLost = f.ExecId+1, f.Flags&bpf.EventLost != 0
	e.end(&f.Usage, f.Flags)
	e.Status, e.OOMKilled, e.PeakResidentBytes = f.ExitCode, f.OomKilled != 0, f.PeakRss*k.ticks.page
	k.tell(e)
}

// maxSpare is for how many ends memory is kept after they were told of.
const maxSpare = 4096

// newEnding returns room for a process that has ended, with the memory of one
// that was told of before.
func (k *kernelSource) newEnding() *ending {
	last := len(k.spare) - 1
	if last < 0 {
		return new(ending)
	}
	e := k.spare[last]
	k.spare[last] = nil
	k.spare = k.spare[:last]
	*e = ending{Exit: Exit{Args: e.Args[:0]}, last: cmp.Or(e.Comm, e.last)}
	return e
}

// tell adds a process to the exits. Its memory is used again after the next
// walk, which is how long the exits are valid.
func (k *kernelSource) tell(e *ending) {
	k.exits = append(k.exits, e.Exit)
	k.told = append(k.told, e)
}

// patienceTicks is how long after its end a process that is not there any more
// is waited for. Few in a thousand come later, or not at all: the kernel tells
// of them when it has nothing better to do.
const patienceTicks = 200

// giveUp adds to the exits those of whom nothing more was heard, with what they
// had used when their last thread ended.
func (k *kernelSource) giveUp(snap *Snapshot) {
	for key, e := range k.ended {
		if e.at == 0 || snap.Now < e.at+patienceTicks {
			continue
		}
		if at := snap.Index(e.PID); at >= 0 && snap.Samples[at].ID == e.ID {
			continue // a zombie
		}
		delete(k.ended, key)
		k.tell(e)
		if k.programs != nil {
			k.programs.Forget(key.tgid, key.start)
		}
	}
	snap.Exits = k.exits
	k.forget(snap)
}

// forget drops the words of programs whose end was lost. Those that are known to
// have ended stay: where thousands end in a second, the kernel reaps them late. So do
// those of whom was heard just now: of one that ended since, that comes next.
func (k *kernelSource) forget(snap *Snapshot) {
	if len(k.ended) < 1024+2*len(snap.Samples) {
		return
	}
	for key, e := range k.ended {
		if e.at != 0 || snap.Now < e.heard+patienceTicks {
			continue
		}
		if at := snap.Index(e.PID); at < 0 || snap.Samples[at].ID != e.ID {
			delete(k.ended, key)
		}
	}
}

// lastWords returns what is known of a process that has ended and was not
// reaped, of which there may be thousands.
func (k *kernelSource) lastWords(id ID) *Exit {
	if k.zombies == nil {
		k.zombies = make(map[ID]*ending, len(k.ended))
		for _, e := range k.ended {
			k.zombies[e.ID] = e
		}
	}
	if e := k.zombies[id]; e != nil {
		return &e.Exit
	}
	return nil
}

// ExitIdentity implements Source.
func (k *kernelSource) ExitIdentity(e *Exit, want IdentityFields) Identity {
	id := k.source.ExitIdentity(e, want)
	if want&IdentityCgroups != 0 {
		if path, ok := k.cgroups.path(e.Cgroup); ok {
			id.Cgroups = []string{path}
		}
	}
	return id
}
