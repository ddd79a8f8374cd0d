package grouping

import "github.com/seed57308aee/process_exporter/platform"

// The states of a process.
const (
	unmatched = iota // no group, and looked at again: new, or rechecked
	ignored          // no group, and left alone until it becomes another program
	tracked          // in a group
)

// A record is what the Tracker knows of one live process.
type record struct {
	id        platform.ID
	ppid      int // its parent when it joined the group of an ancestor
	state     uint8
	inherited bool // in the group of an ancestor, not by a rule
	orphan    bool // no rule wants it; its ancestors decide, within one update
	execed    bool // it has become another program since the last update
	replaced  bool // perhaps by another thread than the main one, whose context switches are not known yet
	doubt     bool // its names have not been read, or may have changed
	young     bool // in doubt for its youth only
	kernel    bool // a thread of the kernel, whose end nobody tells of
	credit    bool // born while we watched: what it used before first sight counts too

	stale bool // it has run since its words were last looked at

	low  regression // found by this walk
	fell regression // found by the walk before

	exec uint64 // as of the last time its names were in doubt
	comm string

	sum    uint64 // of its words when it was named, see [platform.Identity]; 0 if it was not
	euid   uint32 // the same
	cgroup uint64 // the same, 0 if unknown

	rule  *Rule // that wants it, or its ancestor; nil if none does
	group *group
	have  platform.Fields // the parts of base that were read at least once
	cpu   uint64          // nanoseconds, user and system, as last read
	base  Counters        // up to here everything is accounted for
	tasks []task          // ascending by tid
}

// A task is what the Tracker knows of one thread.
type task struct {
	tid    int
	start  uint64
	credit bool // what it used before it was first read counts too
	comm   string
	group  *threadGroup // nil if not worked out
	have   platform.Fields
	base   Counters
}

// Counters are the totals that only grow.
type Counters struct {
	UserNanos, SystemNanos                  uint64
	MinorFaults, MajorFaults                uint64
	ReadBytes, WriteBytes                   uint64
	VoluntarySwitches, NonvoluntarySwitches uint64
	RunWaitNanos, BlockWaitNanos            uint64
}

func (c *Counters) add(d *Counters) {
	c.UserNanos += d.UserNanos
	c.SystemNanos += d.SystemNanos
	c.MinorFaults += d.MinorFaults
	c.MajorFaults += d.MajorFaults
	c.ReadBytes += d.ReadBytes
	c.WriteBytes += d.WriteBytes
	c.RunWaitNanos += d.RunWaitNanos
	c.BlockWaitNanos += d.BlockWaitNanos
	c.addSwitches(d)
}

func (c *Counters) addSwitches(d *Counters) {
	c.VoluntarySwitches += d.VoluntarySwitches
	c.NonvoluntarySwitches += d.NonvoluntarySwitches
}

// continues reports whether s is the process of r. PID and start nearly say
// so, but ticks are long: a PID given out twice within one is told by its CPU
// time, which never falls. A process that is being reaped shows no threads and
// no time at all, and another Source may count in larger steps.
func (r *record) continues(s *platform.Sample, switched bool) bool {
	if r.id != s.ID || switched {
		return r.id == s.ID
	}
	known := r.have&s.Have&platform.FieldStat != 0 && s.Threads > 0
	return !known || s.UserNanos+s.SystemNanos >= r.cpu
}

// A meter reads counters of one kind.
type meter struct {
	known  bool // they have been read before
	credit bool // what they show when they are first read counts too
	kind   regression
	low    *regression // gets kind when one has fallen
}

// growth returns what a counter has grown by since *base, and moves *base on.
// A counter met for the first time counts in full if credit says so, else not
// at all. One that falls has not grown, and grows again only past its highest.
func (m meter) growth(base *uint64, now uint64) uint64 {
	was := *base
	if !m.known {
		*base = now
		if m.credit {
			return now
		}
		return 0
	}
	if now <= was {
		if now < was {
			*m.low |= m.kind
		}
		return 0
	}
	*base = now
	return now - was
}

