//go:build amd64 || arm64

package sockets

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/platform/bpf"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

// agreement has the start of the scripts that compare both readers. They run in a network
// namespace of their own. agree waits until the test has compared the open sockets of all
// roles. Each of its words names a role, its UDP sockets without a port and its TCP sockets in
// the state close, which only the programs find. With the word * the latter are not compared.
const agreement = `
import fcntl, subprocess, time
def new_namespace():
    unshare(0x40000000) # CLONE_NEWNET
    fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sH14x", b"lo", 0x1)) # SIOCSIFFLAGS, IFF_UP
def agree(*words):
    say("agree", *words)
    sys.stdin.readline()
def check(*states): # waits until some sockets are in each of these states
    end = time.monotonic() + 30
    while time.monotonic() < end:
        got = {int(line.split()[3], 16) for line in open("/proc/self/net/tcp").readlines()[1:]}
        if got >= set(states): return
    raise Exception("got states %s, want %s" % (got, states))
new_namespace()
role("parent")
`

// agreementCases are scripts of sockets in known states.
var agreementCases = []struct{ name, script string }{
	{"TCP states", `
def nft(rule): subprocess.check_call(["nft", rule])
nft("add table inet t")
nft("add chain inet t in { type filter hook input priority 0; }")
nft("add rule inet t in tcp dport 9 drop")
listeners = [listener(), listener(socket.AF_INET6, "::1"), listener(socket.AF_INET6, "::")]
pairs = []
for l in listeners:
    for _ in range(3):
        c = connect(l.getsockname()[:2])
        pairs.append((c, l.accept()[0]))
waiting = [connect(listeners[0].getsockname()) for _ in range(2)]
connecting = socket.socket()
connecting.setblocking(False)
connecting.connect_ex(("127.0.0.1", 9))
check(1, 2, 10)
agree()
pairs[0][0].shutdown(socket.SHUT_WR) # fin_wait2 and close_wait
pairs[1][0].shutdown(socket.SHUT_WR)
check(5, 8)
agree()
nft("add rule inet t in tcp flags fin drop")
pairs[1][1].shutdown(socket.SHUT_WR) # last_ack
pairs[2][0].shutdown(socket.SHUT_WR) # fin_wait1
check(4, 9)
agree()
`},
	{"TCP in the state close", `
unbound, bound = socket.socket(), socket.socket()
bound.bind(("127.0.0.1", 0))
l = listener()
c = connect(l.getsockname())
a = l.accept()[0]
c.shutdown(socket.SHUT_WR)
a.shutdown(socket.SHUT_WR)
agree("parent:0:4")
`},
	{"SO_REUSEPORT", `
def bind(kind, port=0):
    s = socket.socket(socket.AF_INET, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.bind(("127.0.0.1", port))
    return s
kept = []
for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
    kept.append(bind(kind))
    for _ in range(3): kept.append(bind(kind, kept[-1].getsockname()[1]))
for s in kept[:4]: s.listen()
waiting = [connect(kept[0].getsockname()) for _ in range(20)]
def child():
    more = [bind(socket.SOCK_STREAM, kept[0].getsockname()[1]) for _ in range(2)]
    for s in more: s.listen()
    is_ready(); stop()
ready, is_ready = pipe()
stop, end = pipe()
pid = fork(child)
role("child", pid)
ready()
agree()
end()
os.waitpid(pid, 0)
agree()
`},
	{"UDP", `
def udp(family=socket.AF_INET): return socket.socket(family, socket.SOCK_DGRAM)
a, b, c, unbound = udp(), udp(socket.AF_INET6), udp(), udp()
a.bind(("127.0.0.1", 7001))
b.bind(("::", 7002))
c.connect(("127.0.0.1", 7001))
for n in range(3): c.send(bytes(1000))
c.sendto(bytes(10), ("127.0.0.1", 7002))
agree("parent:1:0")
a.recv(1000)
unbound.sendto(bytes(7), ("127.0.0.1", 7001)) # binds it
agree()
lite = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 136)
lite.bind(("127.0.0.1", 7003))
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 17)
agree()
`},
	{"UNIX", `
import tempfile
def unix(kind=socket.SOCK_STREAM): return socket.socket(socket.AF_UNIX, kind)
pairs = [socket.socketpair(socket.AF_UNIX, kind) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET)]
copy = pairs[0][0].dup()
unbound, l, abstract = unix(), unix(), unix(socket.SOCK_DGRAM)
path = tempfile.mkdtemp() + "/s"
l.bind(path)
l.listen()
abstract.bind(b"\0name")
clients = [unix() for _ in range(3)]
for s in clients: s.connect(path)
accepted = l.accept()[0]
agree()
os.unlink(path)
os.rmdir(os.path.dirname(path))
`},
	{"MPTCP", `
try: l = listener(protocol=262)
except OSError:
    say("skip")
    sys.exit()
def dial():
    c = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
    c.connect(l.getsockname())
    return c
pairs = []
for _ in range(3):
    c = dial()
    pairs.append((c, l.accept()[0]))
for a, b in pairs:
    a.sendall(bytes(140))
    b.recv(140, socket.MSG_WAITALL)
plain = connect(l.getsockname()) # an MPTCP socket that falls back to TCP at the server
accepted = l.accept()[0]
agree()
`},
	{"sockets of the kernel", `
subprocess.check_call(["ip", "link", "add", "vx", "type", "vxlan", "id", "1", "dstport", "4789", "dev", "lo"])
subprocess.check_call(["ip", "link", "set", "vx", "up"])
if subprocess.call(["ip", "mptcp", "endpoint", "add", "127.0.0.1", "port", "9000", "signal"]):
    say("skip")
    sys.exit()
for name in "udp", "tcp":
    if not [line for line in open("/proc/self/net/" + name).readlines()[1:] if int(line.split()[9])]:
        raise Exception("got no %s socket of the kernel with an inode" % name)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.bind(("127.0.0.1", 7001))
l = listener()
agree()
`},
	{"owners", `
l = listener()
c = connect(l.getsockname())
a, b = socket.socketpair()
ready, is_ready = pipe()
stop, end = pipe()
def child():
    b.recv(1)
    c.close()
    is_ready()
    kept = socket.socket(fileno=socket.recv_fds(b, 1, 1)[1][0])
    is_ready()
    stop()
first, second = fork(child), fork(stop)
role("first", first)
role("second", second)
agree() # the parent owns everything
c.close()
agree() # the first child owns the connection
a.send(b"x")
ready()
agree() # the second child owns it
socket.send_fds(a, [b"x"], [l.fileno()])
ready()
agree()
l.close()
agree()
end()
end()
os.waitpid(first, 0)
agree()
os.waitpid(second, 0)
agree()
`},
	{"two network namespaces", `
l = listener()
ready, is_ready = pipe()
stop, end = pipe()
def child():
    new_namespace()
    own = listener()
    pair = connect(own.getsockname()), own.accept()[0]
    is_ready()
    stop()
pid = fork(child)
role("child", pid)
ready()
agree()
end()
os.waitpid(pid, 0)
`},
}

