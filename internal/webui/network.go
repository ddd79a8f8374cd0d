package webui

import (
	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform/sockets"
)

// Network is what the collector network knows about a group: nothing without it. The traffic is
// known only if BPF programs read the sockets.
type Network struct {
	SentBytes     *float64 `json:"tcp_sent_bytes_per_second,omitempty"`     // payload
	ReceivedBytes *float64 `json:"tcp_received_bytes_per_second,omitempty"` // payload
	Connections   *int     `json:"tcp_connections,omitempty"`               // in all states, without listening sockets

	// ExpectedPortsNotListening are the ports of [grouping.Expect] on which no process listens, such as tcp/443.
	ExpectedPortsNotListening []string `json:"expected_ports_not_listening,omitempty"`

	// Only in reports about one name.
	ConnectionsByState map[string]int  `json:"tcp_connections_by_state,omitempty"` // without states of no connection
	ListeningPorts     []ListeningPort `json:"listening_ports,omitempty"`          // sorted by protocol and port
}

// A ListeningPort counts the processes of a group that receive connections or datagrams on a
// port.
type ListeningPort struct {
	Protocol string `json:"protocol"`
	Port     string `json:"port"` // a number, or the name of several ports: see [grouping.ListeningPort]
	Procs    int    `json:"listening_procs"`
}

// hasNetwork reports whether the collector network exports the sockets of g. The Tracker reads
// the sockets of all groups if one has the collector.
func hasNetwork(g *grouping.Group) bool { return g.Collectors.Has(grouping.CollectorNetwork) }

// setConnections sets the connections of from and the expected ports on which no process listens,
// as far as they are known.
func (v *Network) setConnections(from *grouping.Group) {
	if !hasNetwork(from) {
		return
	}
	for _, p := range from.Sockets.Expected {
		if !p.Listening {
			v.ExpectedPortsNotListening = append(v.ExpectedPortsNotListening, p.Protocol.String()+"/"+p.Port)
		}
	}
	if from.Sockets.HasOpen {
		n := from.Sockets.Connections()
		v.Connections = &n
	}
}

// setTraffic sets the rates of the traffic, if both walks have read it.
func (v *Network) setTraffic(before, after *grouping.Group, seconds float64) {
	a, b := &before.Sockets, &after.Sockets
	if !hasNetwork(after) || !a.TrafficRead || !b.TrafficRead {
		return
	}
	sent := rate(a.Traffic.SentBytes, b.Traffic.SentBytes, seconds)
	received := rate(a.Traffic.ReceivedBytes, b.Traffic.ReceivedBytes, seconds)
	v.SentBytes, v.ReceivedBytes = &sent, &received
}

// AddDetail sets the connections by state and the listening ports of from, if they are known.
func (v *Network) AddDetail(from *grouping.Group) {
	if !hasNetwork(from) || !from.Sockets.HasOpen {
		return
	}
	for state, n := range from.Sockets.Open.Connections {
		if n == 0 || sockets.State(state) == sockets.StateListen || sockets.State(state) == sockets.StateTimeWait {
			continue
		}
		if v.ConnectionsByState == nil {
			v.ConnectionsByState = make(map[string]int)
		}
		v.ConnectionsByState[sockets.State(state).String()] = n
	}
	for _, p := range from.Sockets.Ports {
		v.ListeningPorts = append(v.ListeningPorts, ListeningPort{Protocol: p.Protocol.String(), Port: p.Port, Procs: p.Procs})
	}
}
