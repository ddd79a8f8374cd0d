package grouping

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed57308aee/process_exporter/grouping/redact"
	"github.com/seed57308aee/process_exporter/platform"
)

// A ProcessOrder is the value by which processes are sorted.
type ProcessOrder uint8

// The orders of processes. All are descending.
const (
	ByCPU ProcessOrder = iota
	ByResident
	ByRead
	ByWrite
	ByStart // newest first
	ByPID
)

// A ProcessScope says which processes a [ProcessQuery] selects.
type ProcessScope uint8

// The scopes of a query.
const (
	ScopeGroup     ProcessScope = iota // the processes of the groups with the name Group
	ScopeUngrouped                     // the processes in no group, without kernel threads
	ScopeLargest                       // of each group name, the process with the most resident memory
	ScopeFound                         // as ScopeLargest, also in no group, of the processes that Text selects
)

// A ProcessQuery selects processes.
type ProcessQuery struct {
	Scope    ProcessScope
	Group    string       // with ScopeGroup
	Text     string       // with ScopeFound: a PID, or a part of the name (comm) in lower case
	Order    ProcessOrder // ScopeLargest and ScopeFound have the order ByResident
	Reversed bool
	Limit    int // maximum number of processes
}

// A watchKey identifies a processWatch: by its scope, and the name of the group with ScopeGroup.
type watchKey struct {
	scope ProcessScope
	group string
}

func (q *ProcessQuery) watchKey() watchKey { return watchKey{q.Scope, q.Group} }

// watchKey returns the key of the queries that select the process of r, except ScopeLargest and ScopeFound.
func (r *processRecord) watchKey() watchKey {
	if r.group == nil {
		return watchKey{scope: ScopeUngrouped}
	}
	return watchKey{ScopeGroup, r.group.name}
}

// A ProcessList is the result of a ProcessQuery.
type ProcessList struct {
	Query     ProcessQuery
	Total     int       // processes in the scope
	Interval  float64   // seconds of the rates, 0 if there are none
	Processes []Process // in the order of the query

	SuggestedRules string // of ungrouped Processes, see [SuggestRules]
}

// A Process is the state of one live process.
type Process struct {
	Group   string // name, "" in no group
	PID     int
	Start   time.Time
	State   byte   // R, S, D, Z, T and so on
	User    string // effective user; "" if it could not be read
	Name    string // name of the process, comm
	Command string // command line without secrets, or the name in brackets

	Have          platform.Fields // of the values below
	HaveRates     platform.Fields // fields whose rates are known: CPU, ReadBytes and WriteBytes
	NumThreads    int
	ResidentBytes uint64
	CPU           float64 // in cores
	ReadBytes     float64 // per second
	WriteBytes    float64 // per second
}

// maxCommand is the length in bytes from which on a command line is shortened.
const maxCommand = 1000

// A processWatch holds what rates of the processes of one group need.
type processWatch struct {
	at       uint64  // ticks after boot of the walk of base
	interval float64 // seconds between the last two walks of base; 0 before the second
	usage    map[platform.ID]processUsage
}

// A processUsage holds the counters of a process in the walk of processWatch.at, and its
// rates until then.
type processUsage struct {
	have, rates                  platform.Fields
	cpuNanos, readBytes, written uint64
	cpu, readRate, writeRate     float64
}

// Processes returns the processes that queries select, as of the last Update, which must have
// succeeded. Rates need two calls that are about a second apart; Processes forgets the groups
// that queries do not contain. It reads the user and the command line of the returned processes
// only. It must not be called during an Update.
func (t *Tracker) Processes(ctx context.Context, queries []ProcessQuery) []ProcessList {
	if len(queries) == 0 {
		t.watches = nil
		return nil
	}
	members := make(map[watchKey][]int) // indexes of records
	for i := range queries {
		members[queries[i].watchKey()] = nil
	}
	for i := range t.records {
		r := &t.records[i]
		if list, ok := members[r.watchKey()]; ok && (r.group != nil || !r.kernelThread) {
			members[r.watchKey()] = append(list, i)
		}
	}
	watches := make(map[watchKey]*processWatch, len(members))
	for key, list := range members {
		w := t.watches[key]
		if w == nil {
			w = new(processWatch)
		}
		t.updateWatch(w, list)
		watches[key] = w
	}
	t.watches = watches
	out := make([]ProcessList, len(queries))
	for i, q := range queries {
		if q.Scope == ScopeLargest || q.Scope == ScopeFound {
			out[i] = t.largestProcesses(ctx, q)
			continue
		}
		out[i] = t.listProcesses(ctx, q, members[q.watchKey()], watches[q.watchKey()])
	}
	return out
}

// updateWatch computes the rates of the processes with these indexes of records, unless the
// last walk of w is too recent.
func (t *Tracker) updateWatch(w *processWatch, members []int) {
	elapsed := t.snap.Now - w.at
	if w.usage != nil && elapsed < t.snap.TicksPerSecond*9/10 {
		return
	}
	seconds := float64(elapsed) / float64(t.snap.TicksPerSecond)
	usage := make(map[platform.ID]processUsage, len(members))
	for _, i := range members {
		s := &t.snap.Samples[i]
		u := processUsage{have: s.Have, cpuNanos: s.UserNanos + s.SystemNanos, readBytes: s.ReadBytes, written: s.WriteBytes}
		if before, ok := w.before(s); ok && w.usage != nil {
			u.rates = u.have & before.have & (platform.FieldStat | platform.FieldIO)
			u.cpu = increase(before.cpuNanos, u.cpuNanos) / 1e9 / seconds
			u.readRate = increase(before.readBytes, u.readBytes) / seconds
			u.writeRate = increase(before.written, u.written) / seconds
		}
		usage[s.ID] = u
	}
	if w.usage != nil {
		w.interval = seconds
	}
	w.usage, w.at = usage, t.snap.Now
}