// TestReadersAgree compares the open sockets that the programs and /proc find in known states.
func TestReadersAgree(t *testing.T) {
	testenv.RequireRoot(t)
	for _, test := range agreementCases {
		t.Run(test.name, func(t *testing.T) {
			r := &bothReaders{openOrSkip(t, bpf.SocketOptions{}), openProcfs(t, Options{Budget: unlimited})}
			if s := runScript(t, r, agreement+test.script); s.agreed == 0 {
				t.Error("got no comparison")
			}
		})
	}
}

// TestReadersAgreeRandom compares both readers after random changes of the sockets of several
// processes. RANDOM_SEED repeats a run.
func TestReadersAgreeRandom(t *testing.T) {
	testenv.RequireRoot(t)
	r := &bothReaders{openOrSkip(t, bpf.SocketOptions{}), openProcfs(t, Options{Budget: unlimited})}
	first, seeds := 1, testenv.Rounds(2, 50)
	if text := os.Getenv("RANDOM_SEED"); text != "" {
		first, _ = strconv.Atoi(text)
		seeds = 1
	}
	for seed := first; seed < first+seeds; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			runScript(t, r, agreement+strings.Replace(randomSockets, "SEED", strconv.Itoa(seed), 1))
		})
	}
}

// randomSockets has workers that change their sockets. Each executes the commands of the parent, which
// sends it a socket at a fork and when another worker passes one.
const randomSockets = `
import random
random.seed(SEED)
workers = {} # by PID: the socket of the parent
open_listeners = {}
def work(channel):
    kept = []
    def passed(): return socket.socket(fileno=socket.recv_fds(channel, 1, 1)[1][0])
    while True:
        text = channel.recv(4096)
        if not text: return
        try: result = eval(text, globals(), locals())
        except ConnectionError: result = None # the listener was closed
        channel.send(repr(result).encode())
def run(pid, text):
    workers[pid].send(text.encode())
    return eval(workers[pid].recv(4096))
def start():
    own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    def child():
        for s in list(workers.values()) + [own]: s.close()
        work(other)
    pid = fork(child)
    other.close()
    workers[pid] = own
    role("worker%d" % pid, pid)
def stop(pid):
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    workers.pop(pid).close()
def add(pid, text): return run(pid, "kept.append(%s) or kept[-1].getsockname()" % text)
def any_worker(): return random.choice(sorted(workers))
def listen():
    pid = any_worker()
    open_listeners[pid] = add(pid, random.choice(["listener()", "listener(socket.AF_INET6, '::1')"]))[:2]
def connect_two():
    server = random.choice(sorted(set(open_listeners) & set(workers)) or [0])
    if not server: return listen()
    add(any_worker(), "connect(%r)" % (open_listeners[server],))
def udp(): add(any_worker(), "bound(socket.AF_INET, socket.SOCK_DGRAM)")
def unix(): run(any_worker(), "kept.extend(socket.socketpair())")
def close(): run(any_worker(), "kept and kept.pop(%d %% len(kept)).close()" % random.randrange(1000))
def half_close(): run(any_worker(), "[half(s) for s in kept[-2:]] and 0")
def copy(): run(any_worker(), "kept and kept.append(kept[%d %% len(kept)].dup())" % random.randrange(1000))
def hand_over():
    a, b = any_worker(), any_worker()
    if a == b or not run(a, "len(kept)"): return
    workers[a].send(b"socket.send_fds(channel, [b'1'], [kept[0].fileno()])")
    fd = socket.recv_fds(workers[a], 1, 1)[1][0]
    workers[a].recv(4096)
    workers[b].send(b"kept.append(passed())")
    socket.send_fds(workers[b], [b"1"], [fd])
    workers[b].recv(4096)
    os.close(fd)
    if random.randrange(2): run(a, "kept.pop(0).close()")
def bound(*args):
    s = socket.socket(*args)
    s.bind(("127.0.0.1", 0))
    return s
def half(s):
    try: s.shutdown(socket.SHUT_WR)
    except OSError: pass
for _ in range(4): start()
changes = [listen, connect_two, connect_two, connect_two, udp, unix, close, close, half_close, copy, hand_over, hand_over]
for step in range(100):
    # One change at a time: /proc does not show that a process has closed one descriptor and opened another.
    if random.randrange(30): random.choice(changes)()
    else: stop(any_worker()); start()
    agree("*")
for pid in list(workers): stop(pid)
`

