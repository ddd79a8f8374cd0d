package grouping

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/seed57308aee/process_exporter/platform/sockets"
)

// Sockets are the network sockets of the processes of a group.
type Sockets struct {
	// Traffic counts from CountersStart of the group, and includes sockets of exited
	// processes. Its RoundTrips is nil. HasTraffic says that it was ever read, and
	// TrafficRead that this update has read it.
	Traffic     sockets.Traffic
	HasTraffic  bool
	TrafficRead bool

	RoundTrips    Histogram // smoothed round-trip times: one per update of each connection that sent data
	MeanRoundTrip float64   // mean of those of this update, in seconds; 0 if there were none

	// HasOpen says that the fields below were read of at least one process. In a group
	// without processes they are known, and 0. Unreadable is always known.
	HasOpen               bool
	Open                  sockets.OpenSockets // its Listeners is nil
	Ports                 []ListeningPort     // sorted by protocol and port
	HasAcceptQueue        bool                // a process has a listening TCP socket whose backlog is known
	WorstAcceptQueueRatio float64             // highest ratio of waiting connections to their maximum, with HasAcceptQueue
	Expected              []ExpectedPort      // of [Expect.Listen] in order, if they are known
	Unreadable            int                 // processes whose sockets are unknown
}

// A ListeningPort counts the processes that receive connections or datagrams on a port.
type ListeningPort struct {
	Protocol sockets.Protocol
	Port     string // a number, EphemeralPort or OtherPort
	Procs    int
}

// Values of [ListeningPort.Port] for several ports.
const (
	EphemeralPort = "ephemeral" // UDP ports from firstEphemeralPort on: the kernel chooses them for clients
	OtherPort     = "other"     // ports after the first maxListeningPorts of a group
)

const (
	// firstEphemeralPort is the default of net.ipv4.ip_local_port_range.
	firstEphemeralPort = 32768

	// maxListeningPorts limits the numbered ports of a group: each is a series.
	maxListeningPorts = 100
)

// Connections returns the number of TCP connections. Listening sockets and sockets in the
// state TIME_WAIT, which belong to no process, are none.
func (s *Sockets) Connections() (n int) {
	for state, count := range s.Open.Connections {
		if state := sockets.State(state); state != sockets.StateListen && state != sockets.StateTimeWait {
			n += count
		}
	}
	return n
}

// An ExpectedPort says whether a process of a group listens on a port that its rule expects.
type ExpectedPort struct {
	Protocol  sockets.Protocol
	Port      string
	Listening bool
}

// groupSockets is the state that the Tracker keeps of the sockets of one group.
type groupSockets struct {
	trafficTotal
	hasTraffic  bool
	trafficRead bool    // by this update
	countBefore uint64  // RoundTrips before this update
	sumBefore   float64 // likewise, in seconds

	listeners []sockets.Listener // of all processes in this update
}

// beginUpdate notes the values before this update.
func (g *groupSockets) beginUpdate() {
	g.countBefore, g.sumBefore, g.listeners = g.roundTrips.Count, g.roundTrips.Sum, g.listeners[:0]
}

// merge adds the counters of another group.
func (g *groupSockets) merge(from *groupSockets) {
	g.add(&from.trafficTotal)
	g.hasTraffic = g.hasTraffic || from.hasTraffic
}

// meanRoundTrip returns the mean of the round-trip times of this update, in seconds, or 0.
func (g *groupSockets) meanRoundTrip() float64 {
	if n := g.roundTrips.Count - g.countBefore; n > 0 {
		return (g.roundTrips.Sum - g.sumBefore) / float64(n)
	}
	return 0
}

// summarizeSockets adds the open sockets of the Report to the gauges of groups.
func (t *Tracker) summarizeSockets() {
	k := &t.sockets
	if !k.read || k.report.Parts&sockets.PartOpen == 0 {
		return
	}
	t.health.Incomplete = t.health.Incomplete || k.report.Incomplete
	cursor := recordCursor{t: t}
	for i := range k.report.Processes {
		p := &k.report.Processes[i]
		at := cursor.find(p)
		if at < 0 || t.records[at].group == nil {
			continue
		}
		if g := t.records[at].group; p.Unreadable {
			g.gauges.Sockets.Unreadable++
		} else {
			g.addOpenSockets(&p.Open)
		}
	}
	for _, g := range t.groups {
		v := &g.gauges.Sockets
		v.HasOpen = g.gauges.Procs == 0 || g.gauges.Procs > v.Unreadable
		g.setPorts()
	}
}

// addOpenSockets adds the sockets of one process.
func (g *groupState) addOpenSockets(d *sockets.OpenSockets) {
	v := &g.gauges.Sockets.Open
	for state, n := range d.Connections {
		v.Connections[state] += n
	}
	v.UDP += d.UDP
	v.UDPReceiveQueueBytes += d.UDPReceiveQueueBytes
	v.UDPSendQueueBytes += d.UDPSendQueueBytes
	v.Unix += d.Unix
	g.sockets.listeners = append(g.sockets.listeners, d.Listeners...)
	for _, l := range d.Listeners {
		if l.Backlog > 0 {
			g.gauges.Sockets.HasAcceptQueue = true
			ratio := float64(l.AcceptQueue) / float64(l.Backlog)
			g.gauges.Sockets.WorstAcceptQueueRatio = max(g.gauges.Sockets.WorstAcceptQueueRatio, ratio)
		}
	}
}

// setPorts sets the listening ports and the expected ports from the listeners of all
// processes. An expected port that a process with unknown sockets may have is unknown.
func (g *groupState) setPorts() {
	v, all := &g.gauges.Sockets, g.sockets.listeners
	slices.SortFunc(all, func(a, b sockets.Listener) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Port, b.Port))
	})
	var ports []ListeningPort
	var other [2]ListeningPort // by Protocol
	var ephemeral int
	for i := 0; i < len(all); {
		from := i
		for i < len(all) && all[i].Protocol == all[from].Protocol && all[i].Port == all[from].Port {
			i++
		}
		switch l := all[from]; {
		case l.Protocol == sockets.UDP && l.Port >= firstEphemeralPort:
			ephemeral += i - from
		case len(ports) < maxListeningPorts:
			ports = append(ports, ListeningPort{l.Protocol, strconv.Itoa(int(l.Port)), i - from})
		default:
			other[l.Protocol] = ListeningPort{l.Protocol, OtherPort, other[l.Protocol].Procs + i - from}
		}
	}
	for _, o := range other {
		if o.Procs > 0 {
			ports = append(ports, o)
		}
	}
	if ephemeral > 0 {
		ports = append(ports, ListeningPort{sockets.UDP, EphemeralPort, ephemeral})
	}
	v.Ports = ports
	if g.expect == nil {
		return
	}
	for _, port := range g.expect.Listen {
		listening := slices.ContainsFunc(all, func(l sockets.Listener) bool { return l.Protocol == port.Protocol && l.Port == port.Number })
		if v.HasOpen && (listening || v.Unreadable == 0) {
			v.Expected = append(v.Expected, ExpectedPort{port.Protocol, strconv.Itoa(int(port.Number)), listening})
		}
	}
}

// socketsCopy returns the sockets of the group. Later updates do not change it.
func (g *groupState) socketsCopy() Sockets {
	out := g.gauges.Sockets
	out.Traffic, out.HasTraffic, out.TrafficRead = g.sockets.Traffic, g.sockets.hasTraffic, g.sockets.trafficRead
	out.RoundTrips, out.MeanRoundTrip = g.sockets.roundTrips.clone(), g.sockets.meanRoundTrip()
	return out
}
