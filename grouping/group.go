package grouping

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"strings"

	"github.com/seed57308aee/process_exporter/platform"
)

// The states that threads are counted by, as [Group.States] has them.
const (
	Running = iota
	Sleeping
	Waiting // in an uninterruptible sleep, as on a disk
	Zombie
	Other
	NumStates
)

// A Group is what the processes of one group use. The counters are since the
// Tracker started, and hold the processes that have exited.
type Group struct {
	Name   string
	Labels []string // values of [Tracker.LabelNames]; nobody may change them
	Procs  int      // live processes
	Rule   *Rule    // that made it, nil of [OtherName] and where the rules have changed
	Expect *Expect  // how many there should be, nil if nobody says

	Regroups uint64 // processes that came from another group, or from none

	TopCPU, TopRSS []Member // the processes with the most of it, where the rule asks for them

	Counters
	Counted platform.Fields // the parts of Counters that were ever read

	// Watched says that the Source tells of every process that starts and ends,
	// and so what follows is known.
	Watched  bool
	Starts   uint64 // processes that joined, by birth or by execve(2)
	Exits    []Exit // processes that ended
	OOMKills uint64 // of those, for lack of memory

	// Known holds the parts of what follows that were read of at least one
	// process; of a group without processes everything is known to be 0.
	Known         platform.Fields
	ResidentBytes uint64
	VirtualBytes  uint64
	SwapBytes     uint64
	PSSBytes      uint64
	SwapPSSBytes  uint64
	USSBytes      uint64
	SmapsAge      float64 // seconds since the oldest of the three above was read
	FDs           uint64
	WorstFDRatio  float64 // open file descriptors by limit, of the process next to its limit
	OldestStart   int64   // Unix seconds; meaningless without processes
	NumThreads    int
	States        [NumStates]int // threads by state

	WChans     []WChan   // threads by the kernel function they sleep in
	Threads    []Thread  // by thread name, of processes with at least two threads
	Unreadable []FileGap // processes of which a file could not be read
}

// A WChan counts the threads that sleep in one kernel function.
type WChan struct {
	Name  string
	Count int
}

// A Thread is what the threads of one name use, in one group.
type Thread struct {
	Name  string
	Count int
	Counters
	Counted platform.Fields
}

// A FileGap counts the processes of a group that lack one part.
type FileGap struct {
	Field platform.Fields // one bit
	Procs int
}

// Key returns the [GroupKey] of the group.
func (g *Group) Key() string { return GroupKey(g.Name, g.Labels) }

// GroupKey returns a string that identifies a group by its name and the values
// of its labels. The byte 0xff separates them: it is never part of UTF-8, and so
// of no label value.
func GroupKey(name string, labels []string) string {
	if len(labels) == 0 {
		return name
	}
	return name + "\xff" + strings.Join(labels, "\xff")
}

// group is the Tracker's side of a Group.
type group struct {
	name     string
	labels   []string
	key      string // in Tracker.groups
	rule     *Rule  // that made it, nil after the rules have changed
	standing bool   // a rule has it even without processes
	blank    bool   // standing, and with labels that only processes know
	other    bool   // of what has no room elsewhere
	expect   *Expect
	wants    platform.Fields // what was read of any of its processes
	idle     uint64          // ticks after boot at which it was found without processes, 0 if it has some
	into     *group          // that took it over when the labels changed

	regroups uint64
	top      top

	total   Counters
	counted platform.Fields
	threads map[string]*threadGroup // by label

	starts, oomKills uint64
	exits            map[ending]uint64

	gauges Group // counted anew at every update; its slices are scratch
	gaps   [16]int
	start  uint64 // ticks, of the oldest process
	smaps  uint64 // ticks, of the oldest values from smaps
}

type threadGroup struct {
	name    string
	count   int // threads in this update
	total   Counters
	counted platform.Fields

	forgotten bool // no longer in group.threads
}

// sum counts what the processes of every group hold right now, and returns a
// copy of all groups, by name.
func (t *Tracker) sum() []Group {
	for _, g := range t.groups {
		g.gauges = Group{WChans: g.gauges.WChans[:0]}
		g.gaps = [16]int{}
		g.start, g.smaps = math.MaxUint64, math.MaxUint64
	}
	t.health.Hidden, t.health.Partial, t.health.Concealed = t.snap.Hidden, 0, t.snap.HidePID
	t.coverage.UnmatchedProcs = 0
	clear(t.coverage.matches)
	for i := range t.records {
		r, s := &t.records[i], &t.snap.Samples[i]
		late := s.Have == 0 && t.snap.Partial // not reached, which is no error of its own
		if s.Have&platform.FieldStat == 0 && !late {
			t.health.Hidden++
		}
		t.coverage.count(r)
		if r.state != tracked {
			continue
		}
		if s.Lost != 0 && !late {
			t.health.Partial++
		}
		r.group.take(s)
	}
	t.health.HiddenTotal += uint64(t.health.Hidden)
	t.health.PartialTotal += uint64(t.health.Partial)
	t.health.Blocked = t.snap.Unresponsive
	t.health.Incomplete = t.health.Incomplete || t.snap.Partial

	return t.snapshots()
}

