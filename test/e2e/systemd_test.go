package e2e

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// TestSystemdSocket passes a socket as systemd does: as file descriptor 3, with LISTEN_FDS and
// LISTEN_PID in the environment.
func TestSystemdSocket(t *testing.T) {
	requireLinux(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	socket, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	command := exec.Command("sh", "-c", `LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@"`, binary, "-web.systemd-socket")
	command.ExtraFiles = []*os.File{socket}
	r := startCommand(t, command)
	r.URL = "http://" + listener.Addr().String()
	if body := r.Scrape(); !strings.Contains(body, "process_exporter_build_info{") {
		t.Errorf("got %.300s, want metrics", body)
	}
	testenv.WaitFor(t, "the address in the log", func() bool { return len(r.addresses()) > 0 })
	if got := r.addresses(); len(got) != 1 || got[0] != listener.Addr().String() {
		t.Errorf("got listeners %q, want %s", got, listener.Addr())
	}
	if status := r.Stop(); status != 0 {
		t.Errorf("got exit status %d", status)
	}
}

// A notifySocket receives the state messages of a service, as systemd does.
type notifySocket struct {
	path   string
	socket *net.UnixConn
	t      *testing.T
}

// listenNotify returns a notifySocket in dir that every user can write to. The test cleanup closes it.
func listenNotify(t *testing.T, dir string) *notifySocket {
	t.Helper()
	path := filepath.Join(dir, "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	if err := os.Chmod(path, 0o777); err != nil {
		t.Fatal(err)
	}
	return &notifySocket{path, socket, t}
}

// expect waits for the next message, which must start with want.
func (m *notifySocket) expect(want string) {
	m.t.Helper()
	buf := make([]byte, 1024)
	if err := m.socket.SetReadDeadline(time.Now().Add(testTimeout)); err != nil {
		m.t.Fatal(err)
	}
	n, err := m.socket.Read(buf)
	if got := string(buf[:n]); err != nil || !strings.HasPrefix(got, want) {
		m.t.Fatalf("got %q and error %v, want %q", got, err, want)
	}
}

// TestSystemdNotify checks the messages that the exporter sends to systemd.
func TestSystemdNotify(t *testing.T) {
	requireLinux(t)
	m := listenNotify(t, t.TempDir())
	command := exec.Command(binary, "-web.listen-address=127.0.0.1:0", "-config.path", writeFile(t, "c.yml", oneGroup("x")))
	command.Env = append(os.Environ(), "NOTIFY_SOCKET="+m.path)
	r := startCommand(t, command)
	m.expect("READY=1")
	r.Signal(syscall.SIGHUP)
	m.expect("RELOADING=1\nMONOTONIC_USEC=")
	m.expect("READY=1")
	r.Signal(syscall.SIGTERM)
	m.expect("STOPPING=1")
	if status := r.Wait(); status != 0 {
		t.Errorf("got exit status %d", status)
	}
}

// TestWatchdog counts WATCHDOG=1 messages. TestSystemdNotify checks that there are none without
// WATCHDOG_USEC.
func TestWatchdog(t *testing.T) {
	requireLinux(t)
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	command := exec.Command(binary, "--web.listen-address=127.0.0.1:0")
	command.Env = append(os.Environ(), "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=20000")
	r := startCommand(t, command)
	for messages := 0; messages < 5; {
		if err := socket.SetReadDeadline(time.Now().Add(testTimeout)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 1024)
		n, err := socket.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if string(buf[:n]) == "WATCHDOG=1" {
			messages++
		}
	}
	go func() { _, _ = io.Copy(io.Discard, socket) }() // a full queue would block the exporter before its exit
	r.Signal(syscall.SIGTERM)
	if status := r.Wait(); status != 0 {
		t.Errorf("got exit status %d, want 0", status)
	}
}
