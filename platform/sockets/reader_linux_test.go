//go:build amd64 || arm64

package sockets

import (
	"context"
	"net"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/platform/bpf"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

// TestFailures checks the reason of connections that fail. The firewall of a network namespace
// drops or rejects them.
func TestFailures(t *testing.T) {
	testenv.RequireRoot(t)
	r := openOrSkip(t, bpf.SocketOptions{})
	s := runScript(t, r, `
import errno, subprocess
unshare(0x40000000)
role("process")
subprocess.check_call(["ip", "link", "set", "lo", "up"])
subprocess.check_call(["nft", "add table inet t"])
subprocess.check_call(["nft", "add chain inet t in { type filter hook input priority 0; }"])
subprocess.check_call(["nft", "add rule inet t in tcp dport 10 drop"])
subprocess.check_call(["nft", "add rule inet t in tcp dport 11 meta nfproto ipv4 reject with icmp type host-unreachable"])
def fail(port, error, **options):
    c = socket.socket()
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, 1)
    got = c.connect_ex(("127.0.0.1", port))
    if got != error: raise Exception("port %d: got %s" % (port, errno.errorcode[got]))
    c.close()
fail(9, errno.ECONNREFUSED)
fail(9, errno.ECONNREFUSED)
fail(10, errno.ETIMEDOUT)
fail(11, errno.EHOSTUNREACH)
l = listener()
c = connect(l.getsockname())
c.close() # neither is a failure
c = socket.socket()
c.setblocking(False)
c.connect_ex(("127.0.0.1", 10))
c.close()
`)
	s.read(t)
	got, want := s.total[s.roles["process"]], Traffic{OpenedOutgoing: 1}
	want.Failures[FailureRefused], want.Failures[FailureTimeout], want.Failures[FailureUnreachable] = 2, 1, 1
	if got.Failures != want.Failures || got.OpenedOutgoing != want.OpenedOutgoing {
		t.Errorf("got failures %v, %d opened, want %v, %d", got.Failures, got.OpenedOutgoing, want.Failures, want.OpenedOutgoing)
	}
	if got.RetransmittedSegments == 0 {
		t.Error("got no retransmitted SYN")
	}
}

// TestOpenSockets counts the open sockets of a process, and the dropped datagrams and connection
// requests.
func TestOpenSockets(t *testing.T) {
	testenv.RequireRoot(t)
	r := openOrSkip(t, bpf.SocketOptions{})
	s := runScript(t, r, `
import time
unshare(0x40000000)
import fcntl
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sH14x", b"lo", 0x1)) # SIOCSIFFLAGS, IFF_UP
role("process")
pairs = [socket.socketpair() for _ in range(3)]
copy = pairs[0][0].dup()
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
u.bind(("127.0.0.1", 7001))
v = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
v.connect(("127.0.0.1", 7001))
for _ in range(50): v.send(bytes(1000))
l = socket.socket()
l.bind(("127.0.0.1", 7002))
l.listen(1)
clients = [socket.socket() for _ in range(5)]
for c in clients:
    c.setblocking(False)
    c.connect_ex(("127.0.0.1", 7002))
drops = sum(int(line.split()[-1]) for line in open("/proc/self/net/udp").readlines()[1:])
say("want", "drops", drops)
end = time.monotonic() + 30
while time.monotonic() < end: # until the accept queue is full
    if int(open("/proc/self/net/tcp").readlines()[1].split()[4].split(":")[1], 16) == 2: break
read()
`)
	pid := s.roles["process"]
	got, traffic := s.open[pid], s.total[pid]
	if got.Unix != 6 || got.UDP != 2 {
		t.Errorf("got %d UNIX and %d UDP sockets, want 6 and 2", got.Unix, got.UDP)
	}
	if traffic.UDPDrops != s.want["drops"] || traffic.UDPDrops == 0 || got.UDPReceiveQueueBytes == 0 {
		t.Errorf("got %d dropped datagrams, %d bytes in queues, want %d drops", traffic.UDPDrops, got.UDPReceiveQueueBytes, s.want["drops"])
	}
	want := []Listener{{TCP, 7002, 2, 1}, {UDP, 7001, 0, 0}}
	if !slices.Equal(got.Listeners, want) {
		t.Errorf("got listeners %v, want %v", got.Listeners, want)
	}
	if got.Connections[StateListen] != 1 || traffic.ListenDrops == 0 {
		t.Errorf("got connections %v, %d drops, want one listening socket with drops", got.Connections, traffic.ListenDrops)
	}
}

// TestLostSockets fills the ring buffer, and the map of sockets. Lost connections are counted.
func TestLostSockets(t *testing.T) {
	for _, test := range []struct {
		name    string
		options bpf.SocketOptions
	}{
		{"ring buffer", bpf.SocketOptions{RingSize: os.Getpagesize()}},
		{"map", bpf.SocketOptions{MaxSockets: 16}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := openOrSkip(t, test.options)
			address := echo(t, "tcp", "127.0.0.1:0").String()
			var report Report
			if err := r.Read(context.Background(), &report); err != nil {
				t.Fatal(err)
			}
			r.mu.Lock() // so that the ring buffer is not read
			var open []net.Conn
			for range 100 {
				c, err := net.Dial("tcp", address)
				if err != nil {
					t.Fatal(err)
				}
				exchange(t, c, 10)
				if test.options.MaxSockets == 0 {
					_ = c.Close()
				}
				open = append(open, c)
			}
			r.mu.Unlock()
			if err := r.Read(context.Background(), &report); err != nil {
				t.Fatal(err)
			}
			if report.LostSockets == 0 {
				t.Error("got no lost events")
			}
			for _, c := range open {
				_ = c.Close()
			}
		})
	}
}

