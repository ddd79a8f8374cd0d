package sockets

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// unlimited is a budget that no Read of a test exhausts.
const unlimited = time.Hour

func openProcfs(t testing.TB, o Options) *procfsReader {
	t.Helper()
	r, err := newProcfsReader(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// readProcess reads and returns the Process with this PID. found is false if the Report has
// none.
func readProcess(t testing.TB, r Reader, report *Report, pid int) (p Process, found bool) {
	t.Helper()
	if err := r.Read(context.Background(), report); err != nil {
		t.Fatal(err)
	}
	for _, p := range report.Processes {
		if p.PID == pid {
			return p, true
		}
	}
	return Process{PID: pid}, false
}

// waitFor reads until ok accepts the Process with this PID, which is zero if the Report has
// none.
func waitFor(t testing.TB, r Reader, pid int, what string, ok func(p Process) bool) (p Process) {
	t.Helper()
	var report Report
	defer func() {
		if t.Failed() {
			t.Logf("%s: last Process of PID %d: %+v", what, pid, p)
		}
	}()
	testenv.Eventually(t, func() bool {
		p, _ = readProcess(t, r, &report, pid)
		return ok(p)
	})
	return p
}

// A socketChild is another process that opens sockets: see TestSocketChild.
type socketChild struct {
	t   testing.TB
	cmd *exec.Cmd
	in  interface{ Write([]byte) (int, error) }
	out func() string
}

// startSocketChild starts this test binary as a child, with the extra files as
// descriptors 3, 4 ... wrap is a command that starts it, such as unshare.
func startSocketChild(t testing.TB, files []*os.File, wrap ...string) *socketChild {
	t.Helper()
	args := append(slices.Clone(wrap), "/proc/self/exe", "-test.run=^TestSocketChild$")
	if len(wrap) > 0 {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		args[len(wrap)] = exe
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "SOCKET_CHILD=1")
	cmd.ExtraFiles = files
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	c := &socketChild{t: t, cmd: cmd, in: in}
	c.out = func() string {
		var line []byte
		for b := make([]byte, 1); ; {
			if _, err := out.Read(b); err != nil {
				t.Fatalf("child ended after %q: %v", line, err)
			}
			if b[0] == '\n' {
				return string(line)
			}
			line = append(line, b[0])
		}
	}
	t.Cleanup(c.end)
	return c
}

func (c *socketChild) end() { _, _ = c.cmd.Process.Kill(), c.cmd.Wait() }

// do makes the child run a command, and returns its answer.
func (c *socketChild) do(format string, args ...any) string {
	c.t.Helper()
	if _, err := fmt.Fprintf(c.in, format+"\n", args...); err != nil {
		c.t.Fatal(err)
	}
	answer := c.out()
	if text, failed := strings.CutPrefix(answer, "error "); failed {
		c.t.Fatalf("child: %s: %s", fmt.Sprintf(format, args...), text)
	}
	return answer
}

// number is do for a command whose answer is a number.
func (c *socketChild) number(format string, args ...any) int {
	c.t.Helper()
	n, err := strconv.Atoi(c.do(format, args...))
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

// unprivileged returns a command that runs one test of this binary as an unprivileged user.
func unprivileged(t *testing.T, test string, env ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/tmp", "sockets")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "test") // the user may not enter the directory of exe
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(path, text, 0o755)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-test.run=^"+test+"$")
	cmd.Env = append(os.Environ(), env...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &unix.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	return cmd
}

// TestSocketChild is the program of a socketChild. It is skipped in the test process.
func TestSocketChild(t *testing.T) {
	if os.Getenv("SOCKET_CHILD") == "" {
		t.Skip("runs as a child of other tests")
	}
	for {
		var command, argument string
		if n, err := fmt.Scanln(&command, &argument); n == 0 && err != nil {
			os.Exit(0)
		}
		answer, err := runChildCommand(command, argument)
		if err != nil {
			answer = "error " + err.Error()
		}
		fmt.Println(answer)
	}
}

// runChildCommand runs one command: pid, listen ADDRESS, dup FD, close FD, replace FD, setuid UID,
// pairs N or files N.
func runChildCommand(command, argument string) (answer string, err error) {
	n, _ := strconv.Atoi(argument)
	switch command {
	case "pid":
		return strconv.Itoa(os.Getpid()), nil
	case "listen":
		l, err := net.Listen("tcp", argument)
		if err != nil {
			return "", err
		}
		keepOpen = append(keepOpen, l)
		return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
	case "close":
		return "ok", unix.Close(n)
	case "dup":
		copied, err := unix.FcntlInt(uintptr(n), unix.F_DUPFD_CLOEXEC, 0)
		return strconv.Itoa(copied), err
	case "replace":
		file, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return "", err
		}
		return "ok", errors.Join(unix.Dup3(file, n, unix.O_CLOEXEC), unix.Close(file))
	case "setuid":
		return "ok", unix.Setuid(n)
	case "files":
		for range n {
			if _, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
				return "", err
			}
		}
		return "ok", nil
	case "pairs":
		for range n {
			if _, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
				return "", err
			}
		}
		return "ok", nil
	}
	return "", fmt.Errorf("unknown command %q", command)
}

// keepOpen holds what a child has open, against finalizers.
var keepOpen []any

// listenTCP listens on a free port until the test ends.
func listenTCP(t testing.TB, network, address string) (*net.TCPListener, uint16) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Skipf("cannot listen on %s %s: %v", network, address, err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.(*net.TCPListener), uint16(l.Addr().(*net.TCPAddr).Port)
}

func listenersOf(p Process, protocol Protocol, port uint16) (found []Listener) {
	for _, l := range p.Open.Listeners {
		if l.Protocol == protocol && l.Port == port {
			found = append(found, l)
		}
	}
	return found
}

func TestProcfsListeners(t *testing.T) {
	r := openProcfs(t, Options{Budget: unlimited})
	for _, tt := range []struct{ network, address string }{
		{"tcp4", "127.0.0.1:0"}, {"tcp6", "[::1]:0"}, {"tcp", "[::]:0"},
	} {
		t.Run(tt.network+" "+tt.address, func(t *testing.T) {
			_, port := listenTCP(t, tt.network, tt.address)
			waitFor(t, r, os.Getpid(), "the listener", func(p Process) bool {
				return slices.Equal(listenersOf(p, TCP, port), []Listener{{Protocol: TCP, Port: port}})
			})
		})
	}
	t.Run("accept queue of two addresses", func(t *testing.T) {
		l, port := listenTCP(t, "tcp4", "127.0.0.1:0")
		_, _ = listenTCP(t, "tcp4", fmt.Sprintf("127.0.0.2:%d", port))
		for range 3 {
			c, err := net.Dial("tcp4", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
		}
		waitFor(t, r, os.Getpid(), "3 connections that wait", func(p Process) bool {
			return slices.Equal(listenersOf(p, TCP, port), []Listener{{Protocol: TCP, Port: port, AcceptQueue: 3}})
		})
	})
	t.Run("udp", func(t *testing.T) {
		c, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		port := uint16(c.LocalAddr().(*net.UDPAddr).Port)
		waitFor(t, r, os.Getpid(), "the UDP port", func(p Process) bool { return len(listenersOf(p, UDP, port)) == 1 })
		connected, err := net.Dial("udp4", c.LocalAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer connected.Close()
		from := uint16(connected.LocalAddr().(*net.UDPAddr).Port)
		p := waitFor(t, r, os.Getpid(), "2 UDP sockets", func(p Process) bool { return p.Open.UDP >= 2 })
		if len(listenersOf(p, UDP, from)) != 0 {
			t.Errorf("got Listeners %v, want no port %d of a connected socket", p.Open.Listeners, from)
		}
	})
}

// TestProcfsStates checks the states of connections that belong to a process.
func TestProcfsStates(t *testing.T) {
	r := openProcfs(t, Options{Budget: unlimited})
	pid := os.Getpid()
	before := waitFor(t, r, pid, "any", func(Process) bool { return true }).Open.Connections
	l, _ := listenTCP(t, "tcp4", "127.0.0.1:0")
	dial := func() (client, server *net.TCPConn) {
		c, s := testenv.Connect(t, l)
		t.Cleanup(func() { _, _ = c.Close(), s.Close() })
		return c.(*net.TCPConn), s.(*net.TCPConn)
	}
	dial()                   // established twice
	client, server := dial() // FIN_WAIT2 and CLOSE_WAIT
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	_ = server
	client, server = dial() // CLOSE twice, or TIME_WAIT, which has no owner
	if err := errors.Join(client.CloseWrite(), server.CloseWrite()); err != nil {
		t.Fatal(err)
	}
	connecting := connectToFullListener(t)
	want := map[State]int{StateListen: 2, StateFinWait2: 1, StateCloseWait: 1, StateSynSent: 1}
	waitFor(t, r, pid, fmt.Sprint("connecting from ", connecting), func(p Process) bool {
		for state, n := range want {
			if p.Open.Connections[state]-before[state] != n {
				return false
			}
		}
		return p.Open.Connections[StateEstablished]-before[StateEstablished] >= 2 && !p.Unreadable && p.Start > 0
	})
}

// connectToFullListener starts to connect a socket to a listener whose accept queue is
// full, so that it stays in SYN_SENT. It returns its descriptor.
func connectToFullListener(t *testing.T) int {
	t.Helper()
	newSocket := func() int {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(fd) })
		return fd
	}
	listener := newSocket()
	if err := errors.Join(unix.Bind(listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(listener, 0)); err != nil {
		t.Fatal(err)
	}
	address, err := unix.Getsockname(listener)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		fd := newSocket()
		if err := unix.Connect(fd, address); err != nil && !errors.Is(err, unix.EINPROGRESS) {
			t.Fatal(err)
		}
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		if n, err := unix.Poll(poll, 0); err == nil && n == 0 {
			return fd
		}
	}
	t.Fatal("got 10 connections in an accept queue of 1")
	return -1
}

func TestProcfsUDPQueue(t *testing.T) {
	r := openProcfs(t, Options{Budget: unlimited})
	before := waitFor(t, r, os.Getpid(), "any", func(Process) bool { return true }).Open
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		receiver, err := net.ListenPacket("udp", address)
		if err != nil {
			t.Skip(err)
		}
		defer receiver.Close()
		sender, err := net.Dial("udp", receiver.LocalAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer sender.Close()
		if _, err := sender.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, r, os.Getpid(), "2 datagrams of 1,000 bytes", func(p Process) bool {
		return p.Open.UDP == before.UDP+4 && p.Open.UDPReceiveQueueBytes >= before.UDPReceiveQueueBytes+2000
	})
}

func TestProcfsUnixSockets(t *testing.T) {
	r := openProcfs(t, Options{Budget: unlimited})
	child := startSocketChild(t, nil)
	pid := child.cmd.Process.Pid
	child.do("pairs 5")
	waitFor(t, r, pid, "10 UNIX sockets", func(p Process) bool { return p.Open.Unix == 10 })
	child.do("pairs 500")
	waitFor(t, r, pid, "1,010 UNIX sockets", func(p Process) bool { return p.Open.Unix == 1010 })

	// A path may contain a line that looks like another socket.
	l, port := listenTCP(t, "tcp4", "127.0.0.1:0")
	file, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), fmt.Sprintf("x\n0: 2 0 0 1 1 %d", st.Ino))
	u, err := net.Listen("unix", path)
	if err != nil {
		t.Skipf("cannot bind to a path with a newline: %v", err)
	}
	defer u.Close()
	p := waitFor(t, r, os.Getpid(), "the UNIX socket", func(p Process) bool { return p.Open.Unix > 0 && len(p.Open.Listeners) > 0 })
	if len(listenersOf(p, TCP, port)) != 1 {
		t.Errorf("got Listeners %v, want port %d", p.Open.Listeners, port)
	}
}

