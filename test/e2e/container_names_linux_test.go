package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// TestContainerNames checks that the daemon finds the names of a container in the directory of
// a kubelet, from inside the strictest sandbox, also if the name is written after the start of the
// container. A process that only has the name of the container in its command line stays outside.
func TestContainerNames(t *testing.T) {
	requireRoot(t)
	eachSource(t, func(t *testing.T, source string) {
		id := fmt.Sprintf("%016x%016x%016x%016x", rand.Uint64(), rand.Uint64(), rand.Uint64(), rand.Uint64())
		cgroup := makeCgroupNamed(t, "docker-"+id+".scope")
		if cgroup == "" {
			t.Skip("cannot create a cgroup")
		}
		inside := startWorker(t, "inside")
		t.Cleanup(func() { inside.end(); removeCgroup(t, cgroup) })
		if err := os.WriteFile(filepath.Join(cgroup, "cgroup.procs"), []byte(strconv.Itoa(inside.command.Process.Pid)), 0); err != nil {
			t.Fatal(err)
		}
		startWorker(t, "docker-"+id)
		logs := t.TempDir()
		if err := os.Mkdir(filepath.Join(logs, "containers"), 0o755); err != nil {
			t.Fatal(err)
		}
		rules := writeFile(t, "rules.yaml", "process_names:\n"+
			"  - name: \"[{{.PodNamespace}}/{{.Pod}}/{{.ContainerName}}] {{.Comm}}\"\n    cmdline: ['workload \\S+$']\n")
		script := `set -e; mount --bind "$1" /var/log; ` +
			`exec "$0" ` + source + ` --sandbox=strict --config.path="$2" --web.listen-address=127.0.0.1:0`
		r := startCommand(t, exec.Command("unshare", "-m", "--propagation=private", "sh", "-c", script, binary, logs, rules))
		r.URL = r.waitForURL()
		r.waitForScrape([]string{`num_procs{groupname="[//] inside"} 1`}, nil)
		link := filepath.Join(logs, "containers", "web-1_shop_nginx-"+id+".log")
		if err := os.Symlink("/nonexistent", link); err != nil {
			t.Fatal(err)
		}
		other := "docker-" + id
		r.waitForScrape([]string{`num_procs{groupname="[shop/web-1/nginx] inside"} 1`, `num_procs{groupname="[//] ` + other[:15] + `"} 1`}, nil)
	})
}

// TestExitInUnknownCgroup checks the exits of processes in a cgroup that no scrape saw. In the
// sandbox, the exporter does not look up the path of the cgroup: that system call is refused, which
// fails the test. Otherwise it finds the path, if cgroup v2 has its default mount point.
func TestExitInUnknownCgroup(t *testing.T) {
	requireRoot(t)
	requireBPF(t)
	rules := writeFile(t, "rules.yaml", "process_names:\n  - {name: inside, comm: [unknowncg], cgroup: [.]}\n"+
		"  - {name: outside, comm: [unknowncg]}\n")
	for _, sandbox := range []string{"auto", "off"} {
		t.Run(sandbox, func(t *testing.T) {
			r := startExporter(t, "--source=bpf", "--sandbox="+sandbox, "-config.path", rules)
			r.Scrape()
			mount, group := cgroup2(t), "outside"
			if sandbox == "off" && mount == "/sys/fs/cgroup" {
				group = "inside"
			}
			cgroup := filepath.Join(mount, "unknown-"+sandbox)
			if err := os.Mkdir(cgroup, 0o755); err != nil {
				t.Skip(err)
			}
			t.Cleanup(func() { removeCgroup(t, cgroup) })
			script := `echo $$ >"$1/cgroup.procs"; printf unknowncg >/proc/$$/comm`
			if out, err := exec.Command("sh", "-c", script, "sh", cgroup).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			r.waitForScrape([]string{`exits_total{code="0",groupname="` + group + `",reason="exited"} 1`}, nil)
		})
	}
}

// cgroup2 returns the mount point of cgroup v2.
func cgroup2(t *testing.T) string {
	t.Helper()
	for _, mount := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		if _, err := os.Stat(filepath.Join(mount, "cgroup.controllers")); err == nil {
			return mount
		}
	}
	t.Skip("cgroup v2 is not mounted")
	return ""
}
