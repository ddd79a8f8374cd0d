package collector

import (
	"context"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/platform/sockets"
	"github.com/seed57308aee/process_exporter/test/procfstree"
)

// someSockets returns sockets with a value of every metric.
func someSockets() grouping.Sockets {
	s := grouping.Sockets{
		Traffic: sockets.Traffic{
			SentBytes: 1 << 40, ReceivedBytes: 2, RetransmittedSegments: 3, SentSegments: 30, OpenedOutgoing: 4, OpenedIncoming: 5,
			Failures: [sockets.NumFailures]uint64{1, 2, 3, 4, 5}, ListenDrops: 7, UDPDrops: 8,
		},
		HasTraffic: true, HasOpen: true, MeanRoundTrip: 0.25, HasAcceptQueue: true, WorstAcceptQueueRatio: 0.5, Unreadable: 2,
		RoundTrips: grouping.Histogram{Count: 6, Sum: 1.5, Buckets: []grouping.HistogramBucket{
			{Index: -16, Count: 2}, {Index: -15, Count: 3}, {Index: 2, Count: 1},
		}},
		Ports:    []grouping.ListeningPort{{Port: "443", Procs: 2}, {Protocol: sockets.UDP, Port: grouping.EphemeralPort, Procs: 1}},
		Expected: []grouping.ExpectedPort{{Port: "443", Listening: true}, {Protocol: sockets.UDP, Port: "53"}},
		Open:     sockets.OpenSockets{UDP: 1, UDPReceiveQueueBytes: 2, UDPSendQueueBytes: 3, Unix: 4},
	}
	s.Open.Connections[sockets.StateEstablished], s.Open.Connections[sockets.StateCloseWait] = 9, 1
	s.Open.Connections[sockets.StateListen], s.Open.Connections[sockets.StateTimeWait] = 2, 3
	return s
}

// networkFamiliesOf returns the families of the collector network of one group with someSockets.
func networkFamiliesOf(t *testing.T, c *Collector) []*dto.MetricFamily {
	t.Helper()
	none := grouping.SocketStatus{
		Kind: platform.SourceBPF, HasTraffic: true, Unattributed: sockets.Traffic{SentBytes: 11}, LostSockets: 12, ReadErrors: 13,
	}
	w := &update{
		groups:   []grouping.Group{{Name: "g", Collectors: grouping.AllCollectors, CountersStart: 1_700_000_000_007, Sockets: someSockets()}},
		sockets:  none,
		excluded: grouping.AllCollectors &^ grouping.CollectorNetwork,
	}
	return slices.DeleteFunc(c.builder.build(w), func(mf *dto.MetricFamily) bool { return len(mf.Metric) == 0 })
}

func TestNetworkMetrics(t *testing.T) {
	f := newFixture(t, setup{config: groupG}, processG(nil))
	got := flatten(networkFamiliesOf(t, f.c))
	want := map[string]float64{
		`expected_port_listening{groupname="g",port="443",protocol="tcp"}`: 1,
		`expected_port_listening{groupname="g",port="53",protocol="udp"}`:  0,
		`listening_procs{groupname="g",port="443",protocol="tcp"}`:         2,
		`listening_procs{groupname="g",port="ephemeral",protocol="udp"}`:   1,

		`tcp_listen_drops_total{groupname="g"}`:                             7,
		`tcp_worst_accept_queue_ratio{groupname="g"}`:                       0.5,
		`tcp_connections{groupname="g",state="established"}`:                9,
		`tcp_connections{groupname="g",state="close_wait"}`:                 1,
		`tcp_connections_opened_total{direction="outgoing",groupname="g"}`:  4,
		`tcp_connections_opened_total{direction="incoming",groupname="g"}`:  5,
		`tcp_connection_failures_total{groupname="g",reason="refused"}`:     1,
		`tcp_connection_failures_total{groupname="g",reason="unreachable"}`: 2,
		`tcp_connection_failures_total{groupname="g",reason="timeout"}`:     3,
		`tcp_connection_failures_total{groupname="g",reason="reset"}`:       4,
		`tcp_connection_failures_total{groupname="g",reason="other"}`:       5,
		`tcp_mean_round_trip_time_seconds{groupname="g"}`:                   0.25,
		`tcp_sent_bytes_total{groupname="g"}`:                               1 << 40,
		`tcp_received_bytes_total{groupname="g"}`:                           2,
		`tcp_sent_segments_total{groupname="g"}`:                            30,
		`tcp_retransmitted_segments_total{groupname="g"}`:                   3,
		`udp_dropped_datagrams_total{groupname="g"}`:                        8,
		`udp_sockets{groupname="g"}`:                                        1,
		`udp_receive_queue_bytes{groupname="g"}`:                            2,
		`udp_send_queue_bytes{groupname="g"}`:                               3,
		`unix_sockets{groupname="g"}`:                                       4,
		`namedprocess_unattributed_tcp_sent_bytes_total`:                    11,
		`namedprocess_exporter_lost_socket_events_total`:                    12,
		`namedprocess_exporter_socket_read_errors_total`:                    13,
		`namedprocess_exporter_socket_source_info{source="bpf"}`:            1,
	}
	for key, value := range got { // the others are 0
		if value == 0 && strings.HasPrefix(key, "namedprocess_unattributed_") {
			delete(got, key)
		}
	}
	if !maps.Equal(got, want) {
		for _, key := range slices.Sorted(maps.Keys(got)) {
			t.Logf("got %s %v", key, got[key])
		}
		t.Errorf("got %d series, want %v", len(got), want)
	}
	for key := range f.scrape() {
		if strings.Contains(key, "tcp") || strings.Contains(key, "socket") || strings.Contains(key, "udp") {
			t.Errorf("got %s without a reader of sockets", key)
		}
	}
}

