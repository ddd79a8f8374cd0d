package grouping

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/platform/sockets"
)

// A replayReader is a Reader that returns prepared Reports: one for each Read.
type replayReader struct{ reports []sockets.Report }

var errReplayRead = errors.New("no report")

// Read fails if the prepared Report has no Parts.
func (r *replayReader) Read(_ context.Context, out *sockets.Report) error {
	*out = r.reports[0]
	r.reports = r.reports[1:]
	if out.Parts == 0 {
		return errReplayRead
	}
	return nil
}

func (r *replayReader) Kind() (platform.SourceKind, error) { return platform.SourceBPF, nil }

func (r *replayReader) Close() error { return nil }

// sent returns a Process that has sent bytes, and one round-trip time of a millisecond for
// each.
func sent(p platform.Sample, bytes uint64) sockets.Process {
	return sockets.Process{PID: p.PID, Start: p.Start, Traffic: sockets.Traffic{
		SentBytes: bytes, RoundTrips: slices.Repeat([]uint32{1000}, int(bytes)),
	}}
}

// socketReport returns a Report of processes with all Parts.
func socketReport(ps ...sockets.Process) sockets.Report {
	slices.SortFunc(ps, func(a, b sockets.Process) int { return a.PID - b.PID })
	return sockets.Report{Processes: ps, Parts: sockets.PartOpen | sockets.PartTraffic}
}

// A socketStep is one update: a walk and the Report that is read after it.
type socketStep struct {
	walkStep
	report sockets.Report
	want   string // sent bytes of the groups, and unattributed ones
}

// sentOf returns the sent bytes of all groups with some, and the unattributed ones.
func sentOf(t *Tracker, groups []Group) string {
	var out []string
	for i := range groups {
		if n := groups[i].Sockets.Traffic.SentBytes; n > 0 {
			out = append(out, fmt.Sprintf("%s %d", groups[i].Name, n))
		}
	}
	return strings.Join(append(out, fmt.Sprintf("none %d", t.SocketStatus().Unattributed.SentBytes)), ", ")
}

// The processes of the traffic tests. Rules match the names a and b.
var (
	trafficA     = liveSample(10, 100, "a", 1, 0)
	trafficB     = liveSample(20, 200, "b", 1, 0)
	trafficLateA = liveSample(40, 1250, "a", 3, 0)
)

func liveStep(all ...platform.Sample) walkStep { return walkStep{live: all} }

func procfsStep(all ...platform.Sample) walkStep { return walkStep{live: all, procfs: true} }

// exitStep returns a walk in which p has exited and all others live.
func exitStep(p platform.Sample, all ...platform.Sample) walkStep {
	return walkStep{live: all, exits: []platform.Exit{exitOf(p, 0)}}
}

// A trafficTest checks the groups in which traffic counts.
type trafficTest struct {
	name  string
	steps []socketStep
}

