package cli

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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
		quitAt := ""
		if strings.HasPrefix(args, "top") {
			quitAt = "term-init"
		}
		if !strings.HasPrefix(args, "-") {
			args += " --procfs " + tree.Root + " --config.path " + rules
		}
		out, err := runOnTerminal(t, quitAt, strings.Fields(args)...)
		if err != nil || out == "" {
			t.Errorf("%s: got %v, output %q", args, err, out)
		}
		for _, query := range []string{"\x1b]11;?", "\x1b]10;?", "\x1b[6n", "\x1b[c", "\x1b[0c", "\x1b[>"} {
			if strings.Contains(out, query) {
				t.Errorf("%s: got the query %q in %q, want none", args, query, out)
			}
		}
	}
}

// runOnTerminal runs the program with a terminal as its input and output, and returns the output.
// It presses q when the output contains quitAt.
func runOnTerminal(t *testing.T, quitAt string, args ...string) (string, error) {
	t.Helper()
	controller, terminal := openTerminal(t)
	command := exec.CommandContext(t.Context(), os.Args[0], args...)
	command.Env = append(os.Environ(), runMain+"=1", "TERM=xterm-256color")
	command.Stdin, command.Stdout, command.Stderr = terminal, terminal, terminal
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	terminal.Close()
	var out strings.Builder
	buffer := make([]byte, 1<<10)
	for quit := quitAt == ""; ; {
		n, err := controller.Read(buffer)
		out.Write(buffer[:n])
		if err != nil { // EIO: the program has exited
			return out.String(), command.Wait()
		}
		if !quit && strings.Contains(out.String(), quitAt) {
			quit = true
			if _, err := controller.WriteString("q"); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestControlCharacters has a process name and a server that send control characters to the
// terminal. All commands escape them. Other output than JSON has the exact bytes in a pipe.
func TestControlCharacters(t *testing.T) {
	const hostile, controls = "evil\x1b[2J\u009b7m\x7f", "\x1b\u009b\x7f"
	tree := procfstree.New(t, 100_000)
	tree.Set(newProcess(1, 0, hostile, "init"))
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(rules, []byte("process_names: [{name: '{{.Comm}}', cmdline: [init]}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	local := []string{"--procfs", tree.Root, "--config.path", rules}
	const escaped = `evil\u001b[2J\u009b7m\u007f`
	for _, tt := range []struct {
		args []string
		want string // in the output on a terminal
		pipe string // in the output to a pipe
	}{
		{append(local, "--source=procfs", "--once-to-stdout-delay=1ms"), escaped, hostile},
		{append([]string{"groups", "--json", "--pause=0s"}, local...), escaped, escaped},
		{append([]string{"explain", "--json", "1"}, local...), escaped, escaped},
		{append([]string{"top", "--json", "--source=procfs", "--interval=1s"}, local...), escaped, escaped},
		{append([]string{"top", "--json", "--batch", "--repeat=1", "--source=procfs", "--interval=1s"}, local...), escaped, escaped},
		{append([]string{"groups", "--pause=0s"}, local...), `evil\x1b[2J\u009b7m\x7f`, `evil\x1b[2J\u009b7m\x7f`},
	} {
		out, err := runOnTerminal(t, "", tt.args...)
		if err != nil || !strings.Contains(out, tt.want) || strings.ContainsAny(out, controls) {
			t.Errorf("%s: got %v, output on a terminal %q, want %q", tt.args[0], err, out, tt.want)
		}
		command := exec.CommandContext(t.Context(), os.Args[0], tt.args...)
		command.Env = append(os.Environ(), runMain+"=1")
		piped, err := command.Output()
		if err != nil || !strings.Contains(string(piped), tt.pipe) {
			t.Errorf("%s: got %v, output to a pipe %q, want %q", tt.args[0], err, piped, tt.pipe)
		}
	}
	for _, response := range []string{
		"HTTP/1.1 500 " + hostile + "\r\nContent-Length: 0\r\n\r\n",
		fmt.Sprintf("HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%s", len(hostile), hostile),
		fmt.Sprintf("HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n%s", len(hostile), hostile),
	} {
		out, err := runOnTerminal(t, "", "top", "--once", "--url", serveResponse(t, response))
		if err == nil || !strings.Contains(out, escaped) || strings.ContainsAny(out, controls) {
			t.Errorf("got %v and output %q for the response %q", err, out, response)
		}
	}
}

// TestInspectControlCharacters inspects a process whose arguments and environment contain control
// characters. The report has escape sequences for colours, so it escapes its values itself.
func TestInspectControlCharacters(t *testing.T) {
	const hostile = "evil\x1b[2J\u009b7m\x7f"
	process := exec.CommandContext(t.Context(), "sleep", "1000")
	process.Args[0], process.Env, process.Dir = hostile, []string{hostile + "=" + hostile}, t.TempDir()
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = process.Process.Kill(), process.Wait() }()
	out, err := runOnTerminal(t, "", "inspect", patient, "--show-environ", strconv.Itoa(process.Process.Pid))
	if err != nil || strings.Count(out, `evil\x1b[2J\u009b7m\x7f`) < 3 || !strings.Contains(out, "\x1b[1m") {
		t.Errorf("got %v and output %q, want escaped arguments and environment, and colours", err, out)
	}
	if strings.Contains(out, "\x1b[2J") || strings.ContainsAny(out, "\u009b\x7f") {
		t.Errorf("got control characters in %q", out)
	}
}

// serveResponse returns the URL of a server that sends one response.
func serveResponse(t *testing.T, response string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			_, _ = io.WriteString(conn, response)
		}
	}()
	return "http://" + l.Addr().String()
}
