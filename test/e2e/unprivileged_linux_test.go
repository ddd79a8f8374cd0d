package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestUnprivilegedExporter starts the exporter as an ordinary user: it leaves
// out what it cannot read and says so once.
func TestUnprivilegedExporter(t *testing.T) {
	requireLinux(t)
	if os.Getuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	r := startAs(t, unprivileged())
	scrape := r.Scrape()
	if !strings.Contains(scrape, `namedprocess_namegroup_unreadable_procs{file="io",`) {
		t.Error("no process is said to hide its io")
	}
	if !strings.Contains(scrape, "namedprocess_exporter_scrape_success 1\n") {
		t.Error("the scrape is said to have failed")
	}
	said := 0
	for _, line := range r.Log() {
		if strings.Contains(line, "CAP_SYS_PTRACE") || strings.Contains(line, "CAP_DAC_READ_SEARCH") {
			said++
		}
	}
	if said == 0 || said > 2 {
		t.Errorf("the missing capabilities are named in %d lines, want one or two:\n%s", said, strings.Join(r.Log(), "\n"))
	}
}

// nobody is an ordinary user with these capabilities and no others.
func unprivileged(capabilities ...uintptr) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, AmbientCaps: capabilities}
}

// startAs starts the exporter as somebody else, and waits until it is ready.
func startAs(t *testing.T, who *syscall.SysProcAttr, args ...string) *instance {
	t.Helper()
	command := exec.Command(executableCopy(t), withListener(args)...)
	command.SysProcAttr = who
	return startReady(t, command)
}

// startReady starts the exporter by a command, and waits until it is ready.
func startReady(t *testing.T, command *exec.Cmd) *instance {
	t.Helper()
	r := startCommand(t, command)
	eventually(t, "readiness", func() bool {
		r.checkRunning()
		if len(r.addresses()) == 0 {
			return false
		}
		r.URL = "http://" + r.addresses()[0]
		response, err := r.Client.Get(r.URL + readyPath)
		if err != nil {
			return false
		}
		return response.Body.Close() == nil && response.StatusCode == 200
	})
	return r
}

// everybodysCopy returns a copy of the exporter that every user may run.
func executableCopy(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/tmp", "process_exporter")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "process_exporter")
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(path, text, 0o755)); err != nil {
		t.Fatal(err)
	}
	return path
}
