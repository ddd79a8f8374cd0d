package e2e

import (
	"fmt"
	"maps"
	"math"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// startWorkerInNamespace starts a worker in the network namespace of a process, or in a new one if
// pid is 0.
func startWorkerInNamespace(t *testing.T, pid int, name string) *worker {
	t.Helper()
	path := testenv.BuildGo(t, "workload")
	if pid == 0 {
		return startWorkerOf(t, exec.Command("unshare", "--net", "sh", "-c", `ip link set lo up && exec "$0" "$1"`, path, name))
	}
	return startWorkerOf(t, exec.Command("nsenter", "--net", "--target", strconv.Itoa(pid), path, name))
}

// hostCounters are the counters of a network namespace, see [testenv.NetworkCounters].
type hostCounters map[string]float64

// receivedBytes returns the payload of the TCP segments on loopback: their bytes without the headers of
// IPv4 and TCP, which have 12 bytes of options, and 20 with SYN.
func (c hostCounters) receivedBytes() float64 {
	return c["IpExt:InOctets"] - 52*c["Tcp:InSegs"] - 8*(c["Tcp:ActiveOpens"]+c["Tcp:PassiveOpens"])
}

// bytesTolerance returns the options of TCP and the retransmissions that receivedBytes includes.
func (c hostCounters) bytesTolerance() float64 {
	return math.Ceil(0.001*c.receivedBytes()) + c["Tcp:RetransSegs"]*maxSegment
}

// segmentsWithoutSocket returns the maximum number of segments that OutSegs and RetransSegs include
// and that the socket of no connection counts: the ACK of a connection in TIME_WAIT, RST, and
// repeated SYN-ACK, which both include.
func (c hostCounters) segmentsWithoutSocket() float64 {
	return c["Tcp:ActiveOpens"] + c["Tcp:OutRsts"] + 2*c["TcpExt:TCPSynRetrans"]
}

func (c hostCounters) since(before hostCounters) hostCounters {
	d := maps.Clone(c)
	for name, n := range before {
		d[name] -= n
	}
	return d
}

// A conservedMetric is a metric that a counter of the host equals.
type conservedMetric struct {
	metric, label string
	host          func(hostCounters) float64
	tolerance     func(hostCounters) float64 // nil is 0
}

// conserved are the conserved metrics in docs/network.md.
var conserved = []conservedMetric{
	{"tcp_connections_opened_total", `direction="incoming"`, func(c hostCounters) float64 { return c["Tcp:PassiveOpens"] }, nil},
	{"tcp_connections_opened_total", `direction="outgoing"`, func(c hostCounters) float64 {
		return c["Tcp:ActiveOpens"] - c["Tcp:AttemptFails"]
	}, nil},
	{"tcp_retransmitted_segments_total", "", func(c hostCounters) float64 { return c["Tcp:RetransSegs"] }, nil},
	{"tcp_sent_segments_total", "", func(c hostCounters) float64 {
		return c["Tcp:OutSegs"] + c["Tcp:RetransSegs"] - c["Tcp:PassiveOpens"]
	}, hostCounters.segmentsWithoutSocket},
	{"tcp_received_bytes_total", "", hostCounters.receivedBytes, hostCounters.bytesTolerance},
	{"tcp_sent_bytes_total", "", hostCounters.receivedBytes, hostCounters.bytesTolerance},
}

// maxSegment is more than the bytes of a segment on loopback.
const maxSegment = 1 << 16

// A conservation compares the sums of the groups of a network namespace with its counters.
type conservation struct {
	t        *testing.T
	exporter *instance
	pid      int // in the network namespace
	last     sampleSet
}

// scrape scrapes, and checks that no counter of the collector network has fallen.
func (c *conservation) scrape() sampleSet {
	c.t.Helper()
	s, _ := parseMetrics(c.t, c.exporter.Scrape())
	for key, before := range c.last {
		name, _, _ := strings.Cut(key, "{")
		counts := strings.Contains(name, "_tcp_") || strings.Contains(name, "_udp_") || strings.Contains(name, "lost_socket")
		if now, found := s[key]; counts && strings.HasSuffix(name, "_total") && (!found || now < before) {
			c.t.Errorf("%s: got %v, found %v, after %v", key, now, found, before)
		}
	}
	c.last = s
	return s
}

// sums returns the values of a metric in the groups client and server, and unattributed.
func sums(s sampleSet, metric, label string) (groups, unattributed float64) {
	for _, group := range []string{"client", "server"} {
		groups += max(0, s.network(group, metric, label))
	}
	return groups, s["namedprocess_unattributed_"+metric+"{"+label+"}"]
}

// A sum is a metric in the groups client and server, and unattributed, and the counter of the host. All
// are increases.
type sum struct {
	name                        string
	groups, unattributed        float64
	host, tolerance             float64
	lowerThanHost, moreThanHost bool
}

// compare returns the increases since before.
func (c *conservation) compare(metrics []conservedMetric, before sampleSet, hostBefore hostCounters) (all []sum) {
	c.t.Helper()
	after, host := c.scrape(), hostCounters(testenv.NetworkCounters(c.t, c.pid)).since(hostBefore)
	for _, m := range metrics {
		x := sum{name: m.metric + "{" + m.label + "}", host: m.host(host)}
		groups, unattributed := sums(after, m.metric, m.label)
		groupsBefore, unattributedBefore := sums(before, m.metric, m.label)
		x.groups, x.unattributed = groups-groupsBefore, unattributed-unattributedBefore
		if m.tolerance != nil {
			x.tolerance = m.tolerance(host)
		}
		x.lowerThanHost = x.groups+x.unattributed < x.host-x.tolerance
		x.moreThanHost = x.groups+x.unattributed > x.host+x.tolerance
		if x.groups > x.host+x.tolerance {
			c.t.Errorf("got more than the host: %+v", x)
		}
		all = append(all, x)
	}
	return all
}

// check runs work until the sums equal the counters of the host. Unattributed traffic is that of
// the whole machine: another process can add to it, so that the sum is too high. It can not be too
// low.
func (c *conservation) check(what string, metrics []conservedMetric, work func()) {
	c.t.Helper()
	const attempts = 5
	var results []sum
	for range attempts {
		before, hostBefore := c.scrape(), testenv.NetworkCounters(c.t, c.pid)
		work()
		testenv.WaitFor(c.t, what, func() bool {
			results = c.compare(metrics, before, hostBefore)
			return !slices.ContainsFunc(results, func(x sum) bool { return x.lowerThanHost })
		}, func() string { return fmt.Sprintf("%+v", results) })
		if !slices.ContainsFunc(results, func(x sum) bool { return x.moreThanHost }) {
			return
		}
	}
	c.t.Errorf("%s: got more than the host in %d attempts: %+v", what, attempts, results)
}

// TestNetworkConservation checks that the groups and the unattributed traffic are the traffic of
// the host, in a network namespace, and that no counter falls.
func TestNetworkConservation(t *testing.T) {
	requireBPF(t)
	testenv.RequireNamespaces(t)
	server := startWorkerInNamespace(t, 0, "server")
	pid := server.command.Process.Pid
	client := startWorkerInNamespace(t, pid, "client")
	config := writeFile(t, "rules.yaml", `process_names:
- {name: client, cmdline: 'workload client$'}
- {name: server, cmdline: 'workload server$'}
- {name: others, cmdline: '.+'}
`)
	const address = "127.0.0.1:7000"
	server.do("listen %s", address)
	c := &conservation{t: t, exporter: startSource(t, "bpf", "--collector.network", "--config.path", config), pid: pid}
	exchange := func(times, size int) {
		for range times {
			client.do("exchange %s %d", address, size)
		}
	}
	c.check("short connections", conserved, func() { exchange(200, 1000) })
	c.check("bulk transfer", conserved, func() { exchange(3, 20_000_000) })
	c.check("connections that are not accepted", conserved, func() {
		exchange(1, 1000)
		for range 20 {
			client.do("unaccepted 5000")
		}
	})
	c.check("a client that exits", conserved, func() {
		exchange(10, 1000)
		client.end()
		client = startWorkerInNamespace(t, pid, "client")
		exchange(10, 1000)
	})
	c.exporter.Signal(syscall.SIGHUP)
	testenv.WaitFor(t, "new rules", func() bool { return len(linesWith(c.exporter.Log(), "rules loaded")) == 2 })
	c.check("new rules", conserved, func() { exchange(10, 1000) })
	testenv.RequireProgram(t, "nft")
	for _, rule := range []string{
		"add table inet t", "add chain inet t in { type filter hook input priority 0; }",
		"add rule inet t in meta l4proto tcp numgen inc mod 29 == 3 drop",
	} {
		testenv.Output(t, "nsenter", "--net", "--target", strconv.Itoa(pid), "nft", rule)
	}
	c.check("lost packets", conserved[:4], func() { exchange(20, 30_000) })
}
