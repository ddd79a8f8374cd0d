package e2e

import (
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Limits of the log: lines per minute, and lines that wait for a slow writer.
const (
	maxLinesPerMinute = 60
	maxQueued         = 256
)

// startWithStderr starts an exporter that logs to a file that the test does not read. It listens on a
// socket that it inherits, because its address cannot be read from the log.
func startWithStderr(t *testing.T, stderr *os.File, args ...string) (command *exec.Cmd, r *instance) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket, err := listener.(*net.TCPListener).File()
	if err := errors.Join(err, listener.Close()); err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	script := `LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@"`
	command = exec.Command("sh", append([]string{"-c", script, binary, "--web.systemd-socket"}, args...)...)
	command.ExtraFiles, command.Stderr = []*os.File{socket}, stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill() })
	r = &instance{t: t, command: command, URL: "http://" + listener.Addr().String(), PID: command.Process.Pid,
		Client: &http.Client{Timeout: testTimeout, Transport: &http.Transport{DisableKeepAlives: true}}}
	return command, r
}

// TestBlockedLogs runs the exporter with logs that accept no line.
func TestBlockedLogs(t *testing.T) {
	full := func() (*os.File, func()) {
		var fds [2]int
		if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		if err := unix.SetNonblock(fds[1], true); err != nil {
			t.Fatal(err)
		}
		for block := make([]byte, 4096); ; {
			if _, err := unix.Write(fds[1], block); err != nil {
				break
			}
		}
		if err := unix.SetNonblock(fds[1], false); err != nil {
			t.Fatal(err)
		}
		return os.NewFile(uintptr(fds[1]), "pipe"), func() { _ = unix.Close(fds[0]) }
	}
	closed := func() (*os.File, func()) {
		read, write, err := os.Pipe()
		if err := errors.Join(err, read.Close()); err != nil {
			t.Fatal(err)
		}
		return write, func() {}
	}
	disk := func() (*os.File, func()) {
		f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		return f, func() {}
	}
	for name, open := range map[string]func() (*os.File, func()){"full pipe": full, "closed pipe": closed, "full disk": disk} {
		t.Run(name, func(t *testing.T) {
			stderr, release := open()
			defer release()
			defer stderr.Close()
			command, r := startWithStderr(t, stderr, "--log.level=debug", "-config.path", writeFile(t, "c.yml", oneGroup("all")))
			r.Scrape() // the exporter handles signals now
			for range 2 * maxQueued / 8 {
				r.Signal(syscall.SIGHUP)
			}
			for range 5 {
				if body := r.Scrape(); !strings.Contains(body, `num_procs{groupname="all"}`) {
					t.Errorf("got %.300s, want the group", body)
				}
			}
			r.Signal(syscall.SIGTERM)
			if err := command.Wait(); err != nil {
				t.Errorf("got %v on SIGTERM, want exit status 0", err)
			}
		})
	}
}

// TestClosedLog closes the reading end of the log pipe, as a log collector that crashes does. The
// reload makes the exporter write to it.
func TestClosedLog(t *testing.T) {
	r := startExporter(t)
	r.closeLog()
	for range 3 {
		r.Signal(syscall.SIGHUP)
		r.Scrape()
	}
	r.checkRunning()
}
