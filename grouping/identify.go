package grouping

import (
	"context"
	"errors"
	"sort"
	"time"

	"github.com/seed57308aee/process_exporter/platform"
)

// youngAge is the age below which a process is identified once more at the next
// update: between fork and exec it has the name of its parent, and daemons change
// their command line soon after their start.
const youngAge = 5 * time.Second

// containerNameAge is the age below which a process is identified again as long as the name
// of its container is unknown. A kubelet writes the name after the start of the container.
const containerNameAge = time.Minute

// findContainer sets the names of the container of a process. It reports whether they are
// final.
func (t *Tracker) findContainer(id *platform.Identity) bool {
	if t.opts.Containers == nil {
		return true
	}
	container, pod := hostContainer(id.Cgroups)
	var final bool
	id.Container, final = t.opts.Containers.Lookup(container, pod)
	return final
}

// match assigns processes that are new or may have a new identity to groups, and
// sets the fields to read of every process.
func (t *Tracker) match(ctx context.Context) {
	t.health.Unidentified, t.health.Incomplete = 0, false
	t.identifyChanged(ctx)
	for i := range t.records {
		if r := &t.records[i]; r.state == statePending {
			t.joinAncestor(r, &t.snap.Samples[i])
		}
	}
	var rule *Rule
	var want platform.Fields
	for i := range t.records {
		r, s := &t.records[i], &t.snap.Samples[i]
		if s.Want = 0; r.group == nil {
			continue
		}
		if r.rule != rule {
			rule, want = r.rule, t.fields(r.rule)
		}
		s.Want = want
	}
}

// identifyChanged identifies all processes that are new or may have a new identity, as far
// as the budget permits.
func (t *Tracker) identifyChanged(ctx context.Context) {
	b := &t.budget
	b.spent, b.long = 0, b.long[:0]
	n, resume := len(t.records), b.resume
	b.resume = 0
	first := sort.Search(n, func(i int) bool { return t.records[i].id.PID >= resume })
	for step := range n {
		i := first + step
		if i >= n {
			i -= n
		}
		r, s := &t.records[i], &t.snap.Samples[i]
		if s.Have&platform.FieldStat == 0 {
			continue
		}
		t.detectChange(r, s)
		switch {
		case r.identity == identityCurrent && !t.isRechecked(r, s):
		case ctx.Err() != nil:
			t.interrupt(r, &b.resume)
		case r.longArgs:
			b.long = append(b.long, i)
		case t.exhausted():
			t.postpone(r, &b.resume)
		case !t.identify(ctx, r, s, maxQuickArgs):
			b.long = append(b.long, i)
		}
	}
	t.identifyLong(ctx)
	b.unlimited = b.unlimited && t.health.Incomplete
}

// identifyLong identifies the processes with long command lines.
func (t *Tracker) identifyLong(ctx context.Context) {
	b := &t.budget
	sort.Ints(b.long)
	first := sort.Search(len(b.long), func(j int) bool { return t.records[b.long[j]].id.PID >= b.resumeLong })
	b.resumeLong = 0
	for step := range b.long {
		i := b.long[(first+step)%len(b.long)]
		switch r := &t.records[i]; {
		case ctx.Err() != nil:
			t.interrupt(r, &b.resumeLong)
		case t.exhausted():
			t.postpone(r, &b.resumeLong)
		default:
			t.identify(ctx, r, &t.snap.Samples[i], 0)
		}
	}
}

// fields returns the fields of a Sample to read of the processes of a rule.
func (t *Tracker) fields(r *Rule) platform.Fields {
	fields := t.collectorsOf(r).Fields()
	if t.identityFields&platform.IdentityUser != 0 {
		fields |= platform.FieldStatus // shows a change of the user
	}
	return fields
}

// collectorsOf returns the collectors that are enabled for a rule.
func (t *Tracker) collectorsOf(r *Rule) CollectorSet {
	return r.Collectors(t.opts.Collectors) &^ t.opts.Disabled
}

// detectChange marks a process to be identified if its sample shows that it may
// have another identity than before.
func (t *Tracker) detectChange(r *processRecord, s *platform.Sample) {
	if s.State == 'Z' && r.group != nil { // a zombie has no command line, and keeps its group
		if !r.hasThreadOf(s) {
			r.replaceMainThread(s) // it may have called execve(2), which ExecID does not show now
		}
		r.identity = identityCurrent
		return
	}
	changed := t.userOrCgroupChanged(r, s)
	if r.execID != s.ExecID || r.comm != s.Comm && !s.KernelThread {
		// ExecID of the source procfs may change without execve(2).
		if r.execID != 0 && r.execID != s.ExecID && !r.hasThreadOf(s) {
			r.executed = true
			r.replaceMainThread(s)
		}
		r.execID, r.comm = s.ExecID, s.Comm
		changed = true
	}
	if changed && r.identity == identityCurrent && !t.recheckExpired(r, s) {
		r.identity = identityDue
	}
}