// advance works out what every process used since the last walk and adds it to
// its group.
func (t *Tracker) advance() {
	for i := range t.records {
		r, s := &t.records[i], &t.snap.Samples[i]
		switch {
		case r.state == tracked:
			t.advanceProcess(r, s)
		case !r.doubt: // unwanted: if it joins a group later, its past stays out
			d := r.stat(s)
			r.credit = false
			t.coverage.UnmatchedNanos += d.UserNanos + d.SystemNanos
			r.stale = r.stale || d.UserNanos+d.SystemNanos > 0
		}
		if r.low|r.fell != 0 {
			t.health.Regressions.note(r, s)
		}
	}
}

// stat returns the growth of what stat says.
func (r *record) stat(s *platform.Sample) (d Counters) {
	if s.Have&platform.FieldStat == 0 {
		return d
	}
	known := r.have&platform.FieldStat != 0
	r.have |= platform.FieldStat
	r.cpu = s.UserNanos + s.SystemNanos
	cpu, faults := meter{known, r.credit, fellCPU, &r.low}, meter{known, r.credit, fellFaults, &r.low}
	d.UserNanos = cpu.growth(&r.base.UserNanos, s.UserNanos)
	d.SystemNanos = cpu.growth(&r.base.SystemNanos, s.SystemNanos)
	d.MinorFaults = faults.growth(&r.base.MinorFaults, s.MinorFaults)
	d.MajorFaults = faults.growth(&r.base.MajorFaults, s.MajorFaults)
	return d
}

func (t *Tracker) advanceProcess(r *record, s *platform.Sample) {
	g := r.group
	if (r.have^s.Have)&platform.FieldSwitches != 0 && r.have&s.Have&platform.FieldStatus != 0 {
		// Another Source counts other threads: what they did in between is left out.
		r.base.VoluntarySwitches, r.base.NonvoluntarySwitches = s.VoluntarySwitches, s.NonvoluntarySwitches
	}
	if r.execed {
		r.fell |= fellSwitches // those of another thread may be lower
	}
	if r.execed && len(r.tasks) > 0 && s.Have&platform.FieldSwitches == 0 {
		// The thread that calls execve takes over the id of the main thread,
		// and brings its own context switches along, which were counted.
		r.replaced, r.tasks = true, r.tasks[:0]
	}
	if r.replaced && s.Have&(platform.FieldStatus|platform.FieldSwitches) == platform.FieldStatus {
		r.base.VoluntarySwitches, r.base.NonvoluntarySwitches = s.VoluntarySwitches, s.NonvoluntarySwitches
		r.have |= platform.FieldStatus
		r.replaced = false
	}
	r.execed = false
	d := r.stat(s)
	if s.Have&platform.FieldIO != 0 {
		io := meter{r.have&platform.FieldIO != 0, r.credit, fellIO, &r.low}
		d.ReadBytes = io.growth(&r.base.ReadBytes, s.ReadBytes)
		d.WriteBytes = io.growth(&r.base.WriteBytes, s.WriteBytes)
	}
	if s.Have&platform.FieldStatus != 0 {
		switches := meter{r.have&platform.FieldStatus != 0, r.credit, fellSwitches, &r.low}
		d.VoluntarySwitches = switches.growth(&r.base.VoluntarySwitches, s.VoluntarySwitches)
		d.NonvoluntarySwitches = switches.growth(&r.base.NonvoluntarySwitches, s.NonvoluntarySwitches)
	}
	if s.Have&platform.FieldRunWait != 0 {
		d.RunWaitNanos = meter{r.have&platform.FieldRunWait != 0, r.credit, 0, &r.low}.growth(&r.base.RunWaitNanos, s.RunWaitNanos)
	}
	if s.Have&platform.FieldBlockWait != 0 {
		d.BlockWaitNanos = meter{r.have&platform.FieldBlockWait != 0, r.credit, 0, &r.low}.growth(&r.base.BlockWaitNanos, s.BlockWaitNanos)
	}
	if s.Have&platform.FieldTasks != 0 {
		t.advanceTasks(r, s, &d)
	}
	if s.Have&platform.FieldStatus != 0 {
		r.have &^= platform.FieldSwitches
	}
	r.have |= s.Have
	g.total.add(&d)
	g.counted |= s.Have
	r.stale = r.stale || d.UserNanos+d.SystemNanos+d.VoluntarySwitches+d.NonvoluntarySwitches > 0
	if r.rule.Top > 0 && s.Threads > 0 {
		g.top.offer(r, s, &d)
	}
}

