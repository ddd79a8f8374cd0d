package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/internal/webui"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

// viewRules put two workers into groups, one of them with the collector network.
const viewRules = `process_names:
- {name: server, cmdline: 'workload server$', collectors: {network: true}}
- {name: other, cmdline: 'workload other$'}
`

// transfer sends bytes to an address, which returns them, until the end of the test.
func transfer(t *testing.T, address string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	go func() {
		chunk := make([]byte, 10_000)
		for {
			if _, err := c.Write(chunk); err != nil {
				return
			}
			if _, err := io.ReadFull(c, chunk); err != nil {
				return
			}
			time.Sleep(time.Millisecond) // limits the CPU time of the test
		}
	}()
}

// networkFields returns the fields of each group whose names begin with tcp_.
func networkFields(groups []map[string]any) map[string]map[string]float64 {
	out := make(map[string]map[string]float64)
	for _, g := range groups {
		fields := make(map[string]float64)
		for name, value := range g {
			if number, ok := value.(float64); ok && strings.HasPrefix(name, "tcp_") {
				fields[name] = number
			}
		}
		out[g["group"].(string)] = fields
	}
	return out
}

// The fields of a group with the collector network, without and with BPF.
var (
	fieldsOfProcfs = []string{"tcp_connections"}
	fieldsOfBPF    = []string{"tcp_connections", "tcp_received_bytes_per_second", "tcp_sent_bytes_per_second"}
)

// checkNetworkFields checks the fields of a transfer to the group server. The other group has none.
func checkNetworkFields(t *testing.T, what string, groups []map[string]any, want []string) {
	t.Helper()
	all := networkFields(groups)
	if len(all) != 2 {
		t.Errorf("%s: got groups %v, want two", what, all)
	}
	var got []string
	for name, value := range all["server"] {
		if got = append(got, name); value <= 0 || name == "tcp_connections" && value != 1 {
			t.Errorf("%s: got %s %v", what, name, value)
		}
	}
	if slices.Sort(got); !slices.Equal(got, want) || len(all["other"]) > 0 {
		t.Errorf("%s: got %v, want the fields %v of the group server only", what, all, want)
	}
}

// waitForNetworkFields reads groups until the group server has these fields, with values above 0, and
// checks them. On a busy machine, the transfer can have no CPU in one interval.
func waitForNetworkFields(t *testing.T, what string, read func() string, want []string) {
	t.Helper()
	var groups []map[string]any
	testenv.WaitFor(t, "the fields of "+what, func() bool {
		groups = groupsOf(t, read())
		server := networkFields(groups)["server"]
		return !slices.ContainsFunc(want, func(name string) bool { return server[name] <= 0 })
	}, func() string { return fmt.Sprint(groups) })
	checkNetworkFields(t, what, groups, want)
}

// groupsOf returns the groups in the output of a command, or in the response of an exporter.
func groupsOf(t *testing.T, text string) []map[string]any {
	t.Helper()
	var report struct {
		Groups []map[string]any `json:"groups"`
	}
	var to any = &report
	if strings.HasPrefix(text, "[") {
		to = &report.Groups
	}
	if err := json.Unmarshal([]byte(text), to); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return report.Groups
}

// groupsText returns the groups of an exporter as JSON.
func groupsText(r *instance) string {
	_, text := r.Get(webui.GroupsPath)
	return text
}

// run runs a command of the exporter and returns its output.
func run(t *testing.T, args ...string) string {
	t.Helper()
	stdout, stderr, status := runToExit(t, args...)
	if status != 0 {
		t.Fatalf("%q: got status %d, %s", args, status, stderr)
	}
	return stdout
}

// TestNetworkViews transfers bytes and checks that the page, top, groups and explain show them, with
// the same names, of a group with the collector network.
func TestNetworkViews(t *testing.T) {
	requireBPF(t)
	address := freeAddress(t)
	server := startWorker(t, "server")
	startWorker(t, "other")
	server.do("listen %s", address)
	transfer(t, address)
	config := writeFile(t, "rules.yaml", viewRules)
	flags := func(args ...string) []string { return append(args, "--config.path", config) }

	output := func(args ...string) func() string { return func() string { return run(t, args...) } }

	waitForNetworkFields(t, "groups", output(flags("groups", "--json")...), fieldsOfBPF)
	waitForNetworkFields(t, "groups without BPF", output(flags("groups", "--json", "--source=procfs")...), fieldsOfProcfs)
	waitForNetworkFields(t, "top", output(flags("top", "--json", "--interval=1s")...), fieldsOfBPF)
	r := startSource(t, "bpf", "--config.path", config)
	waitForNetworkFields(t, "page", func() string { return groupsText(r) }, fieldsOfBPF)
	waitForNetworkFields(t, "remote top", output("top", "--json", "--interval=1s", "--url", r.URL), fieldsOfBPF)

	testenv.WaitFor(t, "the group server first in groups --sort=net", func() bool {
		return groupsOf(t, run(t, flags("groups", "--json", "--sort=net")...))[0]["group"] == "server"
	})
	for _, command := range []string{"groups", "top --once --interval=1s"} {
		out := run(t, flags(strings.Fields(command)...)...)
		if !strings.Contains(strings.Join(strings.Fields(out), " "), "WRITE/S SENT/S RECV/S CONNS ") {
			t.Errorf("%s: got\n%s", command, out)
		}
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	out := run(t, flags("explain", "workload")...)
	if !strings.Contains(out, "/s, 1 TCP connection, listens on tcp/"+port+"\n") || strings.Count(out, "network of the group: sent ") != 1 {
		t.Errorf("explain: got\n%s", out)
	}
	if out := run(t, flags("explain", "--json", "workload")...); strings.Count(out, `"tcp_sent_bytes_per_second": `) != 1 {
		t.Errorf("explain: got\n%s", out)
	}
}

// TestNetworkViewsWithoutCollector checks that nothing shows the network without the collector.
func TestNetworkViewsWithoutCollector(t *testing.T) {
	server := startWorker(t, "server")
	server.do("listen %s", freeAddress(t))
	config := writeFile(t, "rules.yaml", networkRulesWithoutPort)
	for _, command := range []string{
		"groups", "groups --json", "top --once --interval=1s --source=procfs", "top --json --interval=1s --source=procfs",
		"explain workload", "explain --json workload",
	} {
		out := run(t, append(strings.Fields(command), "--config.path", config)...)
		for _, word := range []string{"tcp", "TCP", "CONNS", "SENT", "socket"} {
			if strings.Contains(out, word) || !strings.Contains(out, "server") {
				t.Errorf("%s: got %s in\n%s", command, word, out)
			}
		}
	}
	r := startSource(t, "procfs", "--config.path", config)
	if text := groupsText(r); strings.Contains(text, "tcp_") || strings.Contains(text, "socket_source") {
		t.Errorf("got %s", text)
	}
}
