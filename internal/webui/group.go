package webui

import (
	"fmt"
	"time"

	"github.com/prometheus/common/version"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
)

// exporter tells how the exporter was in the last walk of p, and what it is set to now.
func (r *Recorder) exporter(p *past) Exporter {
	e := Exporter{Version: version.Version, Revision: version.GetRevision(), ScrapeSuccess: p.last != nil && p.failed == nil}
	r.about(&e)
	if p.failed != nil {
		e.Error = p.failed.Error()
	}
	if p.last == nil {
		return e
	}
	h := &p.last.Health
	e.Source, e.ScrapeSeconds, e.ScrapePartial = h.Source, p.last.Took.Seconds(), h.Incomplete
	e.Unreadable, e.Blocked = h.Hidden+h.Partial, h.Unresponsive
	e.LostEvents, e.LimitedGroups = h.LostExitEvents, h.GroupLimitHits
	return e
}

// report tells what all groups do.
func (p *past) report(e Exporter) Report {
	out := p.begin(e)
	for i := range p.groups() {
		out.Groups = append(out.Groups, p.group(&p.last.Groups[i]))
	}
	return out
}

// detail tells more of the groups of one name.
func (p *past) detail(e Exporter, name string) Report {
	out := p.begin(e)
	for i := range p.groups() {
		if g := &p.last.Groups[i]; g.Name == name {
			detailed := p.group(g)
			p.addDetail(&detailed, g)
			out.Groups = append(out.Groups, detailed)
		}
	}
	return out
}

// begin returns a Report without groups.
func (p *past) begin(e Exporter) Report {
	out := Report{Version: Version, Interval: p.between, Exporter: e, Groups: []Group{}}
	if p.last != nil {
		out.Time = p.last.Time
	}
	return out
}

// groups returns how many there are.
func (p *past) groups() int {
	if p.last == nil {
		return 0
	}
	return len(p.last.Groups)
}

// group tells what a group does.
func (p *past) group(g *grouping.Group) Group {
	out := Group{Name: g.Name, Procs: g.Procs, Labels: p.labels(g), Rule: ruleName(g.Rule)}
	has := func(f platform.Fields) bool { return g.Known&f != 0 }
	if has(platform.FieldMemory) {
		out.ResidentBytes, out.Threads = &g.ResidentBytes, &g.NumThreads
		out.States = states(g)
	}
	if has(platform.FieldStatus) {
		out.SwapBytes = &g.SwapBytes
	}
	if has(platform.FieldSmaps) {
		out.PSSBytes, out.USSBytes, out.SmapsAge = &g.PSSBytes, &g.USSBytes, &g.SmapsAge
	}
	if has(platform.FieldFDs) {
		out.FDs = &g.FDs
	}
	if has(platform.FieldFDLimit) {
		out.FDRatio = &g.WorstFDRatio
	}
	if g.ExitsKnown {
		exits := uint64(0)
		for _, e := range g.Exits {
			exits += e.Count
		}
		out.Starts, out.Exits = &g.Starts, &exits
	}
	if g.Procs > 0 && has(platform.FieldStat) {
		start := time.Unix(g.OldestStart, 0).UTC()
		out.OldestStart = &start
	}
	p.rates(&out, g)
	return out
}

// rates adds what a group uses per second, if it was there in the walk before.
func (p *past) rates(out *Group, g *grouping.Group) {
	old := p.prev[g.Key()]
	if old == nil {
		return
	}
	both := g.Counted & old.Counted
	put := func(to **float64, f platform.Fields, value float64) {
		if both&f != 0 {
			*to = &value
		}
	}
	put(&out.CPU, platform.FieldStat, p.cores(old.UserNanos+old.SystemNanos, g.UserNanos+g.SystemNanos))
	put(&out.CPUUser, platform.FieldStat, p.cores(old.UserNanos, g.UserNanos))
	put(&out.CPUSystem, platform.FieldStat, p.cores(old.SystemNanos, g.SystemNanos))
	put(&out.MajorFaults, platform.FieldStat, p.rate(old.MajorFaults, g.MajorFaults))
	put(&out.ReadBytes, platform.FieldIO, p.rate(old.ReadBytes, g.ReadBytes))
	put(&out.WriteBytes, platform.FieldIO, p.rate(old.WriteBytes, g.WriteBytes))
	put(&out.ContextSwitches, platform.FieldStatus,
		p.rate(old.VoluntarySwitches+old.NonvoluntarySwitches, g.VoluntarySwitches+g.NonvoluntarySwitches))
	for _, v := range p.history[g.Key()] {
		out.History = append(out.History, float64(int64(v*1000+0.5))/1000)
	}
}

// addDetail adds what is told of a group that somebody asks for by name.
func (p *past) addDetail(out *Group, g *grouping.Group) {
	before := make(map[string]*grouping.Thread)
	if old := p.prev[g.Key()]; old != nil {
		for i := range old.Threads {
			before[old.Threads[i].Name] = &old.Threads[i]
		}
	}
	for i := range g.Threads {
		t := &g.Threads[i]
		name := ThreadName{Name: t.Name, Count: t.Count}
		if old := before[t.Name]; old != nil {
			cores := p.cores(old.UserNanos+old.SystemNanos, t.UserNanos+t.SystemNanos)
			name.CPU = &cores
		}
		out.ThreadNames = append(out.ThreadNames, name)
	}
	for _, w := range g.WChans {
		if out.WChans == nil {
			out.WChans = make(map[string]int)
		}
		out.WChans[w.Name] += w.Count
	}
	for _, e := range g.Exits {
		out.ExitCodes = append(out.ExitCodes, ExitCode{Reason: e.Reason, Code: e.Code, Count: e.Count})
	}
	if g.Expect != nil {
		out.Expect = &Expect{Min: g.Expect.Min}
		if g.Expect.Max >= 0 {
			out.Expect.Max = &g.Expect.Max
		}
	}
}

func (p *past) labels(g *grouping.Group) map[string]string {
	if len(g.Labels) == 0 {
		return nil
	}
	out := make(map[string]string, len(g.Labels))
	for i, value := range g.Labels {
		out[p.last.Labels[i]] = value
	}
	return out
}

// ruleName tells which rule made a group: its position, what it calls groups,
// and where it stands.
func ruleName(rule *grouping.Rule) string {
	switch {
	case rule == nil:
		return ""
	case rule.Line == 0:
		return fmt.Sprintf("%d: %s", rule.Position, rule.Template)
	}
	return fmt.Sprintf("%d: %s (line %d)", rule.Position, rule.Template, rule.Line)
}

// states returns how many threads are in which state, those without any left out.
func states(g *grouping.Group) map[string]int {
	names := [grouping.NumStates]string{"Running", "Sleeping", "Waiting", "Zombie", "Other"}
	out := make(map[string]int)
	for i, n := range g.States {
		if n > 0 {
			out[names[i]] = n
		}
	}
	return out
}
