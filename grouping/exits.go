package grouping

import (
	"cmp"
	"slices"

	"github.com/seed57308aee/process_exporter/platform"
)

// An Exit counts the processes of a group that ended in one way.
type Exit struct {
	Reason string // one of those of [platform.Exit.Reason]
	Code   string // the status, or the name of the signal
	Count  uint64
}

// An ending is a way to end.
type ending struct{ reason, code string }

// A departure is a process that is gone, and of which the last counters are
// still to come.
type departure struct {
	record
	at uint64 // ticks after boot
}

// patience is for how many seconds the end of a process is waited for. The
// kernel tells it when nobody looks at the process any more, which is mostly at
// once. Some ends are never told, for want of room.
const patience = 60

// leave takes note of a process that is gone.
func (t *Tracker) leave(r *record) {
	if t.snap.Source == string(platform.KindBPF) && !r.kernel {
		t.departed[r.id] = departure{record: *r, at: t.snap.Now}
	}
}

// bury settles the account of every process that ended since the last update,
// also of those that no walk ever met.
func (t *Tracker) bury() {
	t.health.Source, t.health.LostEvents = t.snap.Source, t.snap.LostExitEvents
	exits := t.snap.Exits
	if len(exits) > 0 {
		t.name(exits)
		for i := range exits {
			t.settle(&t.dead[i], &exits[i])
		}
		clear(t.dead)
	}
	for id, d := range t.departed {
		if t.snap.Now-d.at > patience*t.snap.TicksPerSecond {
			delete(t.departed, id)
		}
	}
}

// name puts the processes that ended into groups, by what they were called in
// the end. Those that no rule wants go by their parent, which may live or have
// ended as well.
func (t *Tracker) name(exits []platform.Exit) {
	t.dead = slices.Grow(t.dead[:0], len(exits))[:len(exits)]
	for i := range exits {
		e, r := &exits[i], &t.dead[i]
		d, known := t.departed[e.ID]
		delete(t.departed, e.ID)
		if *r = d.record; !known {
			// The first walk has met all that lived then.
			*r = record{id: e.ID, state: unmatched, doubt: true, credit: e.Start >= t.baseline}
		}
		if e.Comm == "" { // nothing is known but its counters
			continue
		}
		r.execed = r.exec != 0 && r.exec != e.ExecID
		if !r.doubt && !r.execed && r.comm == e.Comm {
			continue
		}
		t.words = t.src.ExitIdentity(e, t.needs)
		if t.needs&platform.IdentityAncestors != 0 {
			t.words.Ancestors = t.ancestors(e.PPID)
		}
		switch m := t.matcher.Match(&t.words); {
		case m.OK:
			t.assign(r, t.group(&m), m.Rule, false)
		case m.Rule != nil:
			r.state, r.rule = ignored, m.Rule
		case r.state != tracked || !r.inherited:
			r.orphan = true
		}
	}
	t.words = platform.Identity{}
	clear(t.deadAt)
	for i := range exits {
		t.deadAt[exits[i].PID] = i
	}
	for i := range t.dead {
		if r := &t.dead[i]; r.orphan {
			if heir := t.heritage(exits, i); heir != nil {
				t.assign(r, heir.group, heir.rule, true)
			} else {
				r.state, r.orphan = ignored, false
			}
		}
	}
}

// heritage returns the nearest ancestor of exits[i] that is in a group which its
// children join, or nil.
func (t *Tracker) heritage(exits []platform.Exit, i int) *record {
	if !t.inherits {
		return nil
	}
	passesOn := func(r *record) *record {
		if r.state == tracked && r.rule.children.or(t.opts.Children) {
			return r
		}
		return nil
	}
	ppid := exits[i].PPID
	for steps := 0; steps < maxAncestors; steps++ {
		if at := t.snap.Index(ppid); at >= 0 {
			r := &t.records[at]
			if r.state != unmatched {
				return passesOn(r)
			}
			ppid = t.snap.Samples[at].PPID
			continue
		}
		at, ok := t.deadAt[ppid]
		if !ok || exits[at].Start > exits[i].Start { // not the parent, but another with its number
			return nil
		}
		if !t.dead[at].orphan {
			return passesOn(&t.dead[at])
		}
		i, ppid = at, exits[at].PPID
	}
	return nil
}

// settle adds what a process used since it was last looked at, and how it ended.
func (t *Tracker) settle(r *record, e *platform.Exit) {
	if r.state != tracked {
		d := r.stat(&e.Sample)
		t.coverage.UnmatchedNanos += d.UserNanos + d.SystemNanos
		return
	}
	t.advanceProcess(r, &e.Sample)
	if e.EventLost { // and counted as lost
		return
	}
	reason, code := e.Reason()
	r.group.exits[ending{reason, code}]++
	if e.OOMKilled {
		r.group.oomKills++
	}
}

// endings returns the exits of the group.
func (g *group) endings() []Exit {
	out := make([]Exit, 0, len(g.exits))
	for how, n := range g.exits {
		out = append(out, Exit{how.reason, how.code, n})
	}
	slices.SortFunc(out, func(a, b Exit) int {
		return cmp.Or(cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Code, b.Code))
	})
	return out
}
