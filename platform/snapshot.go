package platform

import (
	"sort"
	"time"
)

// A Snapshot holds the result of a walk. Its owner passes the same Snapshot to every
// walk, which reuses its memory and compares the processes with those of the last walk.
type Snapshot struct {
	Samples []Sample // one per live process, ascending by PID

	// SkipSmaps makes Walk and Complete keep the known values of FieldSmaps and read no others. The
	// caller sets it before Walk. A later walk without it reads what is missing.
	SkipSmaps bool

	Now            uint64 // start of the walk, in clock ticks after boot
	TicksPerSecond uint64
	BootTime       time.Time // boot time of the machine; it does not follow small clock steps
	Time           time.Time // wall clock at Now
	WithoutSample  int       // live processes that have no Sample, because no walk could read their stat
	HidePID        bool      // the process file system hides processes of other users (hidepid)
	Unreported     int       // processes that /proc lists and the BPF programs do not report
	UnreportedList string    // PID and name of the first of them, such as "1 (init), 7 (cron)"
	Unresponsive   int       // processes that were skipped because a read of their files blocks or may block
	Incomplete     bool      // the deadline, or too many reads that block, ended the walk early: the rest was not read

	Kind           SourceKind // what the walk read: SourceProcfs or SourceBPF
	Exits          []Exit     // processes reaped since the last walk, in that order, if the Source reports them
	LostExitEvents uint64     // since the start, exit events dropped because the ring buffer was full

	// Both sources use the fields below.

	walks     uint64    // number of walks so far
	arenas    [2][]Task // memory of Sample.Tasks, of this walk and of the last one
	arena     int       // index in arenas of this walk
	newArenas int       // number of following walks that allocate a new arena
}

// begin prepares the Samples for a walk over pids, which ascend. A process of the last
// walk keeps its Sample until the walk replaces it. A new process has a blank Sample.
func (s *Snapshot) begin(pids []int) {
	s.walks++
	s.arena = 1 - s.arena
	if s.newArenas > 0 {
		// An abandoned worker may still read the old memory when its read returns.
		s.newArenas--
		s.arenas[s.arena] = nil
	}
	s.arenas[s.arena] = s.arenas[s.arena][:0]
	s.WithoutSample, s.HidePID, s.Unreported, s.UnreportedList, s.Unresponsive, s.Incomplete = 0, false, 0, "", 0, false
	s.Samples = alignByPID(s.Samples, pids, samplePID, func(pid int) Sample { return Sample{ID: ID{PID: pid}} })
}

func samplePID(s *Sample) int { return s.PID }

// finish deletes the Samples that remove has marked.
func (s *Snapshot) finish() { s.Samples = deleteWithoutPID(s.Samples, samplePID) }

// dropUnwanted removes the fields of every Sample that are not in Want.
func (s *Snapshot) dropUnwanted() {
	for i := range s.Samples {
		s.Samples[i].dropUnwanted()
	}
}

// remove marks the Sample at index i for finish.
func (s *Snapshot) remove(i int) { s.Samples[i] = Sample{} }

// storeTasks copies the Tasks of a Sample to the memory of the Snapshot.
func (s *Snapshot) storeTasks(sample *Sample) {
	sample.Tasks = appendToArena(&s.arenas[s.arena], sample.Tasks)
}

// Index returns the index in Samples of the process with a PID, or -1.
func (s *Snapshot) Index(pid int) int {
	at := sort.Search(len(s.Samples), func(i int) bool { return s.Samples[i].PID >= pid })
	if at == len(s.Samples) || s.Samples[at].PID != pid {
		return -1
	}
	return at
}

// alignByPID returns one item per PID of pids: the item of old with that PID, or
// blank(pid). Both lists ascend by PID. It reuses the memory of old.
func alignByPID[T any](old []T, pids []int, pidOf func(*T) int, blank func(pid int) T) []T {
	n, at := 0, 0
	for i := range old {
		pid := pidOf(&old[i])
		for at < len(pids) && pids[at] < pid {
			at++
		}
		if at < len(pids) && pids[at] == pid {
			if n != i {
				old[n] = old[i]
			}
			n++
		}
	}
	clear(old[n:])
	known, items := old[:n], old
	if cap(items) < len(pids) { // with a small reserve, so that this is rare
		items = make([]T, 0, len(pids)+len(pids)/32)
	}
	items = items[:len(pids)]
	// Backwards, so that no item is overwritten before it has moved.
	for i := len(pids) - 1; i >= 0; i-- {
		last := len(known) - 1
		if last < 0 || pidOf(&known[last]) != pids[i] {
			items[i] = blank(pids[i])
			continue
		}
		if &items[i] != &known[last] {
			items[i] = known[last]
		}
		known = known[:last]
	}
	return items
}

// deleteWithoutPID deletes the items whose PID is 0.
func deleteWithoutPID[T any](items []T, pidOf func(*T) int) []T {
	n := 0
	for i := range items {
		if pidOf(&items[i]) == 0 {
			continue
		}
		if n != i {
			items[n] = items[i]
		}
		n++
	}
	clear(items[n:])
	return items[:n]
}

// appendToArena copies items to the end of an arena and returns the copy, or nil if there
// are no items.
func appendToArena[T any](arena *[]T, items []T) []T {
	if len(items) == 0 {
		return nil
	}
	from := len(*arena)
	*arena = append(*arena, items...)
	return (*arena)[from:len(*arena):len(*arena)]
}
