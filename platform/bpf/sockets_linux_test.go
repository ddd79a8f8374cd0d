//go:build amd64 || arm64

package bpf

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// loadSocketsOrSkip loads the socket programs, or skips the test if it cannot. In CI as root that is
// a failure.
func loadSocketsOrSkip(t testing.TB, o SocketOptions) *SocketPrograms {
	t.Helper()
	p, err := LoadSockets(o)
	if err != nil {
		if os.Getenv("CI") == "true" && os.Geteuid() == 0 {
			t.Fatalf("%+v", err)
		}
		t.Skipf("cannot load BPF programs: %v", err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// scanSockets returns the open sockets of all processes.
func scanSockets(t *testing.T, p *SocketPrograms) (all []Socket) {
	t.Helper()
	if err := p.Scan(); err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	for {
		batch, err := p.Next()
		if err != nil {
			t.Fatal(err)
		}
		if len(batch) == 0 {
			return all
		}
		all = append(all, batch...)
	}
}

// TestScanSockets finds a listening socket of the own process while it is open, and its record after
// it was closed.
func TestScanSockets(t *testing.T) {
	var mu sync.Mutex
	closed := make(map[uint64]ClosedSocket) // by ID
	p := loadSocketsOrSkip(t, SocketOptions{Closed: func(c *ClosedSocket) {
		mu.Lock()
		defer mu.Unlock()
		closed[c.Id] = *c
	}})
	var config net.ListenConfig
	config.SetMultipathTCP(false) // the record of an MPTCP socket has no ID
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var own []Socket
	for range 2 { // the second iteration reuses memory
		own = own[:0]
		for _, s := range scanSockets(t, p) {
			if int(s.Pid) == os.Getpid() && int(s.Port) == l.Addr().(*net.TCPAddr).Port && s.Type == SocketTCP {
				own = append(own, s)
			}
		}
		if len(own) != 1 || own[0].Flags&SocketCreated == 0 {
			t.Fatalf("got %+v, want the listening socket once, created after the programs were loaded", own)
		}
	}
	if err := errors.Join(l.Close(), p.Flush()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if got, ok := closed[own[0].Id]; !ok || int(got.Pid) != os.Getpid() {
		t.Errorf("got %+v, want the closed socket of process %d", got, os.Getpid())
	}
}

// TestLostSockets checks that connections and listening sockets without space in the map are counted as lost.
func TestLostSockets(t *testing.T) {
	p := loadSocketsOrSkip(t, SocketOptions{Closed: func(*ClosedSocket) {}, MaxSockets: 1})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 3 {
		client, server := testenv.Connect(t, l)
		defer client.Close()
		defer server.Close()
	}
	if lost, err := p.Lost(); err != nil || lost < 6 { // of 7 sockets, at most one has space
		t.Errorf("got %d lost sockets, error %v, want at least 6", lost, err)
	}
}

// socketRuns returns how often the programs of tracepoints have run, and for how long.
func socketRuns(t testing.TB, p *SocketPrograms) (runs uint64, duration time.Duration) {
	t.Helper()
	for name, program := range p.collection.Programs {
		if name == "iterate_sockets" {
			continue
		}
		stats, err := program.Stats()
		if err != nil {
			t.Fatal(err)
		}
		runs += stats.RunCount
		duration += stats.Runtime
	}
	return runs, duration
}

// BenchmarkSocketPrograms measures how long the programs of tracepoints run for a connection, and
// for a transfer of 100 MB. Connections of other processes are included.
func BenchmarkSocketPrograms(b *testing.B) {
	p := loadSocketsOrSkip(b, SocketOptions{Closed: func(*ClosedSocket) {}})
	stats, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
	if err != nil {
		b.Skip(err)
	}
	defer stats.Close()
	for name, work := range map[string]func(){
		"connection": func() { closeConnections(b, 1) },
		"100MB":      func() { transfer(b, 1e8) },
	} {
		b.Run(name, func(b *testing.B) {
			runs, duration := socketRuns(b, p)
			for b.Loop() {
				work()
			}
			moreRuns, longer := socketRuns(b, p)
			b.ReportMetric(float64(moreRuns-runs)/float64(b.N), "runs/op")
			b.ReportMetric(float64(longer-duration)/float64(b.N), "bpf-ns/op")
			b.ReportMetric(100*float64(longer-duration)/float64(b.Elapsed()), "bpf-%")
		})
	}
}

// TestSocketRuns checks that no program runs per packet. The programs also run for connections of other
// processes, so it tries again if there are many.
func TestSocketRuns(t *testing.T) {
	p := loadSocketsOrSkip(t, SocketOptions{Closed: func(*ClosedSocket) {}})
	stats, err := ebpf.EnableStats(0) // BPF_STATS_RUN_TIME
	if err != nil {
		t.Fatal(err)
	}
	defer stats.Close()
	testenv.Eventually(t, func() bool {
		before, _ := socketRuns(t, p)
		packets := transfer(t, 1e9)
		after, _ := socketRuns(t, p)
		runs := after - before
		t.Logf("%d runs, %d packets", runs, packets)
		return runs > 0 && packets > 10_000 && runs < packets/4
	})
}

// transfer sends a number of bytes over a new connection, and returns in how many packets.
func transfer(t testing.TB, size int) (packets uint64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	sent := make(chan error, 1)
	go func() { sent <- send(l.Addr().String(), size, &packets) }()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	return packets
}

// send connects, and sends small blocks without delay. It sets the number of packets.
func send(address string, size int, packets *uint64) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	block := make([]byte, 4<<10)
	for n := 0; n < size; n += len(block) {
		if _, err := c.Write(block); err != nil {
			return err
		}
	}
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return err
	}
	var info *unix.TCPInfo
	if controlErr := raw.Control(func(fd uintptr) {
		info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	}); controlErr != nil || err != nil {
		return errors.Join(controlErr, err)
	}
	*packets = uint64(info.Segs_out)
	return nil
}
