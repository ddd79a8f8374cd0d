package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestPrivilegeIsNotNeeded starts the exporter as an ordinary user: it leaves
// out what it cannot read and says so once.
func TestPrivilegeIsNotNeeded(t *testing.T) {
	onlyLinux(t)
	if os.Getuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	r := startAs(t, 65534)
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

// startAs starts the exporter as another user, from a copy that every user may
// run, and waits until it is ready.
func startAs(t *testing.T, uid uint32) *running {
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
	copied := filepath.Join(dir, "process_exporter")
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(copied, text, 0o755)); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(copied, "--web.listen-address=127.0.0.1:0")
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	r := startCommand(t, command)
	eventually(t, "readiness", func() bool {
		r.mustRun()
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
