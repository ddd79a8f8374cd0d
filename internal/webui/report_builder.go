package webui

import (
	"context"
	"fmt"

	"github.com/prometheus/common/version"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
)

// NewGroup returns the state of g without rates. labelNames are the names of
// g.Labels. The result refers to fields of g.
func NewGroup(g *grouping.Group, labelNames []string) Group {
	out := Group{Name: g.Name, Labels: labelMap(labelNames, g.Labels), Rule: newRule(g.Rule), Procs: g.Procs}
	has := func(f platform.Fields) bool { return g.GaugeFields&f != 0 }
	if has(platform.FieldMemory) {
		out.ResidentBytes, out.VirtualBytes, out.NumThreads = &g.ResidentBytes, &g.VirtualBytes, &g.NumThreads
		out.States = threadStates(g)
	}
	if has(platform.FieldStatus) {
		out.SwappedBytes = &g.SwapBytes
	}
	if has(platform.FieldSmaps) {
		out.ProportionalBytes, out.UniqueBytes, out.SmapsAge = &g.PSSBytes, &g.USSBytes, &g.SmapsAge
	}
	if has(platform.FieldFDs) {
		out.OpenFDs = &g.FDs
	}
	if has(platform.FieldFDLimit) {
		out.WorstFDRatio = &g.WorstFDRatio
	}
	if g.ExitsKnown {
		exits := uint64(0)
		for _, e := range g.Exits {
			exits += e.Count
		}
		out.Starts, out.Exits = &g.Starts, &exits
	}
	if g.Procs > 0 && has(platform.FieldStat) {
		out.OldestStart = &g.OldestStart
	}
	if g.Expect != nil {
		out.ExpectedMin, out.Matched = &g.Expect.Min, &g.Matched
		if g.Expect.Max >= 0 {
			out.ExpectedMax = &g.Expect.Max
		}
	}
	out.setConnections(g)
	return out
}

// SetRates sets the rates between two walks that are seconds apart. A rate is
// set if both walks know the counter. A counter that decreased has the rate 0.
func (g *Group) SetRates(before, after *grouping.Group, seconds float64) {
	both := after.CounterFields & before.CounterFields
	set := func(to **float64, f platform.Fields, a, b uint64, unit float64) {
		if both&f != 0 {
			value := rate(a, b, seconds) / unit
			*to = &value
		}
	}
	const nanos = 1e9
	set(&g.CPU, platform.FieldStat, before.UserNanos+before.SystemNanos, after.UserNanos+after.SystemNanos, nanos)
	set(&g.CPUUser, platform.FieldStat, before.UserNanos, after.UserNanos, nanos)
	set(&g.CPUSystem, platform.FieldStat, before.SystemNanos, after.SystemNanos, nanos)
	set(&g.MajorFaults, platform.FieldStat, before.MajorFaults, after.MajorFaults, 1)
	set(&g.ReadBytes, platform.FieldIO, before.ReadBytes, after.ReadBytes, 1)
	set(&g.WriteBytes, platform.FieldIO, before.WriteBytes, after.WriteBytes, 1)
	set(&g.ContextSwitches, platform.FieldStatus,
		before.VoluntarySwitches+before.NonvoluntarySwitches, after.VoluntarySwitches+after.NonvoluntarySwitches, 1)
	g.setTraffic(before, after, seconds)
}

// rate returns the increase of a counter per second.
func rate(before, after uint64, seconds float64) float64 {
	if after < before { // for example of a group that was removed and began again at 0
		return 0
	}
	return float64(after-before) / seconds
}

// reportStatus has the parts of a Report that are not about groups. Values are comparable:
// equal ones have the same JSON.
type reportStatus struct {
	exporter ExporterStatus
	machine  *MachineStatus // immutable
}

// reportStatus returns the state of the exporter and the machine for a request.
func (r *Recorder) reportStatus(ctx context.Context, s *recording) reportStatus {
	return reportStatus{r.exporter(s), r.machine.update(ctx, r.maxAge*9/10)}
}

