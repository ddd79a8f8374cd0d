package e2e

import (
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// networkRules put the workers client and server into groups.
const networkRules = `process_names:
- {name: client, cmdline: 'workload client$'}
- {name: server, cmdline: 'workload server$', expect: {listen: [PORT]}}
`

// network returns the metric of the collector network of a group, or -1 if it is absent.
func (s sampleSet) network(group, metric string, labels ...string) float64 {
	all := append([]string{fmt.Sprintf("groupname=%q", group)}, labels...)
	for key, v := range s {
		name, rest, _ := strings.Cut(key, "{")
		matches := name == "namedprocess_namegroup_"+metric
		for _, l := range all {
			matches = matches && strings.Contains(rest, l)
		}
		if matches {
			return v
		}
	}
	return -1
}

// TestNetwork transfers known bytes between two groups. The counters are exact, and stay when the
// client exits, another one starts, and the rules are loaded again.
func TestNetwork(t *testing.T) {
	requireBPF(t)
	address := freeAddress(t)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	config := writeFile(t, "rules.yaml", strings.ReplaceAll(networkRules, "PORT", port))
	client, server := startWorker(t, "client"), startWorker(t, "server")
	r := startSource(t, "bpf", "--collector.network", "--config.path", config)
	before, _ := parseMetrics(t, r.Scrape())
	if got := before.network("server", "expected_port_listening"); got != 0 {
		t.Errorf("got an expected port of %v before the server listens, want 0", got)
	}
	server.do("listen %s", address)
	connections := 0
	exchange := func(times int) {
		for range times {
			client.do("exchange %s %d", address, exchangeSize)
			connections++
		}
	}
	check := func(what string) {
		t.Helper()
		checkExchanges(t, r, what, port, connections)
	}
	exchange(10)
	check("10 connections")
	exchange(1)
	client.end()
	check("the client has exited")
	client = startWorker(t, "client")
	exchange(3)
	check("another client")
	r.Signal(syscall.SIGHUP)
	testenv.WaitFor(t, "new rules", func() bool { return len(linesWith(r.Log(), "rules loaded")) == 2 })
	exchange(2)
	check("new rules")
	s, _ := parseMetrics(t, r.Scrape())
	if s["namedprocess_unattributed_tcp_sent_bytes_total{}"] < before["namedprocess_unattributed_tcp_sent_bytes_total{}"] {
		t.Error("the unattributed bytes have decreased")
	}
}

// exchangeSize is the number of bytes that each connection of TestNetwork sends in each direction.
const exchangeSize = 100_003

// checkExchanges waits until the groups of TestNetwork have the bytes of all connections, and
// checks that they have no more.
func checkExchanges(t *testing.T, r *instance, what, port string, connections int) {
	t.Helper()
	transferred := connections * exchangeSize
	var s sampleSet
	testenv.WaitFor(t, what, func() bool {
		s, _ = parseMetrics(t, r.Scrape())
		for _, group := range []string{"client", "server"} {
			if s.network(group, "tcp_sent_bytes_total") < float64(transferred) ||
				s.network(group, "tcp_received_bytes_total") < float64(transferred) {
				return false
			}
		}
		return s.network("client", "tcp_connections_opened_total", `direction="outgoing"`) >= float64(connections)
	}, func() string { return fmt.Sprint(s.seriesOfGroups("client"), s.seriesOfGroups("server")) })
	for _, c := range []struct {
		group, metric, label string
		want                 int
	}{
		{"client", "tcp_sent_bytes_total", "", transferred},
		{"client", "tcp_received_bytes_total", "", transferred},
		{"server", "tcp_sent_bytes_total", "", transferred},
		{"server", "tcp_received_bytes_total", "", transferred},
		{"client", "tcp_connections_opened_total", `direction="outgoing"`, connections},
		{"client", "tcp_connections_opened_total", `direction="incoming"`, 0},
		{"server", "tcp_connections_opened_total", `direction="incoming"`, connections},
		{"server", "expected_port_listening", "", 1},
		{"server", "listening_procs", `port="` + port + `"`, 1},
	} {
		if got := s.network(c.group, c.metric, c.label); got != float64(c.want) {
			t.Errorf("%s: got %s of %s %v, want %d", what, c.metric, c.group, got, c.want)
		}
	}
}

// TestExpectedPortWithoutCollector checks that the exporter warns about expected ports without the
// collector network, also after a reload.
func TestExpectedPortWithoutCollector(t *testing.T) {
	const warning = "listen in expect needs the collector network"
	config := writeFile(t, "rules.yaml", "process_names:\n- {name: a, comm: [a], expect: {listen: [443]}}\n")
	r := startSource(t, "procfs", "--config.path", config)
	if log := r.Log(); len(linesWith(log, warning)) != 1 || len(linesWith(log, "configuration warning")) != 1 {
		t.Errorf("got the log %q, want one warning", log)
	}
	r.Signal(syscall.SIGHUP)
	testenv.WaitFor(t, "another warning", func() bool { return len(linesWith(r.Log(), warning)) == 2 })
	r = startSource(t, "procfs", "--collector.network", "--config.path", config)
	if log := r.Log(); len(linesWith(log, warning)) != 0 {
		t.Errorf("got the log %q with the collector, want no warning", log)
	}
}

// TestNetworkProcfs checks that the source procfs has no metrics of traffic. A value of 0 would
// be wrong.
func TestNetworkProcfs(t *testing.T) {
	address := freeAddress(t)
	server := startWorker(t, "server")
	server.do("listen %s", address)
	server.do("exchange %s 100", address)
	r := startSource(t, "procfs", "--collector.network", "--config.path", writeFile(t, "rules.yaml", networkRulesWithoutPort))
	var s sampleSet
	// The exporter finds the owners of sockets by descriptors, in parts.
	testenv.WaitFor(t, "the listening process", func() bool {
		s, _ = parseMetrics(t, r.Scrape())
		return s[`namedprocess_exporter_socket_source_info{source="procfs"}`] != 1 || s.network("server", "listening_procs") == 1
	}, func() string { return fmt.Sprint(s.seriesOfGroups("server")) })
	for key := range s {
		if strings.Contains(key, "tcp_sent") || strings.Contains(key, "tcp_received") || strings.Contains(key, "_opened_total") {
			t.Errorf("got %s with the source procfs", key)
		}
	}
}

const networkRulesWithoutPort = "process_names:\n- {name: server, cmdline: 'workload server$'}\n"

// TestNetworkInSandbox reads sockets with both sources inside the default sandbox, also of
// processes and network namespaces that exist only since then. The cleanup of the exporter fails
// the test if the sandbox has refused a system call.
func TestNetworkInSandbox(t *testing.T) {
	testenv.RequireNamespaces(t)
	for _, source := range []string{"bpf", "procfs"} {
		t.Run(source, func(t *testing.T) {
			if source == "bpf" {
				requireBPF(t)
			}
			r := startSource(t, source, "--collector.network", "--config.path", writeFile(t, "rules.yaml", networkRulesWithoutPort))
			first := r.Scrape()
			for _, want := range []string{
				`namedprocess_exporter_sandbox{layer="seccomp"} 1`,
				`namedprocess_exporter_socket_source_info{source="` + source + `"} 1`,
			} {
				if !strings.Contains(first, want) {
					t.Errorf("got no %s", want)
				}
			}
			for n := range 3 {
				server := startWorkerInNamespace(t, 0, "server")
				server.do("open 10000") // so that its descriptors are read in parts
				server.do("listen 127.0.0.1:7000")
				server.do("exchange 127.0.0.1:7000 1000")
				var s sampleSet
				testenv.WaitFor(t, "the listening processes", func() bool {
					s, _ = parseMetrics(t, r.Scrape())
					return s.network("server", "listening_procs", `port="7000"`) == float64(n+1)
				}, func() string { return fmt.Sprint(s.seriesOfGroups("server")) })
			}
			if got := len(linesWith(r.Log(), "level=ERROR")); got != 0 {
				t.Errorf("got %d errors in the log, want none", got)
			}
		})
	}
}
