//go:build amd64 || arm64

package sockets

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/platform/bpf"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

// prelude has what the Python scripts of the tests use. role names a process, want sets how many
// bytes it sends, and read waits until the test has read the sockets. sink is a server that
// receives everything, and slow one that reads nothing before the script has ended.
const prelude = `
import array, ctypes, os, socket, struct, sys, threading
sink, slow = (("127.0.0.1", int(p)) for p in sys.argv[1:3])
def say(*words): print(*words, flush=True)
def role(name, pid=None): say("role", name, pid or os.getpid())
def want(name, size): say("want", name, size)
def read():
    say("read")
    sys.stdin.readline()
def fork(run):
    pid = os.fork()
    if pid == 0:
        run()
        os._exit(0)
    return pid
def connect(address=sink): return socket.create_connection(address)
def pipe():
    r, w = os.pipe()
    return lambda: os.read(r, 1), lambda: os.write(w, b"x")
def unshare(flags):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags): raise OSError(ctypes.get_errno(), "unshare")
def listener(family=socket.AF_INET, address="127.0.0.1", protocol=0):
    l = socket.socket(family, socket.SOCK_STREAM, protocol)
    l.bind((address, 0))
    l.listen()
    return l
def drain(c):
    while c.recv(65536): pass
def exchange(dial, l, size):
    a = dial()
    b = l.accept()[0]
    a.sendall(bytes(size))
    a.shutdown(socket.SHUT_WR)
    drain(b)
    b.close()
    a.close()
`

