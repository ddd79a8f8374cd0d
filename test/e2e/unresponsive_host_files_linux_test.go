package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// hostFiles are files about the machine. LXCFS mounts a file over each in containers.
var hostFiles = []string{
	"/proc/stat", "/proc/uptime", "/proc/meminfo", "/proc/vmstat", "/proc/loadavg", "/proc/cpuinfo", "/proc/diskstats", "/proc/swaps",
	"/sys/devices/system/cpu/online", "/sys/devices/system/cpu/possible",
}

// commandWithoutHostFiles starts the exporter where reads of hostFiles block until the returned server
// exits.
func commandWithoutHostFiles(t *testing.T, source string) (*instance, *unresponsive) {
	t.Helper()
	server := startFuse(t, "fuse=read")
	path := plainBinary(t)
	var mounts strings.Builder
	for _, file := range hostFiles {
		if _, err := os.Stat(file); err == nil {
			fmt.Fprintf(&mounts, "mount --bind %s %s && ", filepath.Join(server.dir, "f"), file)
		}
	}
	namespace := fmt.Sprintf("/proc/%d/ns/mnt", children(t, server.command.Process.Pid)[0])
	r := startCommand(t, exec.Command("nsenter", "--mount="+namespace, "sh", "-c", mounts.String()+`exec "$0" "$@"`, path, source,
		"--web.listen-address=127.0.0.1:0", "--config.path", writeFile(t, "c.yml", "process_names: [{name: '{{.Comm}}', cmdline: ['.+']}]")))
	t.Cleanup(func() { _ = server.command.Process.Kill() }) // the kernel then aborts the requests to the file system
	return r, server
}

// startWithoutHostFiles also waits until the exporter listens.
func startWithoutHostFiles(t *testing.T, source string) (*instance, *unresponsive) {
	t.Helper()
	r, server := commandWithoutHostFiles(t, source)
	r.URL = r.waitForURL()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", r.PID))
	if err != nil || !strings.Contains(string(content), " /proc/stat ") {
		t.Fatalf("got error %v and mounts %s, want one at /proc/stat", err, content)
	}
	return r, server
}

// TestUnresponsiveHostFiles starts the exporter where reads of the files about the machine block. It
// listens, counts all processes and stops. The source bpf requires the number of CPUs, so that auto is
// procfs.
func TestUnresponsiveHostFiles(t *testing.T) {
	startIdleProcess(t, "neighbor")
	for _, source := range []string{"--source=procfs", "--source=auto"} {
		r, _ := startWithoutHostFiles(t, source)
		if body := r.Scrape(); !strings.Contains(body, `num_procs{groupname="neighbor"} 1`) {
			t.Errorf("got no group neighbor in:\n%s", body)
		}
		r.waitForLog("reading processes", "source=procfs")
		if status := r.Stop(); status != 0 {
			t.Errorf("got exit status %d, want 0", status)
		}
	}
}

// TestUnresponsiveCPUNumbers starts the exporter with the source bpf. It exits with an error that
// names the file.
func TestUnresponsiveCPUNumbers(t *testing.T) {
	requireBPF(t)
	r, _ := commandWithoutHostFiles(t, "--source=bpf")
	r.waitForLog("--source=bpf", "reads of /sys/devices/system/cpu/possible can block")
	if status := r.Wait(); status != 1 {
		t.Errorf("got exit status %d, want 1", status)
	}
}

// TestUnresponsiveMachineTotals requests the page's data where reads of the files about the machine
// block. Only the totals of the machine are absent, until the files respond.
func TestUnresponsiveMachineTotals(t *testing.T) {
	r, server := startWithoutHostFiles(t, "--source=procfs")
	const totals, groups = `"memory_bytes"`, `"groups":[{`
	for range 2 {
		response, body := r.Get("/api/v1/groups")
		if response.StatusCode != http.StatusOK || !strings.Contains(body, groups) || strings.Contains(body, totals) {
			t.Errorf("got %s and %s, want groups without %s", response.Status, body, totals)
		}
	}
	if err := server.command.Process.Kill(); err != nil { // the kernel then aborts the requests to the file system
		t.Fatal(err)
	}
	if status := r.Stop(); status != 0 {
		t.Errorf("got exit status %d, want 0", status)
	}
}
