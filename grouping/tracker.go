package grouping

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/seed57308aee/process_exporter/platform"
)

// youth is how long after its start a process counts as young. A young process
// is identified a second time at the next update: between fork and exec it
// still carries its parent's name, and daemons rewrite their command line soon
// after they start.
const youth = 5 * time.Second

// Options says how processes are put into groups.
type Options struct {
	Children     bool            // a process that no rule wants joins its nearest ancestor's group
	Recheck      bool            // unwanted processes are identified anew at every update
	RecheckLimit time.Duration   // only until so long after their start, and never again; not 0 implies Recheck
	RemoveEmpty  bool            // forget a group, counters and all, once it has no process
	Fields       platform.Fields // what to read of every process in a group, unless its rule says otherwise

	// MaxGroups is how many groups processes may make by their names, and
	// MaxThreadNames how many names their threads may have in all of them. What
	// is beyond is added up under [OtherName]. 0 is no limit.
	MaxGroups, MaxThreadNames int
}

// A Tracker keeps the processes of a machine sorted into groups and adds up
// what each group uses. Its counters never fall: a process that exits, hides a
// file or changes its group takes nothing away.
//
// It serves one goroutine at a time, but for SetMatcher.
type Tracker struct {
	src    platform.Source
	opts   Options
	health Health

	matcher  Matcher
	needs    platform.IdentityFields // of matcher
	labels   []string                // of matcher
	inherits bool                    // some rule, or the flag, lets processes join their ancestors

	snap     platform.Snapshot
	records  []record          // one per snap.Samples, at the same index, once join has run
	tasks    []task            // scratch of advanceTasks
	dead     []record          // scratch of bury
	words    platform.Identity // likewise, of one process
	deadAt   map[int]int       // where in dead a PID stands
	groups   map[string]*group
	rooms    rooms
	visits   visits
	coverage Coverage
	departed map[platform.ID]departure // left, and their end was not told yet
	source   string                    // that made the last walk
	started  bool                      // the first walk is done
	baseline uint64                    // ticks after boot at which the first walk began
	now      uint64                    // ticks after boot at which the last walk began
	elapsed  uint64                    // ticks between the last two walks, 0 at the first

	mu   sync.Mutex // guards next
	next Matcher    // takes over at the next Update
}

// NewTracker returns a Tracker of the processes of src, named by m.
func NewTracker(src platform.Source, m Matcher, o Options) *Tracker {
	if o.RecheckLimit != 0 {
		o.Recheck = true
	}
	t := &Tracker{src: src, opts: o, groups: make(map[string]*group), departed: make(map[platform.ID]departure), deadAt: make(map[int]int)}
	t.use(m)
	return t
}

// SetMatcher makes m name the processes from the next Update on, those that
// are known already too. It may be called from any goroutine.
func (t *Tracker) SetMatcher(m Matcher) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next = m
}

// Exiting receives when an Update should come soon, although nobody asks for
// one: see [platform.Source].
func (t *Tracker) ExitsPending() <-chan struct{} { return t.src.ExitsPending() }

// Kind returns how processes are read, see [platform.Source].
func (t *Tracker) Kind() (platform.Kind, error) { return t.src.Kind() }

// Health returns how the last Update went.
func (t *Tracker) Health() Health { return t.health }

// Update walks the processes once and returns every group that is known. The
// result belongs to the caller. When ctx ends first, the processes not reached
// keep their place and their counters. An error means that there was no walk,
// and that no group changed.
func (t *Tracker) Update(ctx context.Context) ([]Group, error) {
	if err := t.walk(ctx); err != nil {
		return nil, err
	}
	switched := t.started && t.source != t.snap.Source
	if t.started {
		t.elapsed = t.snap.Now - t.now
	}
	t.now, t.rooms.full = t.snap.Now, false
	t.source = t.snap.Source
	if !t.started {
		t.started, t.baseline = true, t.snap.Now
		t.join(true, false)
	} else {
		t.join(false, switched)
	}
	t.adopt()
	t.visit(ctx)
	t.match(ctx)
	t.src.Complete(ctx, &t.snap)
	t.advance()
	t.bury()
	return t.sum(), nil
}

// walk finds the processes. Where there are so many that it ends at its deadline,
// a quarter of the time is left for the rest: otherwise no new one would ever get
// its name.
func (t *Tracker) walk(ctx context.Context) error {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-time.Until(end)/4))
		defer cancel()
	}
	return t.src.Walk(ctx, &t.snap)
}