// userOrCgroupChanged reports whether the user or the cgroup of a process changed
// since it was identified, and a rule uses them.
func (t *Tracker) userOrCgroupChanged(r *processRecord, s *platform.Sample) bool {
	if r.fingerprint == 0 { // not identified yet
		return false
	}
	if t.identityFields&platform.IdentityUser != 0 && s.Have&platform.FieldStatus != 0 && s.EUID != r.euid {
		return true
	}
	return t.identityFields&platform.IdentityCgroups != 0 && s.Cgroup != 0 && s.Cgroup != r.cgroup
}

// recheckExpired reports whether a process in no group is older than
// [Options.RecheckLimit], so that it is never identified again.
func (t *Tracker) recheckExpired(r *processRecord, s *platform.Sample) bool {
	return t.opts.RecheckLimit != 0 && r.group == nil && !t.isYounger(s, t.opts.RecheckLimit)
}

// isRechecked reports whether an ungrouped process is identified again without a
// sign of a change.
func (t *Tracker) isRechecked(r *processRecord, s *platform.Sample) bool {
	return r.state == stateUndecided && t.rechecks(s)
}

// rechecks reports whether a process is identified at every update as long as it
// is in no group.
func (t *Tracker) rechecks(s *platform.Sample) bool {
	return t.opts.Recheck && (t.opts.RecheckLimit == 0 || t.isYounger(s, t.opts.RecheckLimit))
}

// isYounger reports whether a process started less than age before the walk.
func (t *Tracker) isYounger(s *platform.Sample, age time.Duration) bool {
	return t.snap.Now < s.Start+uint64(age.Seconds()*float64(t.snap.TicksPerSecond))
}

// identify reads the identity of a live process and matches it. On error the
// process is identified at the next update. It reports false if it did not match the
// process because the command line is longer than maxArgs bytes; 0 is no limit.
func (t *Tracker) identify(ctx context.Context, r *processRecord, s *platform.Sample, maxArgs int) (done bool) {
	start := t.matchCPUTime()
	id, err := t.src.Identify(ctx, s, t.identityFields)
	if err != nil {
		if !errors.Is(err, platform.ErrGone) {
			t.health.Unidentified++
		}
		return true
	}
	length := argsLength(id.Args)
	if r.longArgs = length > maxQuickArgs; r.longArgs {
		t.budget.spent += t.matchCPUTime() - start // a read of 128 KiB takes as long as a match
	}
	if maxArgs > 0 && length > maxArgs {
		return false
	}
	if r.identity == identityYoung || !t.isYounger(s, youngAge) {
		r.identity = identityCurrent
	} else {
		r.identity = identityYoung
	}
	r.fingerprint, r.euid, r.cgroup = id.Fingerprint, id.EUID, s.Cgroup
	t.matchIdentity(r, s, &id)
	return true
}

// matchIdentity matches the identity of a live or exited process and sets its
// state. A process that no rule matches becomes pending: see joinAncestor.
func (t *Tracker) matchIdentity(r *processRecord, s *platform.Sample, id *platform.Identity) {
	if t.identityFields&platform.IdentityAncestors != 0 {
		id.Ancestors = t.ancestorNames(s)
	}
	if t.identityFields&platform.IdentityContainer != 0 && !t.findContainer(id) && t.isYounger(s, containerNameAge) {
		r.identity = identityYoung
	}
	m := t.matchWithinBudget(id)
	r.mutable = m.Fields & mutableFields
	if m.TemplateFailed {
		t.health.TemplateFailures++
	}
	switch {
	case m.OK && isZombie(s) && len(id.Args) == 0 && m.Rule.isLiveOnly():
		r.state = statePending // another name than that of the live process
	case m.OK:
		t.assign(r, t.group(&m), m.Rule, stateMatched)
	case m.Rule != nil:
		t.exclude(r, s, m.Rule)
	case r.state == stateInherited:
		// A process keeps the group that it inherited.
	default:
		r.state = statePending
	}
}

// assign moves a process into a group. Its usage so far stays in the group where
// it was counted.
func (t *Tracker) assign(r *processRecord, g *groupState, rule *Rule, state recordState) {
	if r.group != g {
		g.start.note(t.countsFrom(r))
		if r.executed || r.group == nil && r.countFromStart {
			g.starts++
		}
		if r.counted { // it was in another group, or in none
			g.groupChanges++
		}
		if g.isOther {
			t.health.GroupLimitHits++
		}
		for i := range r.tasks {
			r.tasks[i].group = nil
		}
	}
	r.state, r.group, r.rule = state, g, rule
	g.emptySince = 0 // it must not be removed in this update
	t.addCollectors(g, rule)
}

// exclude removes a process from its group, because a rule ignores it, or because
// neither a rule nor an ancestor has a group for it: then rule is nil. From now on, walks
// read only its stat, which shows another program or name.
func (t *Tracker) exclude(r *processRecord, s *platform.Sample, rule *Rule) {
	if r.group != nil {
		r.leaveGroup()
	}
	r.rule, r.state = rule, stateExcluded
	if rule == nil && t.rechecks(s) {
		r.state = stateUndecided
	}
}
