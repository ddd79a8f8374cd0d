package platform

import "sort"

// begin makes room for a new walk over so many processes. What the last walk found becomes what this
// one compares with, and the memory of the walk before is used again.
func (s *Snapshot) begin(processes int) {
	s.walks++
	s.last, s.Samples = s.Samples, s.last[:0]
	s.turn = 1 - s.turn
	if s.renew > 0 {
		// A reader that hangs may still look at the old memory, whenever the
		// kernel lets it go on: it is left to that reader.
		s.renew--
		s.Samples, s.tasks[s.turn] = nil, nil
	}
	if cap(s.Samples) < processes { // once, rather than by doubling
		s.Samples = make([]Sample, 0, processes+processes/8)
	}
	s.tasks[s.turn] = s.tasks[s.turn][:0]
	s.Hidden, s.Blocked, s.Partial = 0, 0, false
}

// add appends a copy of sample and of its tasks.
func (s *Snapshot) add(sample *Sample) {
	s.keepTasks(sample)
	s.Samples = append(s.Samples, *sample)
}

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

// hold appends the place of a process that could not be read, so that nobody
// takes it for dead. One that was never read has no identity to hold.
func (s *Snapshot) hold(last *Sample) {
	if last == nil {
		return
	}
	s.Samples = append(s.Samples, last.unread())
}

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
	pages uint64 // resident, of the process
	still bool   // it slept through the last walk; not of processes with a clock
}

// A cursor finds Samples by ascending PID.
type cursor struct {
	list []Sample
	at   int
}

// find returns the Sample of pid, or nil. No pid may be less than the one
// asked for before.
func (c *cursor) find(pid int) *Sample {
	for c.at < len(c.list) && c.list[c.at].PID < pid {
		c.at++
	}
	if c.at < len(c.list) && c.list[c.at].PID == pid {
		return &c.list[c.at]
	}
	return nil
}
