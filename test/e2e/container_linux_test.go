package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// kernelCapabilities are the capabilities that the bpf source requires without root.
var kernelCapabilities = []string{"CAP_BPF", "CAP_PERFMON", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"}

// bundle writes an OCI bundle that runs the exporter in an otherwise empty root file system, with the
// PID and network namespaces of the host.
func bundle(t *testing.T, capabilities []string, args ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	root := filepath.Join(dir, "rootfs")
	for _, name := range []string{"proc", "sys"} {
		if err := os.MkdirAll(filepath.Join(root, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(testenv.BuildExporter(t), filepath.Join(root, "process_exporter")); err != nil {
		t.Fatal(err)
	}
	type object = map[string]any
	config := object{
		"ociVersion": "1.0.2",
		"process": object{
			"args": append([]string{"/process_exporter"}, withListener(args)...),
			"cwd":  "/", "user": object{"uid": 0, "gid": 0}, "noNewPrivileges": true,
			"capabilities": object{"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
		},
		"root": object{"path": "rootfs", "readonly": true},
		"mounts": []object{
			{"destination": "/proc", "type": "proc", "source": "proc"},
			{"destination": "/sys", "type": "bind", "source": "/sys", "options": []string{"rbind", "ro"}},
		},
		"linux": object{"namespaces": []object{{"type": "mount"}, {"type": "ipc"}, {"type": "uts"}}},
	}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// startContainer starts the exporter in a container, which the test cleanup deletes.
func startContainer(t *testing.T, capabilities []string, args ...string) *instance {
	t.Helper()
	runc := testenv.RequireProgram(t, "runc")
	testenv.RequireNamespaces(t)
	dir := bundle(t, capabilities, args...)
	state := filepath.Join(dir, "state")
	name := fmt.Sprintf("process-exporter-test-%d", os.Getpid())
	r := startCommand(t, exec.Command(runc, "--root", state, "run", "--bundle", dir, name))
	t.Cleanup(func() { _ = exec.Command(runc, "--root", state, "delete", "--force", name).Run() })
	testenv.WaitFor(t, "a listener", func() bool {
		r.checkRunning()
		return len(r.addresses()) > 0
	}, func() string { return strings.Join(r.Log(), "\n") })
	r.URL = "http://" + r.addresses()[0]
	return r
}

// TestContainer reads the processes of the host from a container: with bpf if the container has the
// capabilities, otherwise with procfs.
func TestContainer(t *testing.T) {
	requireBPF(t)
	if os.Getuid() != 0 {
		t.Skip("requires root: runs containers")
	}
	outside := startWorker(t, "outside")
	outside.do("open 5")
	for source, capabilities := range map[string][]string{"bpf": kernelCapabilities, "procfs": {}} {
		t.Run(source, func(t *testing.T) {
			r := startContainer(t, capabilities)
			testenv.WaitFor(t, "the processes of the host", func() bool {
				got, _ := parseMetrics(t, r.Scrape())
				return got[`namedprocess_namegroup_num_procs{groupname="outside"}`] >= 1 &&
					got[`namedprocess_exporter_source_info{source="`+source+`"}`] == 1
			}, func() string { return strings.Join(r.Log(), "\n") })
			line := r.waitForLog(`msg="reading processes"`, "source="+source)
			if named := strings.Contains(line, "CAP_BPF"); named != (source == "procfs") {
				t.Errorf("got %q, want the missing capabilities named only for procfs", line)
			}
			r.Signal(syscall.SIGTERM)
			if status := r.Wait(); status != 0 {
				t.Errorf("got exit status %d, want 0", status)
			}
		})
	}
}