// snapshots returns copies of all groups, and forgets those that should be.
func (t *Tracker) snapshots() []Group {
	named := make(map[string]bool) // groups that have processes, of rules with labels
	out := make([]Group, 0, len(t.groups))
	for _, g := range t.groups {
		switch {
		case g.gauges.Procs > 0:
			if g.idle = 0; len(t.labels) > 0 {
				named[g.name] = true
			}
		case t.opts.RemoveEmpty && !g.standing:
			t.forget(g)
			continue
		case g.idle == 0:
			g.idle = t.snap.Now
		}
		threads := t.threadTotals(g)
		if g.blank && !g.used() && g.gauges.Procs == 0 {
			continue // until it is known whether its labels have values
		}
		out = append(out, g.snapshot(t, threads))
	}
	for _, g := range t.groups {
		if g.blank && !g.used() && g.gauges.Procs == 0 && !named[g.name] {
			out = append(out, g.snapshot(t, nil))
		}
	}
	slices.SortFunc(out, func(a, b Group) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), slices.Compare(a.Labels, b.Labels))
	})
	return out
}

// used reports whether the group has ever had a process.
func (g *group) used() bool { return g.counted != 0 || g.starts > 0 }

// take adds what a process holds.
func (g *group) take(s *platform.Sample) {
	v := &g.gauges
	v.Procs++
	known := s.Have
	if known&platform.FieldFDs == 0 {
		known &^= platform.FieldFDLimit // a limit without what it limits says nothing
	}
	v.Known |= known
	// Both parts of a task come from the same directory.
	for lost := uint16((s.Lost | s.Skipped) &^ s.Have &^ platform.FieldTaskUsage); lost != 0; lost &= lost - 1 {
		g.gaps[bits.TrailingZeros16(lost)]++
	}
	g.start = min(g.start, s.Start)
	if s.Have&(platform.FieldStat|platform.FieldMemory) == 0 {
		return
	}
	v.ResidentBytes += s.ResidentBytes
	v.VirtualBytes += s.VirtualBytes
	v.NumThreads += s.Threads
	v.SwapBytes += s.SwapBytes
	g.takeFDs(s)
	if s.Have&platform.FieldStat == 0 { // it does not answer: the rest is of an earlier walk
		if s.Threads == 1 {
			v.States[stateIndex(s.State)]++
		}
		return
	}
	v.PSSBytes += s.PSSBytes
	v.SwapPSSBytes += s.SwapPSSBytes
	v.USSBytes += s.USSBytes
	if s.SmapsTicks > 0 {
		g.smaps = min(g.smaps, s.SmapsTicks)
	}
	if len(s.Tasks) == 0 {
		v.States[stateIndex(s.State)]++
		v.sleeps(s.WChan)
	}
	for i := range s.Tasks {
		v.States[stateIndex(s.Tasks[i].State)]++
		v.sleeps(s.Tasks[i].WChan)
	}
}

// takeFDs adds the files that a process has open.
func (g *group) takeFDs(s *platform.Sample) {
	if s.Have&platform.FieldFDs == 0 {
		return
	}
	g.gauges.FDs += s.FDs
	if s.FDLimit > 0 && s.Have&platform.FieldFDLimit != 0 {
		g.gauges.WorstFDRatio = max(g.gauges.WorstFDRatio, float64(s.FDs)/float64(s.FDLimit))
	}
}

func stateIndex(state byte) int {
	switch state {
	case 'R':
		return Running
	case 'S':
		return Sleeping
	case 'D':
		return Waiting
	case 'Z':
		return Zombie
	}
	return Other
}

// sleeps counts a thread that sleeps in wchan. Few kernel functions are slept
// in at a time, so that looking through them beats a map.
func (v *Group) sleeps(wchan string) {
	if wchan == "" {
		return
	}
	for i := range v.WChans {
		if v.WChans[i].Name == wchan {
			v.WChans[i].Count++
			return
		}
	}
	v.WChans = append(v.WChans, WChan{Name: wchan, Count: 1})
}

// snapshot returns a copy of the group that nothing changes any more.
func (g *group) snapshot(t *Tracker, threads []Thread) Group {
	snap := &t.snap
	out := g.gauges
	out.Name, out.Labels, out.Rule, out.Expect, out.Regroups = g.name, g.labels, g.rule, g.expect, g.regroups
	out.Counters, out.Counted = g.total, g.counted
	out.TopCPU, out.TopRSS = g.top.members(t.elapsed, snap)
	if out.Procs == 0 {
		out.Known = g.wants
		if !g.used() { // what it is going to be counts from 0
			out.Counted = g.wants &^ (platform.FieldRunWait | platform.FieldBlockWait)
		}
	} else {
		out.OldestStart = snap.BootTime.Unix() + int64(g.start/snap.TicksPerSecond)
	}
	if out.Known&platform.FieldStat != 0 {
		out.Known |= platform.FieldMemory
	}
	if g.smaps < snap.Now {
		out.SmapsAge = float64(snap.Now-g.smaps) / float64(snap.TicksPerSecond)
	}
	out.WChans = slices.Clone(g.gauges.WChans)
	for i := range out.WChans {
		out.WChans[i].Name = ValidLabel(out.WChans[i].Name)
	}
	for i, procs := range g.gaps {
		if procs > 0 {
			out.Unreadable = append(out.Unreadable, FileGap{platform.Fields(1) << i, procs})
		}
	}
	out.Threads = threads
	if out.Watched = snap.Source == string(platform.KindBPF); out.Watched {
		out.Starts, out.OOMKills, out.Exits = g.starts, g.oomKills, g.endings()
	}
	return out
}