// adopt takes over the matcher that SetMatcher left: every process has its name
// worked out anew, from the words that it has now. One that lost the ancestor
// whose group it is in stays there, since nothing tells of it any more.
func (t *Tracker) adopt() {
	t.mu.Lock()
	next := t.next
	t.next = nil
	t.mu.Unlock()
	if next == nil {
		return
	}
	t.use(next)
	for i := range t.records {
		r := &t.records[i]
		r.doubt, r.sum = true, 0
		r.inherited = r.inherited && r.ppid != t.snap.Samples[i].PPID
	}
}

// join lines the records up with the Samples of the last walk, in the memory
// that they have. Both ascend by PID: one pass takes out the processes that are
// gone, and another, from the end, makes room for the new ones.
func (t *Tracker) join(first, switched bool) {
	samples := t.snap.Samples
	at := 0
	known := slices.DeleteFunc(t.records, func(r record) bool {
		for at < len(samples) && samples[at].PID < r.id.PID {
			at++
		}
		gone := at == len(samples) || !r.continues(&samples[at], switched)
		if gone {
			t.leave(&r)
		}
		return gone
	})
	if t.records = known; cap(known) < len(samples) { // once, and with little to spare
		t.records = make([]record, 0, len(samples)+len(samples)/32)
	}
	t.records = t.records[:len(samples)]
	for i := len(samples) - 1; i >= 0; i-- {
		s := &samples[i]
		if last := len(known) - 1; last >= 0 && known[last].id == s.ID {
			t.records[i] = known[last]
			if known = known[:last]; switched { // every Source has its own way to tell a program
				t.records[i].exec, t.records[i].cgroup = s.ExecID, s.Cgroup
				t.records[i].fell = fellAll // and its own steps to count in
			}
			continue
		}
		// What a process used before the first walk belongs to a time that
		// nobody watched. One born later is counted from its birth.
		born := !first && s.Start >= t.baseline
		t.records[i] = record{id: s.ID, state: unmatched, doubt: true, credit: born, kernel: s.Kernel}
	}
}

// match names the processes that are new or that may have a new name, and ties
// those without a name of their own to their ancestors.
func (t *Tracker) match(ctx context.Context) {
	t.health.Unidentified, t.health.Incomplete = 0, false
	for i := range t.records {
		r, s := &t.records[i], &t.snap.Samples[i]
		if s.Have&platform.FieldStat == 0 {
			continue
		}
		if s.State == 'Z' && r.state == tracked { // it has no command line any more, and keeps its group
			r.doubt = false
			continue
		}
		if r.exec != s.ExecID || r.comm != s.Comm && !s.Kernel {
			r.doubt = r.doubt || !t.closed(r, s)
			r.execed = r.exec != 0 && r.exec != s.ExecID
			r.exec, r.comm = s.ExecID, s.Comm
		}
		if t.moved(r, s) {
			r.doubt = r.doubt || !t.closed(r, s)
		}
		switch {
		case !r.doubt && !t.rechecks(r, s):
		case ctx.Err() != nil:
			t.health.Incomplete = true
		default:
			t.identify(ctx, i)
		}
	}
	for i := range t.records {
		if r := &t.records[i]; r.orphan {
			t.tie(i)
		}
	}
	for i := range t.records {
		s := &t.snap.Samples[i]
		if s.Want = 0; t.records[i].state == tracked {
			s.Want = t.records[i].rule.fields(t.opts.Fields)
		}
	}
}

// closed reports whether an unwanted process has outlived the time in which
// the user lets it be looked at.
func (t *Tracker) closed(r *record, s *platform.Sample) bool {
	return t.opts.RecheckLimit != 0 && r.state != tracked && !t.within(s, t.opts.RecheckLimit)
}

// rechecks reports whether an unwanted process is looked at again although
// nothing tells that its name has changed.
func (t *Tracker) rechecks(r *record, s *platform.Sample) bool {
	return t.opts.Recheck && r.state == unmatched && (t.opts.RecheckLimit == 0 || t.within(s, t.opts.RecheckLimit))
}

// within reports whether a process started less than d before the walk.
func (t *Tracker) within(s *platform.Sample, d time.Duration) bool {
	return t.snap.Now < s.Start+uint64(d.Seconds()*float64(t.snap.TicksPerSecond))
}

// moved reports whether a process belongs to another user, or another control
// group, than when it was named, and that matters.
func (t *Tracker) moved(r *record, s *platform.Sample) bool {
	if r.sum == 0 { // not named yet
		return false
	}
	if t.needs&platform.IdentityUser != 0 && s.Have&platform.FieldStatus != 0 && s.EUID != r.euid {
		return true
	}
	return t.needs&platform.IdentityCgroups != 0 && s.Cgroup != 0 && s.Cgroup != r.cgroup
}