// before returns the counters of a process in the previous walk. Those of a process that
// started later were 0.
func (w *processWatch) before(s *platform.Sample) (processUsage, bool) {
	u, ok := w.usage[s.ID]
	if !ok && s.Start >= w.at {
		return processUsage{have: s.Have}, true
	}
	return u, ok
}

func increase(before, now uint64) float64 {
	if now < before {
		return 0
	}
	return float64(now - before)
}

// listProcesses returns the result of q.
func (t *Tracker) listProcesses(ctx context.Context, q ProcessQuery, members []int, w *processWatch) ProcessList {
	out := ProcessList{Query: q, Total: len(members), Interval: w.interval}
	sorted := slices.Clone(members)
	slices.SortFunc(sorted, func(a, b int) int {
		x, y := &t.snap.Samples[a], &t.snap.Samples[b]
		order := cmp.Or(cmp.Compare(w.value(q.Order, y), w.value(q.Order, x)), cmp.Compare(x.PID, y.PID))
		if q.Reversed {
			return -order
		}
		return order
	})
	var ungrouped []Ungrouped
	for _, i := range sorted[:min(len(sorted), q.Limit)] {
		out.Processes = append(out.Processes, t.process(ctx, i, w))
		if q.Scope == ScopeUngrouped {
			ungrouped = append(ungrouped, t.newUngrouped(i))
		}
	}
	t.DescribeUngrouped(ctx, ungrouped)
	out.SuggestedRules = SuggestRules(ungrouped)
	return out
}

// largestProcesses returns the process with most resident memory of each group name, in the
// order of this memory, without rates. With ScopeFound, only selected processes count.
func (t *Tracker) largestProcesses(ctx context.Context, q ProcessQuery) ProcessList {
	largest := make(map[string]int) // indexes of records by group name
	for i := range t.records {
		g, s := t.records[i].watchKey(), &t.snap.Samples[i]
		if q.Scope == ScopeLargest && g.scope == ScopeUngrouped || q.Scope == ScopeFound && !q.finds(s) {
			continue
		}
		if at, ok := largest[g.group]; !ok || s.ResidentBytes > t.snap.Samples[at].ResidentBytes {
			largest[g.group] = i
		}
	}
	byResident := q
	byResident.Order, byResident.Reversed = ByResident, false
	list := t.listProcesses(ctx, byResident, slices.Collect(maps.Values(largest)), new(processWatch))
	list.Query = q
	return list
}

// finds reports whether Text selects the process of s. A number is a PID only.
func (q *ProcessQuery) finds(s *platform.Sample) bool {
	if pid, err := strconv.Atoi(q.Text); err == nil {
		return s.PID == pid
	}
	return strings.Contains(strings.ToLower(s.Comm), q.Text)
}

// value returns the value by which a process is sorted.
func (w *processWatch) value(order ProcessOrder, s *platform.Sample) float64 {
	u := w.usage[s.ID]
	switch order {
	case ByResident:
		return float64(s.ResidentBytes)
	case ByRead:
		return u.readRate
	case ByWrite:
		return u.writeRate
	case ByStart:
		return float64(s.Start)
	case ByPID:
		return float64(s.PID)
	}
	return u.cpu
}

// process returns the state of the process at index i, and reads its user and command line. If it
// has exited since the walk, or is unresponsive, it has no user, and Command is the name in brackets.
func (t *Tracker) process(ctx context.Context, i int, w *processWatch) Process {
	s := &t.snap.Samples[i]
	u := w.usage[s.ID]
	p := Process{
		Group: t.records[i].watchKey().group, PID: s.PID, Start: t.timeOf(s.Start), State: s.State,
		Have: s.Have, HaveRates: u.rates, NumThreads: s.NumThreads, ResidentBytes: s.ResidentBytes,
		CPU: u.cpu, ReadBytes: u.readRate, WriteBytes: u.writeRate,
		Name: LabelValue(s.Comm), Command: "[" + LabelValue(s.Comm) + "]",
	}
	id, err := t.src.Identify(ctx, s, platform.IdentityArgs|platform.IdentityUser)
	if err != nil {
		return p
	}
	p.User = LabelValue(id.Username)
	if len(id.Args) > 0 {
		p.Command = shortCommand(id.Args)
	}
	return p
}

// timeOf returns the time of a number of clock ticks after boot. It uses the time of the walk if that
// is known, because Snapshot.BootTime has whole seconds.
func (t *Tracker) timeOf(ticks uint64) time.Time {
	if ms := unixMillis(&t.snap, ticks); ms != 0 {
		return time.UnixMilli(ms).UTC()
	}
	hz := t.snap.TicksPerSecond
	return t.snap.BootTime.Add(time.Duration(ticks/hz)*time.Second + time.Duration(ticks%hz)*time.Second/time.Duration(hz))
}

// shortCommand returns a command line without secrets. It shortens the command line after the
// secrets are removed: a part of a secret may not look like one.
func shortCommand(args []string) string {
	text := LabelValue(redact.Secrets(strings.Join(args, " ")))
	if len(text) <= maxCommand {
		return text
	}
	return strings.ToValidUTF8(text[:maxCommand], "") + "…"
}
