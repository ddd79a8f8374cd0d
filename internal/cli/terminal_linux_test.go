package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/procfstree"
)

// openTerminal returns both ends of a new pseudoterminal.
func openTerminal(t *testing.T) (controller, terminal *os.File) {
	t.Helper()
	controller, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudoterminals: %v", err)
	}
	t.Cleanup(func() { controller.Close() })
	n, err := unix.IoctlGetInt(int(controller.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(controller.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 30, Col: 100})
	}
	if err != nil {
		t.Fatal(err)
	}
	return controller, terminal
}

// TestNoTerminalQueries checks that no command requests something from its terminal. One that does
// not answer would delay it.
func TestNoTerminalQueries(t *testing.T) {
	tree := procfstree.New(t, 100_000)
	tree.Set(newProcess(1, 0, "init", "init"))
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(rules, []byte("process_names: [{name: 'term-{{.Comm}}', comm: [init]}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"--version", "groups --pause=0s", "top --source=procfs"} {
		controller, terminal := openTerminal(t)
		if !strings.HasPrefix(args, "-") {
			args += " --procfs " + tree.Root + " --config.path " + rules
		}
		command := exec.CommandContext(t.Context(), os.Args[0], strings.Fields(args)...)
		command.Env = append(os.Environ(), runMain+"=1", "TERM=xterm-256color")
		command.Stdin, command.Stdout, command.Stderr = terminal, terminal, terminal
		command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		terminal.Close()
		var out strings.Builder
		buffer := make([]byte, 1<<10)
		for quit := false; ; {
			n, err := controller.Read(buffer)
			out.Write(buffer[:n])
			if err != nil { // EIO: the program has exited
				break
			}
			if !quit && strings.HasPrefix(args, "top") && strings.Contains(out.String(), "term-init") {
				quit = true
				if _, err := controller.WriteString("q"); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := command.Wait(); err != nil || out.Len() == 0 {
			t.Errorf("%s: got %v, output %q", args, err, out.String())
		}
		for _, query := range []string{"\x1b]11;?", "\x1b]10;?", "\x1b[6n", "\x1b[c", "\x1b[0c", "\x1b[>"} {
			if strings.Contains(out.String(), query) {
				t.Errorf("%s: got the query %q in %q, want none", args, query, out.String())
			}
		}
	}
}