// ownershipCases are scripts of processes that share sockets or hand them over, or exit before their
// sockets.
var ownershipCases = []struct {
	name, script string
	failures     map[string]uint64 // resets by process
}{
	{name: "shared after fork", script: `
role("parent")
c = connect()
c.sendall(bytes(100))
wait, proceed = pipe()
done, end = pipe()
def child():
    c.sendall(bytes(50))
    end()
    wait()
    c.sendall(bytes(30))
    end()
    wait()
pid = fork(child)
role("child", pid)
done()
read() # both have it open
c.close()
proceed()
done()
read() # the child has it open
proceed()
os.waitpid(pid, 0)
want("parent", 150)
want("child", 30)
`},
	{name: "shared, then closed by the child", script: `
role("parent")
c = connect()
c.sendall(bytes(100))
wait, proceed = pipe()
def child():
    wait()
    c.sendall(bytes(50))
pid = fork(child)
role("child", pid)
c.close()
proceed()
os.waitpid(pid, 0)
want("child", 150)
`},
	{name: "shutdown by another process", script: `
role("parent")
c = connect()
c.sendall(bytes(100))
def child():
    c.shutdown(socket.SHUT_WR)
pid = fork(child)
role("child", pid)
os.waitpid(pid, 0)
c.close()
want("parent", 100)
`},
	{name: "SCM_RIGHTS", script: `
a, b = socket.socketpair()
def child():
    _, fds, _, _ = socket.recv_fds(b, 1, 1)
    c = socket.socket(fileno=fds[0])
    c.sendall(bytes(40))
    b.send(b"x")
    b.recv(1)
pid = fork(child)
role("parent")
role("child", pid)
c = connect()
c.sendall(bytes(100))
read()
socket.send_fds(a, [b"x"], [c.fileno()])
c.close()
a.recv(1)
read()
a.send(b"x")
os.waitpid(pid, 0)
want("parent", 100)
want("child", 40)
`},
	{name: "socket activation", script: `
role("manager")
l = listener()
def service():
    c = l.accept()[0]
    c.sendall(bytes(70))
    c.shutdown(socket.SHUT_WR)
    drain(c)
pid = fork(service)
role("service", pid)
c = connect(l.getsockname())
drain(c)
c.close()
os.waitpid(pid, 0)
want("service", 70)
`},
	{name: "closed by another thread", script: `
role("process")
c = connect()
t = threading.Thread(target=lambda: c.sendall(bytes(80)))
t.start()
t.join()
t = threading.Thread(target=c.close)
t.start()
t.join()
want("process", 80)
`},
	{name: "closed by an exit with other threads", script: `
def child():
    c = connect()
    c.sendall(bytes(80))
    threading.Thread(target=lambda: os.read(os.pipe()[0], 1)).start()
    os._exit(0)
pid = fork(child)
role("child", pid)
os.waitpid(pid, 0)
want("child", 80)
`},
	{name: "gone before its socket", script: `
def child():
    c = connect(slow)
    c.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    c.sendall(bytes(300000))
pid = fork(child)
role("child", pid)
os.waitpid(pid, 0)
read()
want("child", 300000)
`},
	{name: "reset, then closed", failures: map[string]uint64{"server": 1}, script: `
role("server")
l = listener()
def client():
    c = connect(l.getsockname())
    drain(c)
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()
pid = fork(client)
c = l.accept()[0]
c.sendall(bytes(60))
c.shutdown(socket.SHUT_WR)
os.waitpid(pid, 0)
c.close()
want("server", 60)
`},
	{name: "reset, then open", failures: map[string]uint64{"server": 1}, script: `
role("server")
l = listener()
def client():
    c = connect(l.getsockname())
    c.recv(60, socket.MSG_WAITALL)
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()
pid = fork(client)
c = l.accept()[0]
c.sendall(bytes(60))
os.waitpid(pid, 0)
read()
read()
want("server", 60)
`},
	{name: "closed before accept", script: `
role("server")
l = listener()
def client():
    c = connect(l.getsockname())
    c.sendall(bytes(90))
pid = fork(client)
role("client", pid)
os.waitpid(pid, 0)
read()
l.close()
want("client", 90)
`},
	{name: "SO_REUSEPORT", script: `
def bind(port):
    l = socket.socket()
    l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    l.bind(("127.0.0.1", port))
    l.listen()
    return l
first = bind(0)
second = bind(first.getsockname()[1])
def server(l, other, name):
    other.close()
    sent = 0
    while True:
        c = l.accept()[0]
        if c.recv(1) == b"q": break
        c.sendall(bytes(11))
        sent += 11
        c.close()
    say("want", name, sent)
servers = {}
for l, other, name in (first, second, "first"), (second, first, "second"):
    servers[fork(lambda: server(l, other, name))] = name
for pid, name in servers.items(): role(name, pid)
address = first.getsockname()
first.close()
second.close()
for _ in range(40):
    c = connect(address)
    c.send(b"x")
    drain(c)
    c.close()
while servers:
    try:
        c = connect(address)
        c.send(b"q")
        drain(c)
    except OSError: pass # reset: the process has exited
    pid, _ = os.waitpid(-1, os.WNOHANG)
    servers.pop(pid, None)
`},
	{name: "another network namespace", script: `
def child():
    unshare(0x40000000) # CLONE_NEWNET
    s = socket.socket()
    import fcntl
    fcntl.ioctl(s, 0x8914, struct.pack("16sH14x", b"lo", 0x1)) # SIOCSIFFLAGS, IFF_UP
    l = listener()
    exchange(lambda: connect(l.getsockname()), l, 120)
pid = fork(child)
role("child", pid)
os.waitpid(pid, 0)
want("child", 120)
`},
	{name: "IPv6", script: `
role("process")
l = listener(socket.AF_INET6, "::1")
exchange(lambda: connect(l.getsockname()[:2]), l, 130)
want("process", 130)
`},
	{name: "MPTCP", script: `
role("process")
try:
    l = listener(protocol=262)
except OSError:
    say("skip")
    sys.exit()
def dial():
    c = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
    c.connect(l.getsockname())
    return c
a = dial()
b = l.accept()[0]
a.sendall(bytes(140))
b.recv(140, socket.MSG_WAITALL)
read()
a.sendall(bytes(10))
a.close()
drain(b)
b.close()
want("process", 150)
`},
	{name: "another PID namespace", script: `
unshare(0x20000000) # CLONE_NEWPID
def child():
    c = connect()
    c.sendall(bytes(160))
pid = fork(child)
role("child", pid)
os.waitpid(pid, 0)
want("child", 160)
`},
	{name: "execve", script: `
def child():
    c = connect()
    c.sendall(bytes(170))
    c.set_inheritable(True)
    os.execv("/bin/sh", ["sh", "-c", "printf 0123456789 >&%d" % c.fileno()])
pid = fork(child)
role("child", pid)
os.waitpid(pid, 0)
want("child", 180)
`},
}

// TestOwners checks to which process the bytes and the failures of a connection are attributed.
func TestOwners(t *testing.T) {
	testenv.RequireRoot(t)
	r := openOrSkip(t, bpf.SocketOptions{})
	for _, test := range ownershipCases {
		t.Run(test.name, func(t *testing.T) {
			s := runScript(t, r, test.script)
			s.expect(t) // connections end some time after the processes
			for name, pid := range s.roles {
				if got := s.total[pid].Failures[FailureReset]; got != test.failures[name] {
					t.Errorf("%s: got %d connections reset, want %d", name, got, test.failures[name])
				}
			}
		})
	}
}

