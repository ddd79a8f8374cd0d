package grouping

import (
	"strings"

	"github.com/seed57308aee/process_exporter/platform"
)

// Indexes of [Group.States].
const (
	Running = iota
	Sleeping
	Waiting // in uninterruptible sleep
	Zombie
	Other
	NumStates
)

// StateNames are the names of the states in metrics and JSON.
var StateNames = [NumStates]string{"Running", "Sleeping", "Waiting", "Zombie", "Other"}

// A Group is the resource usage of the processes of one group. The counters start
// at the start of the Tracker, and include processes that have exited.
type Group struct {
	Name   string
	Labels []string // values of [Tracker.LabelNames]; read-only
	Procs  int      // processes, including zombies
	Rule   *Rule    // that created it; nil for [OtherName], and after a reload
	Expect *Expect  // expected number of processes, nil without

	// Matched is the number of processes that match a rule themselves: without those
	// that joined the group of an ancestor, and without zombies.
	Matched int

	Collectors CollectorSet // of its rules: metrics of other collectors are not exported

	GroupChanges uint64 // processes that joined from another group, or from none

	TopCPU, TopRSS []TopProcess // processes with the highest usage, if the rule has top

	Counters
	CounterFields platform.Fields // fields of Counters that were ever read

	// CountersStart is the time at which all counters were 0, in milliseconds since the
	// Unix epoch. It is the earliest time from which a process of the group is counted: its
	// start, the walk that first found it, or the last walk before it joined the group. It is
	// 0 if the source has no wall clock.
	CountersStart int64

	// ExitsKnown says that the source reports process starts and exits: the next
	// three fields are valid.
	ExitsKnown bool
	Starts     uint64      // processes that joined by their start or by execve(2)
	Exits      []ExitCount // processes that exited
	OOMKills   uint64      // exited processes that the OOM killer has killed

	Sockets Sockets

	// GaugeFields has the fields below that were read of at least one process. In a
	// group without processes it has all fields, whose values are 0.
	GaugeFields   platform.Fields
	ResidentBytes uint64
	VirtualBytes  uint64
	SwapBytes     uint64
	PSSBytes      uint64
	SwapPSSBytes  uint64
	USSBytes      uint64
	SmapsAge      float64 // seconds since the oldest value of PSS, SwapPSS and USS was read
	FDs           uint64
	WorstFDRatio  float64 // highest ratio of open file descriptors to their limit
	OldestStart   int64   // Unix seconds; invalid without processes
	NumThreads    int
	States        [NumStates]int // threads by state

	WChans     []WChanCount      // threads by the kernel function in which they sleep
	Threads    []ThreadTotals    // threads by name, of processes with at least two
	Unreadable []UnreadableField // processes of which a field could not be read
}

// A WChanCount counts the threads that sleep in one kernel function.
type WChanCount struct {
	Name  string
	Count int
}

// ThreadTotals is the resource usage of the threads of one name in one group.
type ThreadTotals struct {
	Name  string
	Count int
	Counters
	CounterFields platform.Fields
	CountersStart int64 // as in [Group]
}

// An UnreadableField counts the processes of a group of which one field could not
// be read.
type UnreadableField struct {
	Field platform.Fields // one bit
	Procs int
}

// Key returns the [GroupKey] of the group.
func (g *Group) Key() string { return GroupKey(g.Name, g.Labels) }

// GroupKey returns a string that identifies a group by its name and the values
// of its labels. The byte 0xff separates them: it is never part of UTF-8, so no label
// value contains it.
func GroupKey(name string, labels []string) string {
	if len(labels) == 0 {
		return name
	}
	return name + "\xff" + strings.Join(labels, "\xff")
}

// A groupState is the state that the Tracker keeps of one group.
type groupState struct {
	name          string
	labels        []string
	key           string      // in Tracker.groups
	rule          *Rule       // that created it; nil after a reload
	permanent     bool        // a rule creates it without processes
	labelsUnknown bool        // permanent, with labels whose values depend on processes
	isOther       bool        // the group of processes above a limit
	mergedInto    *groupState // replaced it when the labels changed
	expect        *Expect
	fields        platform.Fields // that were read of any of its processes
	collectors    CollectorSet    // of the rules of its processes, and of the rule that created it
	emptySince    uint64          // ticks after boot; 0 if it has processes, or had one in this update
	start         countersStart

	groupChanges     uint64
	top              topProcesses
	total            Counters
	counterFields    platform.Fields          // of total that were ever read
	threads          map[string]*namedThreads // by label
	starts, oomKills uint64
	exits            map[exitStatus]exitCounter

	gauges      Group   // computed at every update; its slices are reused
	unreadable  [16]int // processes by bit of the field
	oldestStart uint64  // ticks after boot
	oldestSmaps uint64  // ticks after boot

	sockets groupSockets
}

// namedThreads is the state that the Tracker keeps of the threads of one name in
// one group.
type namedThreads struct {
	name          string
	size          int    // bytes of the name and of the key of the group
	count         int    // threads in this update
	emptySince    uint64 // ticks after boot; 0 if it had threads in the last update
	total         Counters
	counterFields platform.Fields // of total that were ever read
	start         countersStart
	removed       bool // no longer in groupState.threads
}

// newGroup returns a group that owns its name and labels: a match may refer to
// parts of a command line, which must not stay in memory as long as a group.
func newGroup(m *Match) *groupState {
	m.Group = strings.Clone(m.Group)
	for i, value := range m.Labels {
		m.Labels[i] = strings.Clone(value)
	}
	return &groupState{
		name: m.Group, labels: m.Labels, key: GroupKey(m.Group, m.Labels),
		threads: make(map[string]*namedThreads), exits: make(map[exitStatus]exitCounter),
	}
}

// used reports whether the group has ever had a process.
func (g *groupState) used() bool { return g.counterFields != 0 || g.starts > 0 }

// unused reports whether the group has neither a process nor counters.
func (g *groupState) unused() bool { return !g.used() && g.gauges.Procs == 0 }
