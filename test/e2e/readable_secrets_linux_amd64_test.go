package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// A secret is data that an attacker inside the exporter wants to read. It is a column of the table.
type secret struct {
	column string
	read   func(in *injector) bool
}

// readFile reports whether the exporter can read a file.
func (in *injector) readFile(path string) bool {
	in.t.Helper()
	fd := in.call(unix.SYS_OPENAT, unix.AT_FDCWD, path, unix.O_RDONLY)
	if fd < 0 {
		return false
	}
	n := in.call(unix.SYS_READ, int(fd), make([]byte, 64), 64)
	in.call(unix.SYS_CLOSE, int(fd))
	return n > 0
}

// readMemory reports whether the exporter can read the stack of a process.
func (in *injector) readMemory(pid int) bool {
	in.t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	in.check("read mappings", err)
	var at int
	stack := regexp.MustCompile(`(?m)^\w+-(\w+) .*\[stack\]$`).FindSubmatch(maps)
	if stack == nil {
		in.t.Fatal("the process has no stack")
	}
	_, err = fmt.Sscanf(string(stack[1]), "%x", &at)
	in.check("parse mappings", err)
	fd := in.call(unix.SYS_OPENAT, unix.AT_FDCWD, fmt.Sprintf("/proc/%d/mem", pid), unix.O_RDONLY)
	if fd < 0 {
		return false
	}
	defer in.call(unix.SYS_CLOSE, int(fd))
	if in.call(unix.SYS_PREAD64, int(fd), make([]byte, 64), 64, at-64) > 0 {
		return true
	}
	return in.call(unix.SYS_LSEEK, int(fd), at-64, 0) > 0 && in.call(unix.SYS_READ, int(fd), make([]byte, 64), 64) > 0
}

// startWithSecret starts a process of a user with a secret in its environment, and returns its PID.
func startWithSecret(t *testing.T, uid uint32) int {
	t.Helper()
	command := exec.Command("sleep", "1000")
	command.Env = []string{"PASSWORD=canary"}
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
	return command.Process.Pid
}

// TestReadableSecrets reads secrets with system calls inside the exporter, in each mode of
// docs/permissions.md, and compares what it could read with the table of the page.
func TestReadableSecrets(t *testing.T) {
	requireDocumentedPermissions(t)
	config := startTarget(t)
	ofRoot, ofSame, ofOther := startWithSecret(t, 0), startWithSecret(t, 65534), startWithSecret(t, 65532)
	file := writeFile(t, "secret", "canary")
	environ := func(pid int) func(*injector) bool {
		return func(in *injector) bool { return in.readFile(fmt.Sprintf("/proc/%d/environ", pid)) }
	}
	secrets := []secret{
		{"`/etc/shadow`", func(in *injector) bool { return in.readFile("/etc/shadow") }},
		{"files of root", func(in *injector) bool { return in.readFile(file) }},
		{"`/sys`", func(in *injector) bool { return in.readFile("/sys/kernel/btf/vmlinux") }},
		{"environment, root", environ(ofRoot)},
		{"environment, user 65534", environ(ofSame)},
		{"environment, other users", environ(ofOther)},
		{"memory", func(in *injector) bool {
			return in.readMemory(ofRoot) || in.readMemory(ofSame) || in.readMemory(ofOther)
		}},
	}
	headings := runModeHeadings()
	for _, s := range secrets {
		headings = append(headings, s.column)
	}
	var rows [][]string
	for _, m := range runModes() {
		r := startReady(t, m.command(t, withListener([]string{"--config.path=" + config})...))
		r.refused = true
		row, in := m.cells(), newInjector(t, r.PID)
		for _, s := range secrets {
			row = append(row, testenv.YesOrNo(s.read(in)))
		}
		in.detach()
		rows = append(rows, row)
		r.Stop()
	}
	testenv.CheckGeneratedSection(t, permissionsPage, "what remains readable", testenv.MarkdownTable(headings, rows))
}
