package deploy_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestFleet gives three exporters a network and a PID namespace each, as if on
// hosts of their own, and lets one Prometheus scrape them and sum up.
func TestFleet(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("namespaces take root")
	}
	server, ip := need(t, "prometheus"), need(t, "ip")
	unshare := need(t, "unshare")
	workload := filepath.Join(buildDir, "workload")
	mustOutput(t, "go", "build", "-o", workload, "../testdata/workload")
	rules := write(t, "rules.yml", "process_names:\n  - name: fleet\n    cmdline: 'workload fleet$'\n")
	var targets []string
	for host := range 3 {
		space, wire := fmt.Sprintf("pe%d-%d", os.Getpid(), host), fmt.Sprintf("pe%dv%d", os.Getpid()%100000, host)
		address := fmt.Sprintf("10.213.%d.2", host)
		mustOutput(t, ip, "netns", "add", space)
		t.Cleanup(func() { mustOutput(t, ip, "netns", "del", space) })
		mustOutput(t, ip, "link", "add", wire, "type", "veth", "peer", "name", "eth0", "netns", space)
		mustOutput(t, ip, "addr", "add", fmt.Sprintf("10.213.%d.1/30", host), "dev", wire)
		mustOutput(t, ip, "link", "set", wire, "up")
		mustOutput(t, ip, "-n", space, "addr", "add", address+"/30", "dev", "eth0")
		mustOutput(t, ip, "-n", space, "link", "set", "eth0", "up")
		// One more process of the group on each next host.
		script := strings.Repeat(`sleep 600 | "$1" fleet & `, host+1) + `exec "$0" "--config.path=$2" "--web.listen-address=$3"`
		command := exec.Command(ip, "netns", "exec", space, unshare, "--pid", "--fork", "--kill-child", "--mount-proc",
			"sh", "-c", script, exporterPath(t), workload, rules, address+":9256")
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
	config := write(t, "prometheus.yml", fmt.Sprintf("global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\nrule_files: [%q]\nscrape_configs:\n  - job_name: process-exporter\n    static_configs: [{targets: ['%s']}]\n", ruleFile, strings.Join(targets, "','")))
	address := freeAddress(t)
	start(t, server, "--config.file="+config, "--storage.tsdb.path="+t.TempDir(), "--web.listen-address="+address, "--log.level=error")
	s := &scene{t: t, prometheus: "http://" + address}
	eventually(t, "Prometheus", func() bool { return answers(s.prometheus + "/-/ready") })
	for _, expr := range []string{
		`sum(up) == 3`,
		`groupname:namedprocess_namegroup_num_procs:sum{groupname="fleet"} == 6`, // 1 + 2 + 3: no host sees another's
		`groupname:namedprocess_namegroup_instances:count{groupname="fleet"} == 3`,
		`groupname:namedprocess_namegroup_cpu_seconds:rate5m{groupname="fleet"} >= 0`,
	} {
		eventually(t, expr, func() bool { return s.answer(expr) > 0 })
	}
}
