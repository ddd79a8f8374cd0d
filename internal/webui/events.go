package webui

import (
	"cmp"
	"slices"
	"time"

	"github.com/seed57308aee/process_exporter/collector"
	"github.com/seed57308aee/process_exporter/grouping"
)

const (
	// maxEvents is the number of events that are kept, maxWalkEvents those of one walk that are not sums.
	maxEvents     = 1000
	maxWalkEvents = 50

	// eventSums is the maximum number of sums of one kind in the time of the history.
	eventSums = 100
)

// An Event is what happened in a group, or in the exporter, between two walks. Events above a limit are
// added up, so that no process is missing.
type Event struct {
	Time   Timestamp `json:"timestamp_seconds"` // of the newest process
	Kind   string    `json:"kind"`
	Group  string    `json:"group,omitempty"`
	Reason string    `json:"reason,omitempty"` // of an exit, see [platform.Exit.Reason]
	Code   string    `json:"code,omitempty"`   // exit status or name of the signal
	Count  uint64    `json:"count"`            // of processes
	Others int       `json:"others,omitempty"` // number of events in a sum; the sum has no Group, Reason and Code

	// Approximate is true if the time of the event is unknown. Time is then the end of the walk that found it.
	Approximate bool `json:"approximate,omitempty"`
}

// The kinds of events, the most important first.
const (
	EventOOMKill = "oom_kill"
	EventFailure = "failure" // exits that are failures, see [Report.FailedExits]
	EventExit    = "exit"    // all other exits
	EventStart   = "start"
	EventReload  = "reload" // of the configuration
	EventBegin   = "exporter_start"
)

var eventOrder = []string{EventOOMKill, EventFailure, EventExit, EventStart}

// addEvents adds the events between two walks. prev has the groups of the first walk by key.
func (h *history) addEvents(v *collector.UpdateResult, prev map[string]*grouping.Group) {
	var events []Event
	ends := newestExits(v.Ended)
	add := func(key eventKey, before, now uint64) {
		if now <= before {
			return
		}
		e := Event{
			Time: Timestamp{v.Time}, Kind: key.kind, Group: key.group, Reason: key.reason, Code: key.code,
			Count: now - before, Approximate: true,
		}
		// A zombie can have exited before the time of the history.
		if end, ok := ends[key]; ok && v.Time.Sub(end) < h.retention {
			e.Time, e.Approximate = Timestamp{end}, false
		}
		events = append(events, e)
	}
	none := &grouping.Group{}
	for i := range v.Groups {
		g := &v.Groups[i]
		old := cmp.Or(prev[g.Key()], none)
		if !g.ExitsKnown || g.Starts == old.Starts && g.OOMKills == old.OOMKills && slices.Equal(g.Exits, old.Exits) {
			continue
		}
		add(eventKey{kind: EventStart, group: g.Name}, old.Starts, g.Starts)
		add(eventKey{kind: EventOOMKill, group: g.Name}, old.OOMKills, g.OOMKills)
		for _, e := range g.Exits {
			add(eventKey{exitKind(e.Reason, e.Code), g.Name, e.Reason, e.Code}, exitCount(old, e.Reason, e.Code), e.Count)
		}
	}
	slices.SortStableFunc(events, func(a, b Event) int {
		return cmp.Or(cmp.Compare(slices.Index(eventOrder, a.Kind), slices.Index(eventOrder, b.Kind)), cmp.Compare(b.Count, a.Count))
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, sumAbove(events, maxWalkEvents, v.Time)...)
	h.limitEvents()
}

// exitKind returns the kind of an exit.
func exitKind(reason, code string) string {
	if grouping.IsFailure(reason, code) {
		return EventFailure
	}
	return EventExit
}

// An eventKey identifies the processes of an event. Only exits have a reason and a code.
type eventKey struct{ kind, group, reason, code string }

// newestExits returns the known times of the newest exits.
func newestExits(ended []grouping.EndedProcess) map[eventKey]time.Time {
	out := make(map[eventKey]time.Time)
	add := func(key eventKey, end time.Time) {
		if end.After(out[key]) {
			out[key] = end
		}
	}
	for i := range ended {
		e := &ended[i]
		add(eventKey{exitKind(e.Reason, e.Code), e.Group, e.Reason, e.Code}, e.End)
		if e.OOMKilled {
			add(eventKey{kind: EventOOMKill, group: e.Group}, e.End)
		}
	}
	return out
}

// sumAbove returns events with a sum for each kind in place of those after the first limit.
func sumAbove(events []Event, limit int, at time.Time) []Event {
	if len(events) <= limit {
		return events
	}
	out := slices.Clip(events[:limit])
	for _, e := range events[limit:] {
		if last := &out[len(out)-1]; last.Others > 0 && last.Kind == e.Kind {
			last.add(e)
			continue
		}
		sum := Event{Time: Timestamp{at}, Kind: e.Kind, Approximate: true}
		sum.add(e)
		out = append(out, sum)
	}
	return out
}

// add adds another event to a sum.
func (e *Event) add(other Event) {
	e.Count += other.Count
	e.Others += max(1, other.Others)
	if other.Time.After(e.Time.Time) {
		e.Time = other.Time
	}
}

// limitEvents adds events above maxEvents up: the oldest starts and regular exits first, which
// are frequent on some machines, and then the oldest of all.
func (h *history) limitEvents() {
	for _, kinds := range [][]string{{EventStart, EventExit}, eventOrder} {
		extra := len(h.events) - maxEvents
		if extra <= 0 {
			return
		}
		type key struct {
			kind string
			part int64 // of the time of the history
		}
		sums := make(map[key]*Event)
		kept := h.events[:0]
		for _, e := range h.events {
			k := key{e.Kind, e.Time.UnixNano() / (int64(h.retention) / eventSums)}
			switch sum := sums[k]; {
			case extra == 0 || !slices.Contains(kinds, e.Kind):
				kept = append(kept, e)
			case sum != nil:
				sum.add(e)
				extra--
			default:
				sum := Event{Time: e.Time, Kind: e.Kind, Approximate: true}
				sum.add(e)
				kept = append(kept, sum)
				sums[k] = &kept[len(kept)-1]
			}
		}
		clear(h.events[len(kept):])
		h.events = kept
	}
}

// exitCount returns how many processes of g exited with a code.
func exitCount(g *grouping.Group, reason, code string) uint64 {
	for i := range g.Exits {
		if e := &g.Exits[i]; e.Reason == reason && e.Code == code {
			return e.Count
		}
	}
	return 0
}
