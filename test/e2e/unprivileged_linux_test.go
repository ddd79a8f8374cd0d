package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/procfstree"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

// TestUnprivilegedExporter runs the exporter as a user that is not root. It omits unreadable data and
// logs the missing capabilities once.
func TestUnprivilegedExporter(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("requires root: changes the user")
	}
	r := startAs(t, unprivileged())
	scrape := r.Scrape()
	if !strings.Contains(scrape, `namedprocess_namegroup_unreadable_procs{file="io",`) {
		t.Error("got no process with unreadable io")
	}
	if !strings.Contains(scrape, "namedprocess_exporter_scrape_success 1\n") {
		t.Error("got a failed scrape")
	}
	count := 0
	for _, line := range r.Log() {
		if strings.Contains(line, "CAP_SYS_PTRACE") || strings.Contains(line, "CAP_DAC_READ_SEARCH") {
			count++
		}
	}
	if count == 0 || count > 2 {
		t.Errorf("got the missing capabilities in %d lines, want one or two:\n%s", count, strings.Join(r.Log(), "\n"))
	}
}

// TestBlockedFileUnprivileged has a file below --procfs that blocks, beside an exporter that is not
// root and, in its sandbox, not dumpable. The other processes must be in the response.
func TestBlockedFileUnprivileged(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("requires root: changes the user")
	}
	tree := procfstree.New(t, 1000)
	for pid := 10; pid < 20; pid++ {
		tree.Set(procfstree.Process{PID: pid, Comm: "p", Args: []string{"x"}, Start: 5})
	}
	path := filepath.Join(tree.Root, "15", "stat")
	if err := errors.Join(os.Remove(path), unix.Mkfifo(path, 0o644)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("chmod", "-R", "a+rX", filepath.Dir(tree.Root)).CombinedOutput(); err != nil {
		t.Fatalf("chmod: %v: %s", err, out)
	}
	r := startAs(t, unprivileged(), "--source=procfs", "--procfs", tree.Root)
	if series, _ := parseMetrics(t, r.Scrape()); series[`namedprocess_namegroup_num_procs{groupname="p"}`] != 9 ||
		series["namedprocess_exporter_unresponsive_processes{}"] != 1 || series["namedprocess_exporter_scrape_incomplete{}"] != 0 {
		t.Errorf("got %v, want 9 processes of group p, 1 unresponsive process and a complete scrape", series)
	}
}

// TestUnresponsiveUnprivileged has processes for which reads block, beside an exporter that is not root.
// The other processes must be in the first response, and later responses are complete.
func TestUnresponsiveUnprivileged(t *testing.T) {
	neighbor := uniqueToken()
	startIdleProcess(t, neighbor)
	startUnresponsive(t, "edgecase", "mmap", 20)
	startIdleProcess(t, neighbor) // its PID is higher than those of the others
	for source, capabilities := range map[string][]uintptr{"procfs": nil, "bpf": {unix.CAP_BPF, unix.CAP_PERFMON}} {
		t.Run(source, func(t *testing.T) {
			if source == "bpf" {
				requireBPF(t)
			}
			r := startAs(t, unprivileged(capabilities...), "--source="+source)
			body := r.Scrape()
			if want := `namedprocess_namegroup_num_procs{groupname="` + neighbor + `"} 2` + "\n"; !strings.Contains(body, want) {
				t.Errorf("got no %q in the first response", want)
			}
			testenv.WaitFor(t, "a complete response with unresponsive processes", func() bool {
				body = r.Scrape()
				series, _ := parseMetrics(t, body)
				return series["namedprocess_exporter_scrape_success{}"] == 1 && series["namedprocess_exporter_unresponsive_processes{}"] > 0
			}, func() string {
				return strings.Join(linesWith(strings.Split(body, "\n"), "namedprocess_exporter_un"), "\n")
			})
		})
	}
}

// unprivileged returns the attributes of a user with only these capabilities.
func unprivileged(capabilities ...uintptr) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, AmbientCaps: capabilities}
}

// startAs starts the exporter as another user, and waits until it is ready.
func startAs(t *testing.T, attributes *syscall.SysProcAttr, args ...string) *instance {
	t.Helper()
	command := exec.Command(executableCopy(t), withListener(args)...)
	command.SysProcAttr = attributes
	return startReady(t, command)
}

// executableCopy returns a copy of the exporter that every user can execute.
func executableCopy(t *testing.T) string {
	t.Helper()
	return executableCopyOf(t, binary, program)
}

// executableCopyOf returns a copy of an executable file with this name, which every user can execute.
func executableCopyOf(t *testing.T, file, name string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "process_exporter")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	testenv.CopyProgram(t, file, path)
	return path
}
