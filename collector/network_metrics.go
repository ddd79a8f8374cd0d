package collector

import (
	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform/sockets"
)

// Notes that several families share.
const (
	onlyBPFSockets = "Only if BPF programs read the sockets."
	openSockets    = "Absent if the group has processes and the sockets of all of them are unreadable."
)

// A trafficMetric is a counter of the traffic of a group, and of the traffic in no group.
type trafficMetric struct {
	name, help string // of the group, without the prefix
	label      string // name of the label in addition to groupname, "" for none
	values     []trafficValue
}

// A trafficValue is one series of a trafficMetric.
type trafficValue struct {
	label string // "" without
	value func(*sockets.Traffic) uint64
}

// trafficMetrics returns the table of all counters of traffic.
func trafficMetrics() []trafficMetric {
	single := func(value func(*sockets.Traffic) uint64) []trafficValue { return []trafficValue{{"", value}} }
	failures := make([]trafficValue, sockets.NumFailures)
	for i := range failures {
		failures[i] = trafficValue{sockets.Failure(i).String(), func(t *sockets.Traffic) uint64 { return t.Failures[i] }}
	}
	return []trafficMetric{
		{"tcp_sent_bytes_total", "TCP payload bytes sent, without retransmissions", "",
			single(func(t *sockets.Traffic) uint64 { return t.SentBytes })},
		{"tcp_received_bytes_total", "TCP payload bytes received in order", "",
			single(func(t *sockets.Traffic) uint64 { return t.ReceivedBytes })},
		{"tcp_sent_segments_total", "TCP segments sent, including retransmissions and segments without data, excluding SYN-ACK", "",
			single(func(t *sockets.Traffic) uint64 { return t.SentSegments })},
		{"tcp_retransmitted_segments_total", "TCP segments sent again, including SYN and SYN-ACK", "",
			single(func(t *sockets.Traffic) uint64 { return t.RetransmittedSegments })},
		{"tcp_connections_opened_total", "TCP connections established by connect(2) (outgoing) and by peers (incoming)", "direction",
			[]trafficValue{
				{"outgoing", func(t *sockets.Traffic) uint64 { return t.OpenedOutgoing }},
				{"incoming", func(t *sockets.Traffic) uint64 { return t.OpenedIncoming }},
			}},
		{"tcp_connection_failures_total", "TCP connections that connect(2) could not establish, or that ended with an error", "reason", failures},
		{"tcp_listen_drops_total", "TCP connection requests that listening sockets dropped, for example because the accept queue was full", "",
			single(func(t *sockets.Traffic) uint64 { return t.ListenDrops })},
		{"udp_dropped_datagrams_total", "UDP datagrams dropped because a receive buffer was full", "",
			single(func(t *sockets.Traffic) uint64 { return t.UDPDrops })},
	}
}

// labels returns the labels of the metric in addition to those of groups.
func (m *trafficMetric) labels() []string {
	if m.label == "" {
		return nil
	}
	return []string{m.label}
}

// emit emits all series.
func (m *trafficMetric) emit(t *sockets.Traffic, put emit) {
	for i := range m.values {
		put(float64(m.values[i].value(t)), labelValues{m.values[i].label}, 0)
	}
}

// groupNetworkFamilies returns the families of the collector network.
func groupNetworkFamilies() []family {
	var all []family
	for _, m := range trafficMetrics() {
		all = append(all, family{name: namespace + m.name, kind: counter, labels: m.labels(), help: m.help + ".", note: onlyBPFSockets,
			collect: func(g *grouping.Group, put emit) {
				if g.Sockets.HasTraffic {
					m.emit(&g.Sockets.Traffic, put)
				}
			}})
	}
	all = append(all, roundTripFamilies()...)
	all = append(all, openSocketFamilies()...)
	all = append(all, portFamilies()...)
	for i := range all {
		all[i].collector = grouping.CollectorNetwork
	}
	return all
}

func roundTripFamilies() []family {
	return []family{
		{name: namespace + "tcp_mean_round_trip_time_seconds", kind: gauge,
			help: "Mean smoothed round-trip time in seconds of TCP connections that sent data since the previous scrape.",
			note: "Only if BPF programs read the sockets, and a connection sent data.",
			collect: func(g *grouping.Group, put emit) {
				if g.Sockets.MeanRoundTrip > 0 {
					put(g.Sockets.MeanRoundTrip, labelValues{}, 0)
				}
			}},
		{name: namespace + "tcp_round_trip_time_seconds", kind: histogram,
			help: "Smoothed round-trip times in seconds; a scrape adds one value per TCP connection that sent data since the previous scrape.",
			note: "Only in the protobuf format, as a native histogram, and if BPF programs read the sockets.",
			histogram: func(g *grouping.Group) *grouping.Histogram {
				if !g.Sockets.HasTraffic {
					return nil
				}
				return &g.Sockets.RoundTrips
			}},
	}
}

// connectionStates are the values of the label state. TIME_WAIT sockets belong to no process,
// and listening sockets are no connections.
var connectionStates = []sockets.State{
	sockets.StateEstablished, sockets.StateSynSent, sockets.StateSynRecv, sockets.StateFinWait1, sockets.StateFinWait2,
	sockets.StateClose, sockets.StateCloseWait, sockets.StateLastAck, sockets.StateClosing,
}