// advanceTasks works out what every thread used since the last walk. The
// kernel counts context switches by thread and forgets those of a thread that
// exits, so that their sum may fall: each thread has its own base. Those of the
// main thread are in d already.
func (t *Tracker) advanceTasks(r *record, s *platform.Sample, d *Counters) {
	t.alignTasks(r, s)
	for i := range s.Tasks {
		now, n := &s.Tasks[i], &r.tasks[i]
		grown := n.advance(now, &r.low)
		if now.TID != s.PID && s.Have&platform.FieldSwitches == 0 {
			d.addSwitches(&grown)
		}
		if now.Have&platform.FieldTaskUsage != 0 {
			if n.group == nil || n.group.forgotten || n.comm != now.Comm {
				n.comm, n.group = now.Comm, t.thread(r.group, now.Comm)
			}
			n.group.count++
			n.group.total.add(&grown)
			n.group.counted |= now.Have
		}
	}
}

// alignTasks gives r a task for each thread of s, in their order. Most often it
// has them.
func (t *Tracker) alignTasks(r *record, s *platform.Sample) {
	same := 0
	for same < len(s.Tasks) && same < len(r.tasks) && r.tasks[same].is(&s.Tasks[same]) {
		same++
	}
	if same == len(s.Tasks) {
		r.tasks = r.tasks[:same]
		return
	}
	old := r.tasks[same:]
	t.tasks = t.tasks[:0]
	for i := same; i < len(s.Tasks); i++ {
		now := &s.Tasks[i]
		for len(old) > 0 && old[0].tid < now.TID {
			old = old[1:]
		}
		if len(old) > 0 && old[0].is(now) {
			t.tasks = append(t.tasks, old[0])
			continue
		}
		// A thread that was not there at the last look was born since. The
		// main thread was there, alone: the process has its past.
		credit := r.credit
		if r.have&platform.FieldTasks != 0 {
			credit = now.TID != s.PID
		}
		t.tasks = append(t.tasks, task{tid: now.TID, start: now.Start, credit: credit})
	}
	r.tasks = append(r.tasks[:same], t.tasks...)
}

// is reports whether now is the same thread.
func (n *task) is(now *platform.Task) bool { return n.tid == now.TID && n.start == now.Start }

// advance returns what a thread used since its base, and moves that on. What has
// fallen is told in low.
func (n *task) advance(now *platform.Task, low *regression) (d Counters) {
	if now.Have&platform.FieldStatus != 0 {
		switches := meter{n.have&platform.FieldStatus != 0, n.credit, fellSwitches, low}
		d.VoluntarySwitches = switches.growth(&n.base.VoluntarySwitches, now.VoluntarySwitches)
		d.NonvoluntarySwitches = switches.growth(&n.base.NonvoluntarySwitches, now.NonvoluntarySwitches)
	}
	if now.Have&platform.FieldTaskUsage != 0 {
		known := n.have&platform.FieldTaskUsage != 0
		cpu, faults := meter{known, n.credit, fellCPU, low}, meter{known, n.credit, fellFaults, low}
		d.UserNanos = cpu.growth(&n.base.UserNanos, now.UserNanos)
		d.SystemNanos = cpu.growth(&n.base.SystemNanos, now.SystemNanos)
		d.MinorFaults = faults.growth(&n.base.MinorFaults, now.MinorFaults)
		d.MajorFaults = faults.growth(&n.base.MajorFaults, now.MajorFaults)
	}
	if now.Have&platform.FieldIO != 0 {
		io := meter{n.have&platform.FieldIO != 0, n.credit, fellIO, low}
		d.ReadBytes = io.growth(&n.base.ReadBytes, now.ReadBytes)
		d.WriteBytes = io.growth(&n.base.WriteBytes, now.WriteBytes)
	}
	n.have |= now.Have
	return d
}
