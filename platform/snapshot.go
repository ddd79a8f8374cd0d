package platform

import (
	"slices"
	"sort"
)

// begin lines the Samples up for a new walk over pids, which ascend. The Sample
// of a process that was there last time is what the walk compares with until it
// takes its place; a process that is new has a blank one.
func (s *Snapshot) begin(pids []int) {
	s.walks++
	s.turn = 1 - s.turn
	if s.renew > 0 {
		// A reader that hangs may still look at the old memory, whenever the
		// kernel lets it go on: it is left to that reader.
		s.renew--
		s.tasks[s.turn] = nil
	}
	s.tasks[s.turn] = s.tasks[s.turn][:0]
	s.Hidden, s.HidePID, s.Unresponsive, s.Partial = 0, false, 0, false

	at := 0
	s.Samples = slices.DeleteFunc(s.Samples, func(old Sample) bool {
		for at < len(pids) && pids[at] < old.PID {
			at++
		}
		return at == len(pids) || pids[at] != old.PID
	})
	known := s.Samples
	if cap(s.Samples) < len(pids) { // once, and with little to spare
		s.Samples = make([]Sample, 0, len(pids)+len(pids)/32)
	}
	s.Samples = s.Samples[:len(pids)]
	// From the end, so that none is overwritten before it has moved.
	for i := len(pids) - 1; i >= 0; i-- {
		if last := len(known) - 1; last >= 0 && known[last].PID == pids[i] {
			s.Samples[i] = known[last]
			known = known[:last]
		} else {
			s.Samples[i] = Sample{ID: ID{PID: pids[i]}}
		}
	}
}

// finish takes out what was dropped.
func (s *Snapshot) finish() {
	s.Samples = slices.DeleteFunc(s.Samples, func(p Sample) bool { return p.PID == 0 })
}

// put makes a copy of sample, and of its tasks, the one at index i.
func (s *Snapshot) put(i int, sample *Sample) {
	s.keepTasks(sample)
	s.Samples[i] = *sample
}

// drop makes finish take out the Sample at index i.
func (s *Snapshot) drop(i int) { s.Samples[i] = Sample{} }

func (s *Snapshot) keepTasks(sample *Sample) {
	if len(sample.Tasks) == 0 {
		sample.Tasks = nil
		return
	}
	arena := s.tasks[s.turn]
	from := len(arena)
	arena = append(arena, sample.Tasks...)
	sample.Tasks = arena[from:len(arena):len(arena)]
	s.tasks[s.turn] = arena
}

// hold keeps the place of a process that could not be read, so that nobody
// takes it for dead. One that was never read has no identity to hold.
func (s *Snapshot) hold(i int) {
	if p := &s.Samples[i]; p.blank() {
		s.drop(i)
	} else {
		*p = p.unread()
	}
}

// blank reports whether nothing was ever read about the process.
func (s *Sample) blank() bool { return s.Have|s.Lost == 0 }

// unread returns s as it stands for a process about which nothing was read.
func (s *Sample) unread() Sample {
	held := *s
	held.Have, held.Lost, held.Skipped, held.Tasks = 0, held.Want|FieldStat, 0, nil
	held.pulse = pulse{}
	return held
}

// Index returns where in Samples the process of a PID stands, or -1.
func (s *Snapshot) Index(pid int) int {
	at := sort.Search(len(s.Samples), func(i int) bool { return s.Samples[i].PID >= pid })
	if at == len(s.Samples) || s.Samples[at].PID != pid {
		return -1
	}
	return at
}

// A pulse is what tells whether a process or thread has run.
type pulse struct {
	beat  uint64 // CPU clock or schedstat, read before all other files; 0 if unknown
	pages uint32 // resident, of the process: 16 TiB of them
	still bool   // it slept through the last walk; not of processes with a clock
	runs  uint8  // between how many walks in a row its main thread has run, at most restless
}