// TestIncomplete reads with a context that has ended: the sockets of the last report are still
// reported, and their traffic is part of the next report.
func TestIncomplete(t *testing.T) {
	r := openOrSkip(t, bpf.SocketOptions{})
	address := echo(t, "tcp", "127.0.0.1:0").String()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	exchange(t, c, 10)
	before := read(t, r, os.Getpid())
	exchange(t, c, 1000)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var report Report
	if err := r.Read(ctx, &report); err != nil || !report.Incomplete {
		t.Fatalf("got error %v, incomplete %v, want an incomplete report", err, report.Incomplete)
	}
	i := slices.IndexFunc(report.Processes, func(p Process) bool { return p.PID == os.Getpid() })
	if i < 0 || report.Processes[i].Open.Connections != before.Open.Connections {
		t.Errorf("got %+v, want the sockets of the last report: %v", report.Processes, before.Open.Connections)
	}
	if got := read(t, r, os.Getpid()).Traffic; got.SentBytes != 2000 || got.ReceivedBytes != 2000 {
		t.Errorf("got %d bytes sent, %d received, want 2000", got.SentBytes, got.ReceivedBytes)
	}
}

// openMany opens a number of connections, which have two sockets each.
func openMany(t testing.TB, n int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range n {
		c, a := testenv.Connect(t, l)
		t.Cleanup(func() {
			_ = c.Close()
			_ = a.Close()
		})
	}
}

// TestReadAllocates checks that a Read allocates nothing if the sockets stay the same. With the race
// detector, waking the goroutine of the ring buffer allocates twice. Processes that start and exit on
// the machine can make it allocate.
func TestReadAllocates(t *testing.T) {
	r := openOrSkip(t, bpf.SocketOptions{})
	openMany(t, 100)
	var report Report
	testenv.Eventually(t, func() bool {
		return testing.AllocsPerRun(5, func() {
			if err := r.Read(context.Background(), &report); err != nil {
				t.Error(err)
			}
		}) <= 2
	})
}

// BenchmarkRead20000 reads 20,000 TCP sockets, which two processes have open.
func BenchmarkRead20000(b *testing.B) {
	r := openOrSkip(b, bpf.SocketOptions{})
	for range 2 {
		cmd := exec.Command(python, "-c", prelude+`
l = listener()
kept = [(connect(l.getsockname()), l.accept()) for _ in range(5000)]
read()
`, "0", "0")
		stdin, err := cmd.StdinPipe()
		if err != nil {
			b.Fatal(err)
		}
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			b.Skip(err)
		}
		b.Cleanup(func() {
			_ = stdin.Close()
			_ = cmd.Wait() // read fails
		})
		if _, err := stdout.Read(make([]byte, 5)); err != nil {
			b.Fatal(err)
		}
	}
	var report Report
	before := cpuTime(b)
	for b.Loop() {
		if err := r.Read(context.Background(), &report); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N)/1e6, "cpu-ms/op")
	b.ReportMetric(float64(len(r.table.sockets)), "sockets")
}

// cpuTime returns the CPU time of this process, which other processes on the machine do not change.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