// exporter returns the state of the exporter in the last walk of s, and its
// current configuration.
func (r *Recorder) exporter(s *recording) ExporterStatus {
	e := ExporterStatus{Version: version.Version, Revision: version.GetRevision(), ScrapeSuccess: s.last != nil && s.err == nil}
	r.describe(&e)
	if s.err != nil {
		e.Error = s.err.Error()
	}
	if s.last == nil {
		return e
	}
	h := &s.last.Health
	e.Source, e.ScrapeDuration, e.ScrapeIncomplete = string(h.Kind), s.last.Took.Seconds(), h.Incomplete
	e.Unreadable, e.Unresponsive = h.StatUnreadable+h.Partial, h.Unresponsive
	e.LostExitEvents, e.GroupLimitHits = h.LostExitEvents, h.GroupLimitHits
	e.SocketSource = string(s.last.Sockets.Kind)
	return e
}

// report returns the state of all groups, and the points of the histories in it.
func (s *recording) report(e reportStatus) (out Report, recent pointNumbers) {
	out, recent = s.emptyReport(e)
	for i := range s.groups() {
		out.Groups = append(out.Groups, s.group(&s.last.Groups[i], recent))
	}
	return out, recent
}

// detail returns the detailed state of the groups with one name.
func (s *recording) detail(e reportStatus, name string) Report {
	out, recent := s.emptyReport(e)
	for i := range s.groups() {
		if g := &s.last.Groups[i]; g.Name == name {
			detailed := s.group(g, recent)
			s.addDetail(&detailed, g)
			out.Groups = append(out.Groups, detailed)
		}
	}
	return out
}

// emptyReport returns a report without groups, and the points of the histories in it.
func (s *recording) emptyReport(e reportStatus) (out Report, recent pointNumbers) {
	out = Report{Version: Version, Interval: s.interval, Exporter: e.exporter, Machine: e.machine, Groups: []Group{}}
	if s.last == nil {
		return out, recent
	}
	recent, out.HistoryTimes = s.history.recent()
	out.Time = Timestamp{s.last.Time}
	if s.failures.known {
		total, seconds := s.failures.total, s.failures.seconds(s.last.Time)
		out.FailedExits, out.FailedExitsSeconds = &total, &seconds
	}
	return out, recent
}

// groups returns the number of groups.
func (s *recording) groups() int {
	if s.last == nil {
		return 0
	}
	return len(s.last.Groups)
}

// group returns the state of g, with rates if the previous walk contained it, and its history at the recent points.
func (s *recording) group(g *grouping.Group, recent pointNumbers) Group {
	out := NewGroup(g, s.last.Labels)
	if s.failures.known && g.ExitsKnown {
		failed := s.failures.groups[g.Key()]
		out.FailedExits = &failed
	}
	before := s.prev[g.Key()]
	if before == nil {
		return out
	}
	out.SetRates(before, g, s.interval)
	out.CPUHistory = s.history.cpuOf(g.Key(), recent)
	return out
}

// addDetail sets the fields that only reports about one name contain.
func (s *recording) addDetail(out *Group, g *grouping.Group) {
	before := make(map[string]*grouping.ThreadTotals)
	if old := s.prev[g.Key()]; old != nil {
		for i := range old.Threads {
			before[old.Threads[i].Name] = &old.Threads[i]
		}
	}
	for i := range g.Threads {
		t := &g.Threads[i]
		name := ThreadTotals{Name: t.Name, Count: t.Count}
		if old := before[t.Name]; old != nil {
			cpu := rate(old.UserNanos+old.SystemNanos, t.UserNanos+t.SystemNanos, s.interval) / 1e9
			name.CPU = &cpu
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
		out.ExitCounts = append(out.ExitCounts, ExitCount{Reason: e.Reason, Code: e.Code, Count: e.Count})
	}
	out.AddDetail(g)
}

func labelMap(names, values []string) map[string]string {
	if len(values) == 0 {
		return nil
	}
	out := make(map[string]string, len(values))
	for i, value := range values {
		out[names[i]] = value
	}
	return out
}

func newRule(rule *grouping.Rule) *Rule {
	if rule == nil {
		return nil
	}
	return &Rule{Position: rule.Position, Name: rule.Template, Line: rule.Line}
}

// String returns the rule as text, such as "2: {{.Comm}} (line 7)".
func (r *Rule) String() string {
	if r.Line == 0 {
		return fmt.Sprintf("%d: %s", r.Position, r.Name)
	}
	return fmt.Sprintf("%d: %s (line %d)", r.Position, r.Name, r.Line)
}

// threadStates returns the number of threads by state, without states of no
// thread.
func threadStates(g *grouping.Group) map[string]int {
	out := make(map[string]int)
	for i, n := range g.States {
		if n > 0 {
			out[grouping.StateNames[i]] = n
		}
	}
	return out
}