func openSocketFamilies() []family {
	connections := family{name: namespace + "tcp_connections", kind: gauge, labels: []string{"state"},
		help: "Number of TCP sockets by state, without listening sockets.",
		note: "A state without sockets is absent, except `established` (0); " +
			"all are absent if the group has processes and the sockets of all of them are unreadable.",
		collect: func(g *grouping.Group, put emit) {
			for _, state := range connectionStates {
				if n := g.Sockets.Open.Connections[state]; g.Sockets.HasOpen && (n > 0 || state == sockets.StateEstablished) {
					put(float64(n), labelValues{state.String()}, 0)
				}
			}
		}}
	one := func(name, help string, value func(*sockets.OpenSockets) float64) family {
		return family{name: namespace + name, kind: gauge, help: help, note: openSockets, collect: func(g *grouping.Group, put emit) {
			if g.Sockets.HasOpen {
				put(value(&g.Sockets.Open), labelValues{}, 0)
			}
		}}
	}
	return []family{
		connections,
		one("udp_sockets", "Number of UDP sockets.", func(o *sockets.OpenSockets) float64 { return float64(o.UDP) }),
		one("udp_receive_queue_bytes", "Bytes in the receive queues of UDP sockets.",
			func(o *sockets.OpenSockets) float64 { return float64(o.UDPReceiveQueueBytes) }),
		one("udp_send_queue_bytes", "Bytes in the send queues of UDP sockets.",
			func(o *sockets.OpenSockets) float64 { return float64(o.UDPSendQueueBytes) }),
		one("unix_sockets", "Number of UNIX domain sockets.", func(o *sockets.OpenSockets) float64 { return float64(o.Unix) }),
	}
}

func portFamilies() []family {
	return []family{
		{name: namespace + "listening_procs", kind: gauge, labels: []string{"protocol", "port"},
			help: "Number of processes that own a socket which receives TCP connections or UDP datagrams on a port.",
			note: "`port` is `ephemeral` for UDP ports from 32768 on, and " +
				"`other` for ports after the first 100 of a group; in these two, a process with 3 such ports counts three times.",
			collect: func(g *grouping.Group, put emit) {
				for i := range g.Sockets.Ports {
					p := &g.Sockets.Ports[i]
					put(float64(p.Procs), labelValues{p.Protocol.String(), p.Port}, 0)
				}
			}},
		{name: namespace + "expected_port_listening", kind: gauge, labels: []string{"protocol", "port"},
			help: "1 if a process of this group listens on this port, which the rule of the group expects, else 0.",
			note: "Only for rules with `listen` in `expect`; " +
				"absent if no readable socket listens on the port and some sockets of the group are unreadable.",
			collect: func(g *grouping.Group, put emit) {
				for i := range g.Sockets.Expected {
					p := &g.Sockets.Expected[i]
					put(indicator(p.Listening), labelValues{p.Protocol.String(), p.Port}, 0)
				}
			}},
		{name: namespace + "tcp_worst_accept_queue_ratio", kind: gauge,
			help: "Highest fill ratio of an accept queue: connections that wait for accept(2), divided by the backlog.",
			note: "Only if BPF programs read the sockets and there are listening TCP sockets.",
			collect: func(g *grouping.Group, put emit) {
				if g.Sockets.HasAcceptQueue {
					put(g.Sockets.WorstAcceptQueueRatio, labelValues{}, 0)
				}
			}},
	}
}

// socketSourceMetrics returns the metrics of sockets without a group, and of their reader.
func socketSourceMetrics() []exporterMetric {
	var all []exporterMetric
	for _, m := range trafficMetrics() {
		all = append(all, exporterMetric{name: "namedprocess_unattributed_" + m.name, kind: counter, labels: m.labels(),
			help: "For processes in no group and sockets without a process: " + m.help + ".",
			note: onlyBPFSockets,
			collect: func(u *update, put emit) {
				if u.sockets.HasTraffic {
					m.emit(&u.sockets.Unattributed, put)
				}
			}})
	}
	withReader := func(value func(*update) float64) func(*update, emit) {
		return func(u *update, put emit) {
			if u.sockets.Kind != "" {
				put(value(u), labelValues{}, 0)
			}
		}
	}
	all = append(all, exporterMetric{name: exporterNamespace + "socket_source_info", kind: gauge, labels: []string{"source"},
		help: "Source of socket data in use: bpf or procfs.",
		collect: func(u *update, put emit) {
			if kind := u.sockets.Kind; kind != "" {
				put(1, labelValues{string(kind)}, 0)
			}
		}},
		exporterMetric{name: exporterNamespace + "lost_socket_events_total", kind: counter,
			help:    "Number of TCP connections and listening sockets whose counters were lost because a buffer or table was full.",
			note:    "Always 0 if /proc is the source of socket data.",
			collect: withReader(func(u *update) float64 { return float64(u.sockets.LostSockets) })},
		exporterMetric{name: exporterNamespace + "socket_read_errors_total", kind: counter,
			help:    "Number of failed attempts to read the list of sockets.",
			collect: withReader(func(u *update) float64 { return float64(u.sockets.ReadErrors) })},
	)
	for i := range all {
		all[i].collector = grouping.CollectorNetwork
	}
	return all
}
