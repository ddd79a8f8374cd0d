package grouping

import "github.com/seed57308aee/process_exporter/platform"

// accountTasks adds the usage of every thread to the thread names of its group, and
// the context switches of threads other than the main thread to d. The kernel counts
// context switches by thread and drops those of a thread that exits, so their sum may
// decrease: each thread has its own base. d contains those of the main thread.
func (t *Tracker) accountTasks(r *processRecord, s *platform.Sample, d *Counters) {
	t.alignTasks(r, s)
	for i := range s.Tasks {
		now, n := &s.Tasks[i], &r.tasks[i]
		n.start = now.Start
		if now.Have&platform.FieldTaskUsage != 0 && (n.group == nil || n.group.removed || n.comm != now.Comm) {
			n.comm, n.group = now.Comm, t.threadsNamed(r.group, now.Comm)
			n.group.start.note(t.threadCountsFrom(r, n))
		}
		difference := n.advance(now, &r.decreased)
		if now.TID != s.PID && s.Have&platform.FieldSwitchesOfAllThreads == 0 {
			d.addSwitches(&difference)
		}
		if now.Have&platform.FieldTaskUsage != 0 {
			n.group.count++
			n.group.total.add(&difference)
			n.group.counterFields |= now.Have
		}
	}
}

// alignTasks moves the tasks of r to the indexes of the threads of s, and adds a
// threadRecord for each new thread. Most calls change nothing.
func (t *Tracker) alignTasks(r *processRecord, s *platform.Sample) {
	same := 0
	for same < len(s.Tasks) && same < len(r.tasks) && r.tasks[same].isSameThread(&s.Tasks[same]) {
		same++
	}
	if same == len(s.Tasks) {
		r.tasks = r.tasks[:same]
		return
	}
	old := r.tasks[same:]
	t.taskBuffer = t.taskBuffer[:0]
	for i := same; i < len(s.Tasks); i++ {
		now := &s.Tasks[i]
		for len(old) > 0 && old[0].tid < now.TID {
			old = old[1:]
		}
		if len(old) > 0 && old[0].isSameThread(now) {
			t.taskBuffer = append(t.taskBuffer, old[0])
			continue
		}
		// A thread that the previous sample did not have has started since, except
		// the main thread: a process of one thread has no tasks.
		countFromStart := r.countFromStart
		if r.have&platform.FieldTasks != 0 {
			countFromStart = now.TID != s.PID
		}
		t.taskBuffer = append(t.taskBuffer, threadRecord{tid: now.TID, start: now.Start, countFromStart: countFromStart})
	}
	r.tasks = append(r.tasks[:same], t.taskBuffer...)
}

// advance returns the differences of the counters of a thread since its base, and
// sets the base to the new values. It adds counters that decreased to decreased, unless
// they also decreased when they were read last.
func (n *threadRecord) advance(now *platform.Task, decreased *counterSet) (d Counters) {
	var lower, compared counterSet
	if now.Have&platform.FieldStatus != 0 {
		switches := counterDelta{n.have&platform.FieldStatus != 0, n.countFromStart, switchCounters, &lower}
		d.VoluntarySwitches = switches.difference(&n.base.VoluntarySwitches, now.VoluntarySwitches)
		d.NonvoluntarySwitches = switches.difference(&n.base.NonvoluntarySwitches, now.NonvoluntarySwitches)
		compared |= switchCounters
	}
	if now.Have&platform.FieldTaskUsage != 0 {
		known := n.have&platform.FieldTaskUsage != 0
		cpu := counterDelta{known, n.countFromStart, cpuCounters, &lower}
		faults := counterDelta{known, n.countFromStart, faultCounters, &lower}
		d.UserNanos, d.SystemNanos = cpu.cpuDifference(&n.base, now.UserNanos, now.SystemNanos)
		d.MinorFaults = faults.difference(&n.base.MinorFaults, now.MinorFaults)
		d.MajorFaults = faults.difference(&n.base.MajorFaults, now.MajorFaults)
		compared |= cpuCounters | faultCounters
	}
	if now.Have&platform.FieldIO != 0 {
		io := counterDelta{n.have&platform.FieldIO != 0, n.countFromStart, ioCounters, &lower}
		d.ReadBytes = io.difference(&n.base.ReadBytes, now.ReadBytes)
		d.WriteBytes = io.difference(&n.base.WriteBytes, now.WriteBytes)
		compared |= ioCounters
	}
	if lower|n.decreased != 0 {
		*decreased |= lower &^ n.decreased
		n.decreased = n.decreased&^compared | lower
	}
	n.have |= now.Have
	return d
}
