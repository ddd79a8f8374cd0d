//go:build amd64 || arm64

package sockets

import (
	"context"
	"io"
	"net"
	"os"
	"testing"

	"github.com/seed57308aee/process_exporter/platform/bpf"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

// openOrSkip loads the programs, or skips the test if it cannot. In CI as root that is a failure.
func openOrSkip(t testing.TB, o bpf.SocketOptions) *bpfReader {
	t.Helper()
	r, err := newBPFReader(o)
	if err != nil {
		if os.Getenv("CI") == "true" && os.Geteuid() == 0 {
			t.Fatalf("%+v", err)
		}
		t.Skipf("cannot load BPF programs: %v", err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// read returns what a process has done since the last read, and what it has open.
func read(t testing.TB, r Reader, pid int) Process {
	t.Helper()
	var report Report
	if err := r.Read(context.Background(), &report); err != nil {
		t.Fatal(err)
	}
	return processOf(&report, pid)
}

// echo starts a server that returns what it receives.
func echo(t testing.TB, network, address string) net.Addr {
	t.Helper()
	l, err := net.Listen(network, address)
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
				_, _ = io.Copy(c, c) // the client checks the result
				_ = c.Close()
			}()
		}
	}()
	return l.Addr()
}

// exchange sends a number of bytes, and receives them.
func exchange(t testing.TB, c net.Conn, size int) {
	t.Helper()
	go func() { _, _ = c.Write(make([]byte, size)) }() // the reader notices an error
	if _, err := io.CopyN(io.Discard, c, int64(size)); err != nil {
		t.Fatal(err)
	}
}

// TestOwnTraffic transfers known bytes between two sockets of this process. Both have them open when
// a report is read, or both have closed them.
func TestOwnTraffic(t *testing.T) {
	r := openOrSkip(t, bpf.SocketOptions{})
	before := read(t, r, os.Getpid())
	address := echo(t, "tcp", "127.0.0.1:0")
	const size = 100_003
	for _, half := range []bool{false, true} {
		c, err := net.Dial("tcp", address.String())
		if err != nil {
			t.Fatal(err)
		}
		exchange(t, c, size)
		var sent, received, opened uint64
		if half {
			got := read(t, r, os.Getpid())
			sent, received = got.Traffic.SentBytes, got.Traffic.ReceivedBytes
			opened = got.Traffic.OpenedIncoming + got.Traffic.OpenedOutgoing
			if n := got.Open.Connections[StateEstablished] - before.Open.Connections[StateEstablished]; n != 2 {
				t.Errorf("got %d established connections more, want 2", n)
			}
			if len(got.Traffic.RoundTrips) != 2 {
				t.Errorf("got round trips %v, want 2", got.Traffic.RoundTrips)
			}
		}
		exchange(t, c, 1)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		want := uint64(2 * (size + 1))
		readMore := func() (all bool) {
			got := read(t, r, os.Getpid())
			sent, received = sent+got.Traffic.SentBytes, received+got.Traffic.ReceivedBytes
			opened += got.Traffic.OpenedIncoming + got.Traffic.OpenedOutgoing
			return sent >= want && received >= want && opened >= 2
		}
		testenv.Eventually(t, readMore) // the kernel closes a socket some time after close(2)
		readMore()                      // nothing counts again
		if sent != want || received != want || opened != 2 {
			t.Errorf("half %v: got %d bytes sent, %d received, %d opened, want %d, %d, 2", half, sent, received, opened, want, want)
		}
	}
}

// TestSegmentsWrapAround checks that sent segments count when the 32 bits of the kernel wrap
// around, and that none count when a number is lower than before.
func TestSegmentsWrapAround(t *testing.T) {
	const before = 1<<32 - 100
	s := socket{owner: owner{pid: 1}, scan: 1, owned: true, reported: bpf.SocketCounters{Segments: before}}
	var a accounts
	a.reset()
	for _, segments := range []uint32{1<<32 - 5, 1<<32 - 7, 10, 12} {
		s.last.Counters.Segments = segments
		s.report(&a, 1)
	}
	if got := a.of(s.owner).traffic.SentSegments; got != 112 {
		t.Errorf("got %d sent segments, want 112", got)
	}
}
