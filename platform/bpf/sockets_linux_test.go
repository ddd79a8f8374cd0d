//go:build amd64 || arm64

package bpf

import (
	"errors"
	"io"
	"net"
	"os"
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