// run compares the traffic of the groups after each update.
func (tt *trafficTest) run(t *testing.T) {
	src, reader := new(replaySource), new(replayReader)
	for _, s := range tt.steps {
		src.steps, reader.reports = append(src.steps, s.walkStep), append(reader.reports, s.report)
	}
	o := replayOptions
	o.Sockets, o.Children = reader, true
	tr := NewTracker(src, parseRules(t, "- {name: '{{.Comm}}', comm: [a, b]}\n"), o)
	for i, s := range tt.steps {
		groups, err := tr.Update(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if got := sentOf(tr, groups); got != s.want {
			t.Errorf("update %d: got %s, want %s", i+1, got, s.want)
		}
		for _, g := range groups {
			if g.Sockets.TrafficRead != (s.report.Parts&sockets.PartTraffic != 0) {
				t.Errorf("update %d: got traffic of group %s read %v, with parts %b", i+1, g.Name, g.Sockets.TrafficRead, s.report.Parts)
			}
			if h := g.Sockets.RoundTrips; h.Count != g.Sockets.Traffic.SentBytes || len(h.Buckets) > 1 {
				t.Errorf("update %d: got round-trip times %+v of group %s, want %d", i+1, h, g.Name, g.Sockets.Traffic.SentBytes)
			}
		}
	}
}

// TestTraffic checks the group in which the traffic of a process counts.
func TestTraffic(t *testing.T) {
	a, none := trafficA, socketReport()
	child := childOf(10, liveSample(30, 1150, "sh", 2, 0))
	other := liveSample(50, 100, "other", 1, 0)
	reused := liveSample(10, 1150, "b", 4, 0)
	tests := []trafficTest{
		{"the first report does not count", []socketStep{
			{liveStep(a), socketReport(sent(a, 7)), "none 0"},
			{liveStep(a), socketReport(sent(a, 3)), "a 3, none 0"},
			{liveStep(a), none, "a 3, none 0"},
		}},
		{"process in no group", []socketStep{
			{liveStep(a, other), none, "none 0"},
			{liveStep(a, other), socketReport(sent(other, 4), sent(a, 1)), "a 1, none 4"},
		}},
		{"child that joins a group", []socketStep{
			{liveStep(a), none, "none 0"},
			{liveStep(a, child), socketReport(sent(child, 6)), "a 6, none 0"},
		}},
		{"reused PID", []socketStep{
			{liveStep(a), none, "none 0"},
			{exitStep(a, reused), socketReport(sent(a, 5), sent(reused, 2)), "a 5, b 2, none 0"},
		}},
		{"failed read", []socketStep{
			{liveStep(a), none, "none 0"},
			{liveStep(a), socketReport(sent(a, 5)), "a 5, none 0"},
			{liveStep(a), sockets.Report{}, "a 5, none 0"},
		}},
		{"sockets of the kernel", []socketStep{
			{liveStep(a), none, "none 0"},
			{liveStep(a), sockets.Report{Parts: sockets.PartTraffic, Unattributed: sockets.Traffic{SentBytes: 8}}, "none 8"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, tt.run)
	}
}

// TestTrafficOfExits checks the group in which traffic counts before the first walk and after the
// last walk that find its process.
func TestTrafficOfExits(t *testing.T) {
	a, b, late, none := trafficA, trafficB, trafficLateA, socketReport()
	tests := []trafficTest{
		{"traffic of an exited process", []socketStep{
			{liveStep(a, b), socketReport(), "none 0"},
			{exitStep(a, b), socketReport(sent(a, 5)), "a 5, none 0"},
			{liveStep(b), socketReport(sent(a, 2)), "a 7, none 0"},
		}},
		{"exit between the walk and the report", []socketStep{
			{liveStep(a, b), none, "none 0"},
			{liveStep(a, b), socketReport(sent(a, 5)), "a 5, none 0"},
			{exitStep(a, b), none, "a 5, none 0"},
		}},
		{"exit event that arrives late", []socketStep{
			{liveStep(a, b), none, "none 0"},
			{liveStep(b), socketReport(sent(a, 5)), "a 5, none 0"},
			{liveStep(b), socketReport(sent(a, 1)), "a 6, none 0"},
			{exitStep(a, b), none, "a 6, none 0"},
		}},
		{"start after the walk", []socketStep{
			{liveStep(a), none, "none 0"},
			{liveStep(a), none, "none 0"},
			{liveStep(a), socketReport(sent(late, 9)), "none 0"},
			{liveStep(a, late), socketReport(sent(late, 1)), "a 10, none 0"},
		}},
		{"start after the walk, then a failed read", []socketStep{
			{liveStep(a), none, "none 0"},
			{liveStep(a), socketReport(sent(late, 9)), "none 0"},
			{liveStep(a, late), sockets.Report{}, "a 9, none 0"},
		}},
		{"start and exit between two walks", []socketStep{
			{liveStep(a), none, "none 0"},
			{liveStep(a), none, "none 0"},
			{liveStep(a), socketReport(sent(late, 9)), "none 0"},
			{exitStep(late, a), none, "a 9, none 0"},
			{liveStep(a), socketReport(sent(late, 1)), "a 10, none 0"},
		}},
		{"process that no walk finds", []socketStep{
			{liveStep(a), none, "none 0"},
			{liveStep(a), socketReport(sent(late, 9)), "none 0"},
			{liveStep(a), socketReport(sent(late, 1)), "none 0"},
			{liveStep(a), none, "none 10"},
			{liveStep(a), socketReport(sent(late, 2)), "none 10"},
		}},
		{"exit without an event", []socketStep{
			{procfsStep(a, b), none, "none 0"},
			{procfsStep(b), socketReport(sent(a, 5)), "a 5, none 0"},
			{procfsStep(b), socketReport(sent(a, 2)), "a 7, none 0"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, tt.run)
	}
}

// TestExitedOwners checks that the groups of exited processes do not accumulate.
func TestExitedOwners(t *testing.T) {
	var o exitedOwners
	g := new(groupState)
	for pid := range maxExitedOwners + 10 {
		o.add(platform.ID{PID: pid}, g, 100)
	}
	if _, ok := o.find(platform.ID{PID: 9}, 100); ok || len(o.byID) != maxExitedOwners || len(o.order) != maxExitedOwners {
		t.Errorf("got %d processes, %d in order, want %d", len(o.byID), len(o.order), maxExitedOwners)
	}
	snap := platform.Snapshot{Now: 101 + exitedOwnerTTL*100, TicksPerSecond: 100}
	if got, ok := o.find(platform.ID{PID: maxExitedOwners + 9}, snap.Now); !ok || got != g {
		t.Errorf("got %v, want the group", got)
	}
	if o.removeOld(&snap); len(o.byID) != 1 || len(o.order) != 1 {
		t.Errorf("got %d processes, %d in order, want the one with traffic", len(o.byID), len(o.order))
	}
}

// TestOpenSockets checks the gauges of open sockets.
func TestOpenSockets(t *testing.T) {
	a, a2, b := liveSample(10, 100, "a", 1, 0), liveSample(11, 100, "a", 1, 0), liveSample(20, 200, "b", 1, 0)
	first := sockets.Process{PID: 10, Start: 100, Open: sockets.OpenSockets{
		UDP: 2, Unix: 1, UDPReceiveQueueBytes: 10, UDPSendQueueBytes: 20,
		Listeners: []sockets.Listener{{Port: 443, AcceptQueue: 1, Backlog: 4}, {Protocol: sockets.UDP, Port: 53},
			{Protocol: sockets.UDP, Port: 40000}},
	}}
	first.Open.Connections[sockets.StateEstablished] = 3
	second := sockets.Process{PID: 11, Start: 100, Open: sockets.OpenSockets{Listeners: []sockets.Listener{{Port: 443, Backlog: 4}}}}
	second.Open.Connections[sockets.StateEstablished] = 2
	unreadable := sockets.Process{PID: 20, Start: 200, Unreadable: true}
	many := sockets.Process{PID: 20, Start: 200}
	for port := range uint16(maxListeningPorts + 5) {
		many.Open.Listeners = append(many.Open.Listeners, sockets.Listener{Port: 1000 + port})
	}
	o := replayOptions
	o.Sockets = &replayReader{reports: []sockets.Report{
		socketReport(first, second, unreadable), socketReport(many), {}, {Parts: sockets.PartTraffic},
	}}
	step := walkStep{live: []platform.Sample{a, a2, b}}
	src := &replaySource{steps: []walkStep{step, step, step, step}}
	tr := NewTracker(src, parseRules(t,
		"- {name: a, comm: [a], expect: {listen: [443, 80, udp/53]}}\n- {name: b, comm: [b], expect: {listen: [443]}}\n"+
			"- {name: c, comm: [c], expect: {listen: [1]}}\n"), o)
	update := func() []Sockets {
		groups, err := tr.Update(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return []Sockets{groups[0].Sockets, groups[1].Sockets, groups[2].Sockets}
	}
	got := update()
	checkOpenSockets(t, got)
	got = update()
	if ports := got[1].Ports; len(ports) != maxListeningPorts+1 || ports[maxListeningPorts] != (ListeningPort{sockets.TCP, OtherPort, 5}) {
		t.Errorf("got the ports %v, want %d and others", ports, maxListeningPorts)
	}
	if v := got[0]; !v.HasOpen || v.Ports != nil || v.Open.UDP != 0 {
		t.Errorf("got %+v of a process without sockets", v)
	}
	for _, what := range []string{"a failed read", "a reader without open sockets"} {
		if v := update()[0]; v.HasOpen || v.Expected != nil || !v.HasTraffic {
			t.Errorf("got %+v after %s", v, what)
		}
	}
}

// checkOpenSockets checks the groups of the first update of TestOpenSockets.
func checkOpenSockets(t *testing.T, got []Sockets) {
	t.Helper()
	want := fmt.Sprint([]ListeningPort{{sockets.TCP, "443", 2}, {sockets.UDP, "53", 1}, {sockets.UDP, EphemeralPort, 1}})
	if v := got[0]; !v.HasOpen || fmt.Sprint(v.Ports) != want || v.Open.Connections[sockets.StateEstablished] != 5 || v.Open.UDP != 2 ||
		v.Open.Unix != 1 || v.Open.UDPReceiveQueueBytes != 10 || v.Open.UDPSendQueueBytes != 20 || v.WorstAcceptQueueRatio != 0.25 {
		t.Errorf("got %+v, want the ports %s", v, want)
	}
	if got, want := fmt.Sprint(got[0].Expected), "[{tcp 80 false} {tcp 443 true} {udp 53 true}]"; got != want {
		t.Errorf("got expected ports %s, want %s", got, want)
	}
	if v := got[1]; v.HasOpen || v.Unreadable != 1 || v.Expected != nil {
		t.Errorf("got %+v of a process with unreadable sockets", v)
	}
	if v := got[2]; !v.HasOpen || fmt.Sprint(v.Expected) != "[{tcp 1 false}]" {
		t.Errorf("got %+v of a group without processes", v)
	}
}

// TestHistogramBuckets checks the bounds of buckets: the upper one is inclusive.
func TestHistogramBuckets(t *testing.T) {
	var h, sum Histogram
	for _, micros := range []uint32{0, 1, 250_000, 250_001, 500_000, 1_000_000, 1_000_001, 4_294_967_295} {
		h.observe(micros)
	}
	want := "{8 4297.96730 [{-159 2} {-16 1} {-15 1} {-8 1} {0 1} {1 1} {97 1}]}"
	if got := fmt.Sprintf("{%d %.5f %v}", h.Count, h.Sum, h.Buckets); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	sum.add(&h)
	copied := sum.clone()
	sum.add(&h)
	if fmt.Sprint(copied) != fmt.Sprint(h) || sum.Count != 16 || sum.Buckets[0].Count != 4 {
		t.Errorf("got %v and %v, want the sum of %v", copied, sum, h)
	}
}
