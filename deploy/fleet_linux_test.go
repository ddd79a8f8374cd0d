package deploy_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// TestFleet runs three exporters, each in a network and PID namespace, and checks
// the sums of one Prometheus that scrapes them.
func TestFleet(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("namespaces require root")
	}
	server, ip := testenv.RequireProgram(t, "prometheus"), testenv.RequireProgram(t, "ip")
	unshare := testenv.RequireProgram(t, "unshare")
	testenv.RequireNamespaces(t)
	workload := testenv.BuildGo(t, "workload")
	rules := write(t, "rules.yml", "process_names:\n  - name: fleet\n    cmdline: 'workload fleet$'\n")
	var targets []string
	for host := range 3 {
		namespace, link := fmt.Sprintf("pe%d-%d", os.Getpid(), host), fmt.Sprintf("pe%dv%d", os.Getpid()%100000, host)
		address := fmt.Sprintf("10.213.%d.2", host)
		mustOutput(t, ip, "netns", "add", namespace)
		t.Cleanup(func() { mustOutput(t, ip, "netns", "del", namespace) })
		mustOutput(t, ip, "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", namespace)
		mustOutput(t, ip, "addr", "add", fmt.Sprintf("10.213.%d.1/30", host), "dev", link)
		mustOutput(t, ip, "link", "set", link, "up")
		mustOutput(t, ip, "-n", namespace, "addr", "add", address+"/30", "dev", "eth0")
		mustOutput(t, ip, "-n", namespace, "link", "set", "eth0", "up")
		// Host n runs n+1 processes of the group.
		script := strings.Repeat(`sleep 600 | "$1" fleet & `, host+1) + `exec "$0" "--config.path=$2" "--web.listen-address=$3"`
		command := exec.Command(ip, "netns", "exec", namespace, unshare, "--pid", "--fork", "--kill-child", "--mount-proc",
			"sh", "-c", script, testenv.BuildExporter(t), workload, rules, address+":9256")
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = command.Process.Kill()
			_ = command.Wait()
		})
		targets = append(targets, address+":9256")
	}
	ruleFile, err := filepath.Abs("prometheus/rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	config := write(t, "prometheus.yml", fmt.Sprintf(`
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs:
  - job_name: process-exporter
    static_configs: [{targets: ['%s']}]
`, ruleFile, strings.Join(targets, "','")))
	address := freeAddress(t)
	start(t, server, "--config.file="+config, "--storage.tsdb.path="+t.TempDir(), "--web.listen-address="+address, "--log.level=error")
	s := &testbed{t: t, prometheus: "http://" + address}
	testenv.WaitFor(t, "Prometheus", func() bool { return responds(s.prometheus + "/-/ready") })
	for _, expr := range []string{
		`sum(up) == 3`,
		`groupname:namedprocess_namegroup_num_procs:sum{groupname="fleet"} == 6`, // 1 + 2 + 3: each host counts its own processes only
		`groupname:namedprocess_namegroup_instances:count{groupname="fleet"} == 3`,
		`groupname:namedprocess_namegroup_cpu_seconds:rate5m{groupname="fleet"} >= 0`,
	} {
		testenv.WaitFor(t, expr, func() bool { return s.seriesCount(expr) > 0 })
	}
}
