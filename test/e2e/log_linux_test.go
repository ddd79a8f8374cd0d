package e2e

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/testdata/proctree"
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

// TestStopFinishesScrape sends SIGTERM while a scrape waits for an unresponsive process. The response
// must be complete.
func TestStopFinishesScrape(t *testing.T) {
	rounds := 3
	if chaos {
		rounds = 100
	}
	for range rounds {
		tree := proctree.New(t, 1000)
		for pid := 10; pid < 20; pid++ {
			tree.Set(proctree.Process{PID: pid, Comm: "p", Args: []string{"x"}, Start: 5})
		}
		r := startExporter(t, "--procfs", tree.Root)
		path := filepath.Join(tree.Root, "15", "stat")
		if err := errors.Join(os.Remove(path), unix.Mkfifo(path, 0o600)); err != nil {
			t.Fatal(err)
		}
		body := make(chan string)
		go func() {
			response, err := r.Client.Get(r.URL + "/metrics")
			if err != nil {
				body <- err.Error()
				return
			}
			defer response.Body.Close()
			text, err := io.ReadAll(response.Body)
			if err != nil {
				body <- err.Error()
				return
			}
			body <- string(text)
		}()
		writer := -1
		eventually(t, "the scrape to open the file", func() bool {
			fd, err := unix.Open(path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
			writer = fd
			return err == nil
		})
		status := r.Stop()
		_ = unix.Close(writer)
		if text := <-body; status != 0 || !strings.Contains(text, `num_procs{groupname="p"} 10`) ||
			!strings.Contains(text, "namedprocess_exporter_scrape_success") {
			t.Errorf("got exit status %d and response %.300q, want 0 and all processes", status, text)
		}
	}
}
