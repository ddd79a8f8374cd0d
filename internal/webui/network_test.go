package webui

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/collector"
	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/platform/sockets"
)

// networkGroup returns a group with the collector network that has sent and received bytes.
func networkGroup(name string, sent, received uint64) grouping.Group {
	g := cpuGroup(name, 1)
	g.Collectors = grouping.CollectorNetwork
	v := &g.Sockets
	v.HasTraffic, v.TrafficRead, v.HasOpen = true, true, true
	v.Traffic.SentBytes, v.Traffic.ReceivedBytes = sent, received
	v.Open.Connections[sockets.StateEstablished], v.Open.Connections[sockets.StateCloseWait] = 5, 2
	v.Open.Connections[sockets.StateListen] = 3
	v.Expected = []grouping.ExpectedPort{{Port: "443", Listening: true}, {Protocol: sockets.UDP, Port: "53"}, {Port: "80"}}
	v.Ports = []grouping.ListeningPort{
		{Protocol: sockets.TCP, Port: "443", Procs: 1}, {Protocol: sockets.UDP, Port: grouping.EphemeralPort, Procs: 2},
	}
	return g
}

// networkOf returns the fields of the network of each group as JSON, after two walks that are four
// seconds apart.
func networkOf(t *testing.T, before, after []grouping.Group) map[string]string {
	t.Helper()
	s := newTestRecorder()
	s.groups = before
	s.Report(context.Background())
	s.advance(4 * time.Second)
	s.groups = after
	s.scrape()
	out := make(map[string]string)
	report := s.Report(context.Background())
	for i := range report.Groups {
		g := &report.Groups[i]
		text, err := json.Marshal(g.Network)
		if err != nil {
			t.Fatal(err)
		}
		out[g.Name] = strings.Trim(string(text), "{}")
	}
	return out
}

// TestNetwork checks the traffic and the connections of groups: what is unknown, or of a group
// without the collector, is absent.
func TestNetwork(t *testing.T) {
	first, second := networkGroup("a", 1000, 200), networkGroup("a", 8000, 400)
	without, failed, procfs, unreadable := second, first, second, second
	without.Collectors = grouping.CollectorCPU // another group has the collector
	failed.Sockets.TrafficRead, failed.Sockets.HasOpen = false, false
	procfs.Sockets.HasTraffic, procfs.Sockets.TrafficRead = false, false
	unreadable.Sockets.HasOpen = false
	withoutPorts := second
	withoutPorts.Sockets.Expected = withoutPorts.Sockets.Expected[:1]
	unreadable.Sockets.Expected, failed.Sockets.Expected = nil, nil
	const ports = `,"expected_ports_not_listening":["udp/53","tcp/80"]`
	const all = `"tcp_sent_bytes_per_second":1750,"tcp_received_bytes_per_second":50,"tcp_connections":7`
	for _, tt := range []struct {
		name          string
		before, after grouping.Group
		want          string
	}{
		{"both walks", first, second, all + ports},
		{"all expected ports", first, withoutPorts, all},
		{"no traffic", second, second, `"tcp_sent_bytes_per_second":0,"tcp_received_bytes_per_second":0,"tcp_connections":7` + ports},
		{"group without the collector", without, without, ""},
		{"sockets of /proc", procfs, procfs, `"tcp_connections":7` + ports},
		{"failed read", first, failed, ""},
		{"read after a failed one", failed, second, `"tcp_connections":7` + ports},
		{"unreadable processes", first, unreadable, strings.TrimSuffix(all, `,"tcp_connections":7`)},
		{"no reader", cpuGroup("a", 1), cpuGroup("a", 1), ""},
	} {
		got := networkOf(t, []grouping.Group{tt.before}, []grouping.Group{tt.after})
		if got["a"] != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got["a"], tt.want)
		}
	}
	if got := networkOf(t, nil, []grouping.Group{second}); got["a"] != `"tcp_connections":7`+ports {
		t.Errorf("got %s of a new group, want no rates", got["a"])
	}
}

// TestNetworkDetail checks the connections by state and the listening ports of one group, and the
// source of the sockets.
func TestNetworkDetail(t *testing.T) {
	s := newTestRecorder()
	s.current.last = &collector.UpdateResult{Groups: []grouping.Group{networkGroup("a", 1, 1), cpuGroup("b", 1)}}
	s.current.last.Sockets.Kind = platform.SourceBPF
	s.current.updateEnd = s.time
	for name, want := range map[string]string{
		"a": `"tcp_connections_by_state":{"close_wait":2,"established":5},"listening_ports":[` +
			`{"protocol":"tcp","port":"443","listening_procs":1},{"protocol":"udp","port":"ephemeral","listening_procs":2}]`,
		"b": "",
	} {
		text, err := json.Marshal(s.Detail(context.Background(), name))
		if err != nil {
			t.Fatal(err)
		}
		has := strings.Contains(string(text), "tcp_") || strings.Contains(string(text), "listening")
		if !strings.Contains(string(text), want) || !strings.Contains(string(text), `"socket_source":"bpf"`) || has != (want != "") {
			t.Errorf("got %s, want %q in it", text, want)
		}
	}
}

// TestNetworkHistory checks the history of the traffic of a group: its first point is unknown. A
// group without the collector has no such series.
func TestNetworkHistory(t *testing.T) {
	s := newTestRecorder()
	without := cpuGroup("without", 1)
	for i := range 4 {
		at := uint64(i)
		s.groups = []grouping.Group{without}
		if i > 0 {
			s.groups = append(s.groups, networkGroup("a", 5000*at, 500*at))
		}
		s.Report(context.Background())
		s.advance(5 * time.Second)
	}
	for group, want := range map[string]string{
		"a":       "tcp_sent_bytes_per_second [null,1000,1000,0] tcp_received_bytes_per_second [null,100,100,0]",
		"without": "",
		"":        "",
	} {
		var got []string
		for _, series := range s.historyReport(t.Context(), historyQuery{group: group, top: 5}).Series {
			if strings.HasPrefix(series.Metric, "tcp_") {
				text, _ := json.Marshal(series.Values) // it never fails
				got = append(got, series.Metric, string(text))
			}
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("group %q: got %s, want %s", group, got, want)
		}
	}
	if h := s.current.history.groups["without"]; h == nil || h.network != nil {
		t.Errorf("got %+v, want no memory for the traffic of a group without the collector", h)
	}
	s.current.history.dropBefore(s.time.Add(-12 * time.Second))
	got := s.historyReport(t.Context(), historyQuery{group: "a"}).Series
	if len(got) < 6 || len(got[5].Values) != 3 || got[5].Values[0] != 1000 {
		t.Errorf("got %+v, want the last three points", got)
	}
}