// identify asks the matcher for the name of the process at an index.
func (t *Tracker) identify(ctx context.Context, i int) {
	r, s := &t.records[i], &t.snap.Samples[i]
	id, err := t.src.Identify(ctx, s, t.needs)
	if err != nil {
		if !errors.Is(err, platform.ErrGone) {
			t.health.Unidentified++
		}
		return // in doubt until its names come
	}
	// A young process is looked at twice, see youth.
	r.doubt = !r.young && t.within(s, youth)
	r.young = r.doubt
	r.sum, r.euid, r.cgroup = id.Fingerprint, id.EUID, s.Cgroup
	if t.needs&platform.IdentityAncestors != 0 {
		id.Ancestors = t.ancestors(s.PPID)
	}
	m := t.matcher.Match(&id)
	if m.TemplateFailed {
		t.health.TemplateFailures++
	}
	switch {
	case m.OK:
		t.assign(r, t.group(&m), m.Rule, false)
	case m.Rule != nil:
		t.ignore(r, s, m.Rule)
	case r.state == tracked && r.inherited:
		// Tied to an ancestor at first sight, for life.
	default:
		r.orphan = true
	}
}

// assign puts a process into a group. What it used until now stays where it
// was counted.
func (t *Tracker) assign(r *record, g *group, rule *Rule, inherited bool) {
	if joins := r.state != tracked || r.group != g; joins && (r.execed || r.state != tracked && r.credit) {
		g.starts++
	}
	if r.have != 0 && r.group != g { // it was somewhere else, or nowhere
		g.regroups++
	}
	if r.state == tracked && r.group != g {
		for i := range r.tasks {
			r.tasks[i].group = nil
		}
	}
	if g.other && r.group != g {
		t.health.Limited++
	}
	r.state, r.group, r.rule, r.inherited, r.orphan = tracked, g, rule, inherited, false
	g.wants |= rule.fields(t.opts.Fields)
}

// maxAncestors bounds the way up to a tracked ancestor. Parents are read one
// after the other while processes come and go, and may seem to form a circle.
const maxAncestors = 4096

// tie decides about a process that no rule wants: it joins the group of its
// nearest ancestor that has one, or it is ignored.
func (t *Tracker) tie(i int) {
	var heir *record
	unsure := false
	if t.inherits {
		heir, unsure = t.inheritance(i)
	}
	for at, steps := i, 0; at >= 0 && t.records[at].orphan && steps < maxAncestors; steps++ {
		r := &t.records[at]
		if heir != nil {
			t.assign(r, heir.group, heir.rule, true)
			r.ppid = t.snap.Samples[at].PPID
		} else {
			t.ignore(r, &t.snap.Samples[at], nil)
		}
		if unsure { // until the ancestors have names
			r.doubt, r.inherited = true, false
		}
		if !t.inherits {
			return
		}
		at = t.snap.Index(t.snap.Samples[at].PPID)
	}
}

// inheritance returns the nearest ancestor that is in a group, unless its rule
// keeps that from its children or an ignored process stands in between. It is
// unsure of that while an ancestor on the way has no name yet.
func (t *Tracker) inheritance(i int) (heir *record, unsure bool) {
	for steps := 0; steps < maxAncestors; steps++ {
		if i = t.snap.Index(t.snap.Samples[i].PPID); i < 0 {
			return nil, unsure
		}
		r := &t.records[i]
		unsure = unsure || r.doubt && !r.young && !r.orphan
		switch {
		case r.state == tracked && !r.orphan:
			if !r.rule.children.or(t.opts.Children) {
				return nil, unsure
			}
			return r, unsure
		case r.state == ignored && !r.orphan:
			return nil, unsure
		}
	}
	return nil, unsure
}

// ancestors returns the names of a process and of those above it.
func (t *Tracker) ancestors(pid int) (names []string) {
	for steps := 0; steps < maxAncestors; steps++ {
		at := t.snap.Index(pid)
		if at < 0 {
			break
		}
		names = append(names, t.snap.Samples[at].Comm)
		pid = t.snap.Samples[at].PPID
	}
	return names
}

// ignore leaves a process alone: from now on only its stat is read, to see
// whether it becomes another program. It is the wish of a rule, or nil if there
// is no rule for the process.
func (t *Tracker) ignore(r *record, s *platform.Sample, rule *Rule) {
	if r.state == tracked { // what it uses from now on belongs to nobody
		r.credit, r.tasks = false, nil
		r.have &= platform.FieldStat
	}
	r.group, r.rule, r.inherited, r.orphan = nil, rule, false, false
	r.state = ignored
	if rule == nil && t.opts.Recheck && (t.opts.RecheckLimit == 0 || t.within(s, t.opts.RecheckLimit)) {
		r.state = unmatched
	}
}