// TestProcfsSharedSocket checks the owner of a listener that three processes have open.
func TestProcfsSharedSocket(t *testing.T) {
	r := openProcfs(t, Options{Budget: unlimited})
	l, port := listenTCP(t, "tcp4", "127.0.0.1:0")
	file, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	owners := func() (pids []int) {
		var report Report
		if err := r.Read(context.Background(), &report); err != nil {
			t.Fatal(err)
		}
		for _, p := range report.Processes {
			for range listenersOf(p, TCP, port) {
				pids = append(pids, p.PID)
			}
		}
		return pids
	}
	wantOwner := func(pid int) {
		t.Helper()
		var got []int
		defer func() {
			if t.Failed() {
				t.Logf("got owners %v, want %d", got, pid)
			}
		}()
		// A Read abandons a scan that blocks for 50 ms. The next Read repeats it.
		testenv.Eventually(t, func() bool { got = owners(); return len(got) > 1 || len(got) == 1 && got[0] == pid })
		if len(got) != 1 {
			t.Fatalf("got owners %v, want only %d", got, pid)
		}
	}
	wantOwner(os.Getpid())
	first := startSocketChild(t, []*os.File{file})
	second := startSocketChild(t, []*os.File{file})
	wantOwner(os.Getpid()) // keeps it
	first.do("pid")
	second.do("pid")
	if err := errors.Join(l.Close(), file.Close()); err != nil {
		t.Fatal(err)
	}
	lowest, other := first, second
	if second.cmd.Process.Pid < first.cmd.Process.Pid {
		lowest, other = second, first
	}
	wantOwner(lowest.cmd.Process.Pid)
	lowest.do("close 3")
	wantOwner(other.cmd.Process.Pid)
	other.end()
	testenv.Eventually(t, func() bool { return len(owners()) == 0 })
}