// TestNativeHistogram checks that the protobuf format has the buckets of a histogram, as the
// client library writes them for the same observations.
func TestNativeHistogram(t *testing.T) {
	f := newFixture(t, setup{config: groupG}, processG(nil))
	reference := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "x", NativeHistogramBucketFactor: math.Exp2(1. / 8)})
	empty := new(dto.Metric)
	if err := reference.Write(empty); err != nil {
		t.Fatal(err)
	}
	for _, v := range []float64{0.25, 0.24, 0.26, 0.27, 0.265, 1.18} {
		reference.Observe(v)
	}
	want := new(dto.Metric)
	if err := reference.Write(want); err != nil {
		t.Fatal(err)
	}
	some := someSockets()
	some.RoundTrips.Sum = want.Histogram.GetSampleSum()
	w := &update{groups: []grouping.Group{
		{Name: "empty", Collectors: grouping.AllCollectors, Sockets: grouping.Sockets{HasTraffic: true}},
		{Name: "g", Collectors: grouping.AllCollectors, CountersStart: 1_700_000_000_007, Sockets: some},
		{Name: "unknown", Collectors: grouping.AllCollectors},
		{Name: "without", Collectors: grouping.AllCollectors &^ grouping.CollectorNetwork, Sockets: some},
	}}
	var got []*dto.Metric
	err := f.c.builder.each(w, func(mf *dto.MetricFamily) error {
		if mf.GetType() == dto.MetricType_HISTOGRAM {
			got = append(got, mf.Metric...)
		}
		return nil
	})
	if err != nil || len(got) != 2 {
		t.Fatalf("got %v, %v, want two histograms", got, err)
	}
	for i, w := range []*dto.Histogram{empty.Histogram, want.Histogram} {
		h := got[i].Histogram
		if i == 1 && h.CreatedTimestamp.AsTime().UnixMilli() != 1_700_000_000_007 {
			t.Errorf("got the start %v", h.CreatedTimestamp.AsTime())
		}
		h.CreatedTimestamp, w.CreatedTimestamp = nil, nil
		if h.String() != w.String() {
			t.Errorf("got\n%v\nwant\n%v", h, w)
		}
	}
}

// A fixedReader is a Reader of one process.
type fixedReader struct{}

func (r *fixedReader) Read(_ context.Context, out *sockets.Report) error {
	*out = sockets.Report{Parts: sockets.PartOpen | sockets.PartTraffic, Processes: []sockets.Process{
		{PID: 7, Start: 5, Traffic: sockets.Traffic{SentBytes: 1000}, Open: sockets.OpenSockets{Unix: 3}},
	}}
	return nil
}

func (r *fixedReader) Kind() (platform.SourceKind, error) { return platform.SourceProcfs, nil }

func (r *fixedReader) Close() error { return nil }

// TestNetworkScrape checks a scrape with a reader of sockets, from the reader to the series.
func TestNetworkScrape(t *testing.T) {
	f := newFixture(t, setup{config: groupG, opts: grouping.Options{Sockets: new(fixedReader)}},
		processG(func(p *procfstree.Process) { p.PID, p.Start = 7, 5 }))
	f.want(f.scrape(), map[string]float64{
		seriesG("tcp_sent_bytes_total"):                             1000,
		seriesG("unix_sockets"):                                     3,
		`namedprocess_exporter_socket_source_info{source="procfs"}`: 1,
	})
}