// A script is a running Python script.
type script struct {
	reader Reader
	roles  map[string]int
	total  map[int]Traffic     // by PID, since the start of the script
	open   map[int]OpenSockets // by PID, of the last report that had the process

	want, wantReceived map[string]uint64 // bytes by role

	agreed int // comparisons of both readers
}

// python runs the scripts.
const python = "/usr/bin/python3"

// runScript runs a script until it ends.
func runScript(t *testing.T, r Reader, text string) *script {
	t.Helper()
	testenv.RequireProgram(t, python)
	s := &script{
		reader: r, roles: make(map[string]int), total: make(map[int]Traffic), open: make(map[int]OpenSockets),
		want: make(map[string]uint64), wantReceived: make(map[string]uint64),
	}
	s.read(t)
	clear(s.total)
	release := make(chan struct{})
	cmd := exec.Command(python, "-c", prelude+text, portOf(sinkServer(t, nil)), portOf(sinkServer(t, release)))
	cmd.Stderr = os.Stderr
	stdin, stdout := testenv.StartPiped(t, cmd)
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		s.handle(t, strings.Fields(lines.Text()), stdin)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	close(release)
	for name := range s.roles {
		s.want[name] += 0
	}
	return s
}

// handle handles a line that the script has printed. Some lines wait for an answer.
func (s *script) handle(t *testing.T, words []string, stdin io.Writer) {
	t.Helper()
	switch words[0] {
	case "role":
		s.roles[words[1]], _ = strconv.Atoi(words[2])
		return
	case "want":
		n, _ := strconv.Atoi(words[2])
		s.want[words[1]] = uint64(n)
		if len(words) > 3 {
			n, _ := strconv.Atoi(words[3])
			s.wantReceived[words[1]] = uint64(n)
		}
		return
	case "skip":
		t.Skip("the kernel lacks it")
	case "ss":
		s.compareWithSS(t, words[1])
		s.compareSegments(t)
	case "agree":
		s.compareReaders(t, words[1:])
	case "snmp":
		s.compareRetransmissions(t)
	case "read":
		s.read(t)
	}
	fmt.Fprintln(stdin)
}

// read adds the Traffic since the last read.
func (s *script) read(t *testing.T) {
	t.Helper()
	var report Report
	if err := s.reader.Read(context.Background(), &report); err != nil {
		t.Fatal(err)
	}
	for _, p := range report.Processes {
		sum := s.total[p.PID]
		if p.Open.Unix+p.Open.UDP > 0 || p.Open.Connections != [NumStates]int{} {
			s.open[p.PID] = OpenSockets{
				Connections: p.Open.Connections, Listeners: slices.Clone(p.Open.Listeners),
				UDP: p.Open.UDP, UDPReceiveQueueBytes: p.Open.UDPReceiveQueueBytes, Unix: p.Open.Unix,
			}
		}
		sum.SentBytes += p.Traffic.SentBytes
		sum.ReceivedBytes += p.Traffic.ReceivedBytes
		sum.SentSegments += p.Traffic.SentSegments
		sum.RetransmittedSegments += p.Traffic.RetransmittedSegments
		sum.OpenedOutgoing += p.Traffic.OpenedOutgoing
		sum.UDPDrops += p.Traffic.UDPDrops
		sum.ListenDrops += p.Traffic.ListenDrops
		sum.OpenedIncoming += p.Traffic.OpenedIncoming
		for i, n := range p.Traffic.Failures {
			sum.Failures[i] += n
		}
		s.total[p.PID] = sum
	}
}

// sent returns the bytes that each role has sent.
func (s *script) sent() map[string]uint64 {
	sent := make(map[string]uint64)
	for name, pid := range s.roles {
		sent[name] = s.total[pid].SentBytes
	}
	return sent
}

// received returns the bytes that each role has received.
func (s *script) received() map[string]uint64 {
	received := make(map[string]uint64)
	for name, pid := range s.roles {
		received[name] = s.total[pid].ReceivedBytes
	}
	return received
}

// sinkServer starts a server that receives everything, after release is closed.
func sinkServer(t *testing.T, release <-chan struct{}) net.Addr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				if release != nil {
					<-release
				}
				_, _ = io.Copy(io.Discard, c) // the script notices an error
				_ = c.Close()
			}()
		}
	}()
	return l.Addr()
}

func portOf(a net.Addr) string { return strconv.Itoa(a.(*net.TCPAddr).Port) }
