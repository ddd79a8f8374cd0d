//go:build amd64 || arm64

package sockets

import (
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/platform/bpf"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

// pair has a client and a server in network namespaces of their own, which a veth link connects. A
// connection of the client sends requests, and the server answers. Both print their bytes.
const pair = `
import subprocess
ready, is_ready = pipe()
connected, connect_server = pipe()
listening, proceed = pipe()
def serve():
    unshare(0x40000000)
    is_ready()
    connected()
    l = socket.socket(socket.AF_INET6)
    l.bind(("::", 7000))
    l.listen(1000)
    is_ready()
    def answer(c):
        while True:
            head = c.recv(8, socket.MSG_WAITALL)
            if not head: break
            request, reply = struct.unpack("!II", head)
            while request: request -= len(c.recv(min(request, 1 << 16)))
            c.sendall(bytes(reply))
        c.close()
    while True: threading.Thread(target=answer, args=(l.accept()[0],), daemon=True).start()
totals = [0, 0]
def request(c, size, reply):
    c.sendall(struct.pack("!II", size, reply) + bytes(size))
    totals[0] += 8 + size
    totals[1] += reply
    while reply: reply -= len(c.recv(reply))
def client():
    unshare(0x40000000)
    is_ready()
    listening()
    run([("10.77.0.1", 7000), ("fd00::77:1", 7000)])
    say("want", "client", *totals)
    say("want", "server", *reversed(totals))
    read()
server, pid = fork(serve), fork(client)
role("server", server)
role("client", pid)
ready(); ready()
def ip(pid, *args): subprocess.check_call(["nsenter", "-t", str(pid), "-n", *args])
ip(server, "ip", "link", "add", "veth0", "type", "veth", "peer", "name", "veth0", "netns", str(pid))
for p, n in (server, 1), (pid, 2):
    ip(p, "ip", "link", "set", "lo", "up")
    ip(p, "ip", "address", "add", "10.77.0.%d/24" % n, "dev", "veth0")
    ip(p, "ip", "address", "add", "fd00::77:%d/64" % n, "dev", "veth0", "nodad")
    ip(p, "ip", "link", "set", "veth0", "up")
prepare()
connect_server()
ready()
proceed()
os.waitpid(pid, 0)
os.kill(server, 9)
os.waitpid(server, 0)
`

// TestTraffic checks the bytes of 1,000 short and 50 long connections between two network
// namespaces, by IPv4 and IPv6. During the script it compares open sockets with ss(8).
func TestTraffic(t *testing.T) {
	testenv.RequireRoot(t)
	r := openOrSkip(t, bpf.SocketOptions{})
	s := runScript(t, r, `
def prepare(): pass
def run(servers):
    long = [connect(s) for s in servers for _ in range(25)]
    for part in range(3):
        for i, c in enumerate(long): request(c, 1000 * i + part, 333 * i)
        for i in range(334): 
            for s in servers if i < 166 else servers[i % 2:i % 2 + 1]:
                c = connect(s)
                request(c, 13 * i + part, 1 + 2 * i)
                c.close()
        say("ss", "client")
        sys.stdin.readline()
    for c in long: c.close()
`+pair)
	s.expect(t)
	opened := s.total[s.roles["client"]].OpenedOutgoing
	if got := s.total[s.roles["server"]].OpenedIncoming; opened != 1550 || got != opened {
		t.Errorf("got %d outgoing and %d incoming connections, want 1550", opened, got)
	}
}

// lossyConnections is the number of connections of TestRetransmissions.
const lossyConnections = 30

// TestRetransmissions compares the retransmitted segments on a link that drops packets with the
// counter of each network namespace.
func TestRetransmissions(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.RequireProgram(t, "nft")
	r := openOrSkip(t, bpf.SocketOptions{})
	s := runScript(t, r, `
def prepare():
    for p in server, pid:
        ip(p, "nft", "add table inet t")
        ip(p, "nft", "add chain inet t in { type filter hook input priority 0; }")
        ip(p, "nft", "add rule inet t in meta l4proto tcp numgen inc mod 19 == 3 drop")
def run(servers):
    for i in range(30):
        c = connect(servers[i % 2])
        request(c, 20000, 30000)
        c.close()
    say("snmp")
    sys.stdin.readline()
`+pair)
	s.expect(t)
}

// expect reads until each role has the expected bytes.
func (s *script) expect(t *testing.T) {
	t.Helper()
	testenv.Eventually(t, func() bool {
		s.read(t)
		return maps.Equal(s.sent(), s.want) && (len(s.wantReceived) == 0 || maps.Equal(s.received(), s.wantReceived))
	})
	s.read(t)
	if got := s.sent(); !maps.Equal(got, s.want) {
		t.Errorf("got bytes sent %v, want %v", got, s.want)
	}
	if got := s.received(); len(s.wantReceived) > 0 && !maps.Equal(got, s.wantReceived) {
		t.Errorf("got bytes received %v, want %v", got, s.wantReceived)
	}
}

var statistics = regexp.MustCompile(`\b(bytes_sent|bytes_retrans|bytes_received|segs_out):(\d+)`)

// compareWithSS compares the bytes and segments of the open sockets of a process with ss(8). The
// sockets are idle.
func (s *script) compareWithSS(t *testing.T, role string) {
	t.Helper()
	pid := s.roles[role]
	s.read(t)
	out := testenv.Output(t, "nsenter", "-t", strconv.Itoa(pid), "-n", "ss", "-tinpH")
	sums := make(map[string]uint64)
	own := false
	for line := range strings.Lines(out) {
		if line[0] != '\t' && line[0] != ' ' {
			own = strings.Contains(line, fmt.Sprintf("pid=%d,", pid))
			continue
		}
		for _, m := range statistics.FindAllStringSubmatch(line, -1) {
			if n, _ := strconv.ParseUint(m[2], 10, 64); own {
				sums[m[1]] += n
			}
		}
	}
	table := &s.reader.(*bpfReader).table
	var sent, received, segments uint64
	open := 0
	for i := range table.sockets {
		if x := &table.sockets[i]; int(x.owner.pid) == pid && x.scan == table.scan && x.last.Type == bpf.SocketTCP {
			c := &x.last.Counters
			sent, received, segments, open = sent+c.Sent, received+c.Received, segments+uint64(c.Segments), open+1
		}
	}
	wantSent, wantReceived := sums["bytes_sent"]-sums["bytes_retrans"], sums["bytes_received"]
	if open != 50 || sent != wantSent || received != wantReceived || segments != sums["segs_out"] {
		t.Errorf("got %d open sockets, %d bytes sent, %d received, %d segments, want 50, and %d, %d, %d as in ss -tinp",
			open, sent, received, segments, wantSent, wantReceived, sums["segs_out"])
	}
}

// compareRetransmissions reads until each role has retransmitted what its network namespace has, and
// all connections have ended. A FIN that is lost is only sent again while both namespaces exist.
func (s *script) compareRetransmissions(t *testing.T) {
	t.Helper()
	testenv.Eventually(t, func() bool {
		s.read(t)
		return s.total[s.roles["client"]].OpenedOutgoing == lossyConnections && s.total[s.roles["server"]].OpenedIncoming == lossyConnections
	})
	for name, pid := range s.roles {
		testenv.Eventually(t, func() bool {
			s.read(t)
			return float64(s.total[pid].RetransmittedSegments) == testenv.NetworkCounters(t, pid)["Tcp:RetransSegs"]
		})
		if s.total[pid].RetransmittedSegments == 0 {
			t.Errorf("%s: got no retransmissions", name)
		}
	}
	s.compareSegments(t)
}

// compareSegments reads until the roles client and server have sent the segments of their network
// namespaces: OutSegs, which excludes retransmissions, and RetransSegs. The sockets of connections
// do not count the SYN-ACK, which both counters include when it is sent again, and the ACK of a
// connection in TIME_WAIT.
func (s *script) compareSegments(t *testing.T) {
	t.Helper()
	server, client := s.roles["server"], s.roles["client"]
	var got, want float64
	defer func() {
		if t.Failed() {
			t.Logf("got %v segments, want %v", got, want)
		}
	}()
	testenv.Eventually(t, func() bool {
		s.read(t)
		host := testenv.NetworkCounters(t, server)
		got = float64(s.total[server].SentSegments)
		want = host["Tcp:OutSegs"] + host["Tcp:RetransSegs"] - host["Tcp:PassiveOpens"] - 2*host["TcpExt:TCPSynRetrans"]
		return got == want
	})
	host := testenv.NetworkCounters(t, client)
	got, want = float64(s.total[client].SentSegments), host["Tcp:OutSegs"]+host["Tcp:RetransSegs"]
	if most := 2 * host["Tcp:ActiveOpens"]; got > want || got < want-most {
		t.Errorf("client: got %v segments, want %v or at most %v less", got, want, most)
	}
}
