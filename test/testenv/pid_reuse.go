//go:build linux

package testenv

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// A PIDReuse starts one child after another, all with the same PID: see
// testdata/pidreuse.
type PIDReuse struct {
	t   testing.TB
	in  io.Writer
	out *bufio.Reader
}

// A PIDReuseChild is one child of a PIDReuse.
type PIDReuseChild struct {
	PID    int
	Tick   uint64 // clock tick of its start
	Number int    // how many children the PIDReuse had started by then
}

// StartPIDReuse starts a PIDReuse with one child. It skips the test without root, without a
// capability to choose PIDs, and without a C compiler. With CI=true, a missing capability or
// compiler fails the test.
func StartPIDReuse(t testing.TB) *PIDReuse {
	t.Helper()
	r := runPIDReuse(t)
	r.Do("next 0")
	return r
}

// StartWithPID starts a process with this PID, which must be free. Its name is "kind 0". It skips
// the test like StartPIDReuse.
func StartWithPID(t testing.TB, pid int) {
	t.Helper()
	if c := runPIDReuse(t, "CHILD_PID="+strconv.Itoa(pid)).Do("next 0"); c.PID != pid {
		t.Fatalf("got PID %d, want %d", c.PID, pid)
	}
}

// runPIDReuse starts a PIDReuse without a child, with variables added to its environment.
func runPIDReuse(t testing.TB, variables ...string) *PIDReuse {
	t.Helper()
	RequireRoot(t)
	RequireCapability(t, SysAdmin, CheckpointRestore) // clone3(2) with set_tid
	cmd := exec.Command(CompileC(t, "pidreuse", "pidreuse"), strings.Repeat("-", 50))
	cmd.Env = append(cmd.Environ(), variables...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	in, out := StartPiped(t, cmd)
	t.Cleanup(func() {
		_ = in.Close() // ends the program and its child
		_ = cmd.Wait()
		if stderr.Len() > 0 {
			t.Errorf("got %s on stderr of pidreuse, want nothing", stderr.String())
		}
	})
	r := &PIDReuse{t, in, out}
	if line, err := r.out.ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("got line %q of pidreuse, error %v, want \"ready\"", line, err)
	}
	return r
}

// Do runs a command of testdata/pidreuse and returns the child that it leaves.
func (r *PIDReuse) Do(format string, args ...any) PIDReuseChild {
	r.t.Helper()
	c, err := r.Try(format, args...)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// Try is like Do, but returns the error. Any goroutine may call it.
func (r *PIDReuse) Try(format string, args ...any) (c PIDReuseChild, err error) {
	if _, err = fmt.Fprintf(r.in, format+"\n", args...); err != nil {
		return c, err
	}
	line, err := r.out.ReadString('\n')
	if err != nil {
		return c, err
	}
	_, err = fmt.Sscan(line, &c.PID, &c.Tick, &c.Number)
	return c, err
}

// PIDReuseKind returns the kind in the name of a PIDReuseChild, if the child
// has finished its setup.
func PIDReuseKind(comm string) (kind int, ok bool) {
	digits, ok := strings.CutPrefix(comm, "kind ")
	if !ok {
		return 0, false
	}
	kind, err := strconv.Atoi(digits)
	return kind, err == nil
}
