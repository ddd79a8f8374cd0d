package grafana

// network adds the row of the collector network, whose panels are empty without it.
func (d *Dashboard) network() {
	d.row("Network")
	d.graph(panelSpec{
		title: "TCP traffic", unit: "Bps", width: 6,
		description: "TCP payload sent and received; the top ten groups. Only with --collector.network and BPF.",
		queries: []query{
			{promql(`topk(10, sum by (groupname) (rate(namedprocess_namegroup_tcp_sent_bytes_total{G}[R])))`), "{{groupname}} sent"},
			{promql(`topk(10, sum by (groupname) (rate(namedprocess_namegroup_tcp_received_bytes_total{G}[R])))`), "{{groupname}} received"},
		},
	})
	d.stack(panelSpec{
		title: "TCP connections", unit: "short", width: 6,
		description: "TCP connections by state; the top ten. Only with --collector.network.",
		queries: []query{{
			promql(`topk(10, sum by (groupname, state) (namedprocess_namegroup_tcp_connections{G}))`),
			"{{groupname}} {{state}}",
		}},
	})
	d.graph(panelSpec{
		title: "TCP retransmissions", unit: "percentunit", width: 6,
		description: "Retransmissions in percent of all sent segments; the top ten groups. Only with --collector.network and BPF.",
		queries: []query{{
			promql(`topk(10, sum by (groupname) (rate(namedprocess_namegroup_tcp_retransmitted_segments_total{G}[R])) ` +
				`/ (sum by (groupname) (rate(namedprocess_namegroup_tcp_sent_segments_total{G}[R])) > 0))`),
			"{{groupname}}",
		}},
	})
	d.graph(panelSpec{
		title: "Dropped connection requests", unit: "ops", width: 6,
		description: "Connection requests that listening sockets dropped, for example because the accept queue was full; the top ten " +
			"groups. Only with --collector.network and BPF.",
		queries: []query{{
			promql(`topk(10, sum by (groupname) (rate(namedprocess_namegroup_tcp_listen_drops_total{G}[R])))`),
			"{{groupname}}",
		}},
	})
}