// bothReaders has a Reader of each source.
type bothReaders struct {
	*bpfReader
	procfs *procfsReader
}

// compareReaders reads with both readers until they find the same open sockets in the processes of all
// roles. exceptions have the sockets that only the programs find, as agreement says.
func (s *script) compareReaders(t *testing.T, exceptions []string) {
	t.Helper()
	r := s.reader.(*bothReaders)
	var differences []string
	defer func() {
		for _, d := range differences {
			t.Error(d)
		}
	}()
	s.agreed++
	var found, foundInProcfs Report
	testenv.Eventually(t, func() bool {
		if err := errors.Join(r.Read(context.Background(), &found), r.procfs.Read(context.Background(), &foundInProcfs)); err != nil {
			t.Fatal(err)
		}
		differences = differences[:0]
		for name, pid := range s.roles {
			a, b := processOf(&found, pid), processOf(&foundInProcfs, pid)
			except(t, name, exceptions, &a.Open, &b.Open)
			differences = append(differences, openDifferences(name, &a, &b)...)
		}
		return len(differences) == 0
	})
}

// processOf returns the Process with this PID, or one without sockets.
func processOf(report *Report, pid int) Process {
	i := slices.IndexFunc(report.Processes, func(p Process) bool { return p.PID == pid })
	if i < 0 {
		return Process{PID: pid}
	}
	return report.Processes[i]
}

// except adds to b, of /proc, the sockets of the exceptions of a role.
func except(t *testing.T, role string, exceptions []string, a, b *OpenSockets) {
	t.Helper()
	for _, text := range exceptions {
		var udp, closed int
		if text == "*" {
			b.Connections[StateClose] = a.Connections[StateClose]
		} else if rest, found := strings.CutPrefix(text, role+":"); found {
			if _, err := fmt.Sscanf(rest, "%d:%d", &udp, &closed); err != nil {
				t.Fatal(err)
			}
		}
		b.UDP += udp
		b.Connections[StateClose] += closed
	}
}

// openDifferences lists the open sockets that differ between a of the programs and b of /proc,
// which does not have the maximum of accept queues.
func openDifferences(role string, a, b *Process) (list []string) {
	for i := range a.Open.Listeners {
		a.Open.Listeners[i].Backlog = 0
	}
	if !slices.Equal(a.Open.Listeners, b.Open.Listeners) {
		list = append(list, fmt.Sprintf("%s: got listeners %v from bpf, %v from procfs", role, a.Open.Listeners, b.Open.Listeners))
	}
	a.Open.Listeners, b.Open.Listeners = nil, nil
	if !reflect.DeepEqual(a.Open, b.Open) || a.Unreadable != b.Unreadable {
		list = append(list, fmt.Sprintf("%s: got %+v from bpf, %+v, unreadable %v from procfs", role, a.Open, b.Open, b.Unreadable))
	}
	return list
}
