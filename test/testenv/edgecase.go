package testenv

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// EdgeCaseVariable is the environment variable that holds the path of the program
// testdata/edgecase if it is built already.
const EdgeCaseVariable = "TESTENV_EDGECASE"

// EdgeCaseProgram returns the path of the program testdata/edgecase.
func EdgeCaseProgram(t testing.TB) string {
	t.Helper()
	if path := os.Getenv(EdgeCaseVariable); path != "" {
		return path
	}
	return BuildGo(t, "edgecase")
}

// CopyEdgeCase copies the program to a path.
func CopyEdgeCase(t testing.TB, path string) {
	t.Helper()
	CopyProgram(t, EdgeCaseProgram(t), path)
}

// CopyProgram copies a program to a path. Each user can execute it.
func CopyProgram(t testing.TB, program, path string) {
	t.Helper()
	text, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	syscall.ForkLock.RLock() // a child of another test with the open file would make it busy
	err = os.WriteFile(path, text, 0o755)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
}

// An EdgeCase is a running instance of testdata/edgecase.
type EdgeCase struct {
	Cmd    *exec.Cmd
	Stdin  io.WriteCloser
	stdout *bufio.Reader
}

// StartEdgeCase starts the program with verbs of testdata/edgecase and waits until it is
// ready. It is killed when the test ends. change, unless nil, alters the command before the start.
func StartEdgeCase(t testing.TB, change func(*exec.Cmd), verbs ...string) *EdgeCase {
	t.Helper()
	for _, verb := range verbs {
		requirePrivileges(t, verb)
	}
	cmd := exec.Command(EdgeCaseProgram(t), verbs...)
	if change != nil {
		change(cmd)
	}
	stdin, stdout := StartPiped(t, cmd)
	c := &EdgeCase{Cmd: cmd, Stdin: stdin, stdout: stdout}
	t.Cleanup(c.End)
	c.waitReady(t)
	return c
}

// requirePrivileges skips the test of a verb that needs privileges of root which
// containers lack.
func requirePrivileges(t testing.TB, verb string) {
	t.Helper()
	name, value, _ := strings.Cut(verb, "=")
	switch {
	case name == "fuse", name == "unresponsive":
		RequireNamespaces(t)
	case name == "newtime":
		RequireCapability(t, SysAdmin)
	case name == "scheduled" && (strings.HasPrefix(value, "1,") || strings.HasPrefix(value, "2,")): // SCHED_FIFO, SCHED_RR
		RequireCapability(t, SysNice)
	}
}

func (c *EdgeCase) waitReady(t testing.TB) {
	t.Helper()
	if line, err := c.stdout.ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("%q: got line %q, error %v, want \"ready\"", c.Cmd.Args, line, err)
	}
}

// Step lets the child continue from one "await" to the next, or to the end of
// its verbs.
func (c *EdgeCase) Step(t testing.TB) {
	t.Helper()
	if _, err := c.Stdin.Write([]byte{'\n'}); err != nil {
		t.Fatal(err)
	}
	c.waitReady(t)
}

// End kills and reaps the child. Further calls do nothing.
func (c *EdgeCase) End() {
	_ = c.Stdin.Close()
	_ = c.Cmd.Process.Kill()
	_ = c.Cmd.Wait()
}
