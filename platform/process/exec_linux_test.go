package process

import (
	"os/exec"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// TestRepeatedExec reads a process in which another thread than the main one calls execve(2) again
// and again. The process exists all the time and keeps its ID.
func TestRepeatedExec(t *testing.T) {
	cmd := exec.Command(testenv.CompileC(t, "execloop", "execloop"), "token", "loop")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	p := openProcess(t, cmd.Process.Pid)
	for range testenv.Rounds(10_000, 100_000) {
		again, err := Open(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		if again.ID() != p.ID() {
			t.Errorf("got %+v, want %+v", again.ID(), p.ID())
		}
		if _, err := again.Threads(); err != nil {
			t.Error(err)
		}
		if err := again.Close(); err != nil || t.Failed() {
			t.Fatal(err)
		}
	}
}
