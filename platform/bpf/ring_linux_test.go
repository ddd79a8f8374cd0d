//go:build amd64 || arm64

package bpf

import (
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cilium/ebpf/ringbuf"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// closeConnections opens and closes n connections.
func closeConnections(t testing.TB, n int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range n {
		c, s := testenv.Connect(t, l)
		if err := errors.Join(c.Close(), s.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// replaceRing makes p call handle for the records of its ring buffer.
func replaceRing(t *testing.T, p *SocketPrograms, handle func([]byte) error) {
	t.Helper()
	if err := p.ring.close(); err != nil {
		t.Fatal(err)
	}
	reader, err := ringbuf.NewReader(p.collection.Maps["closed_sockets"])
	if err != nil {
		t.Fatal(err)
	}
	p.ring = newRing(reader, handle)
}

// TestRingFlush checks that each of several concurrent flushes returns after the records that were
// sent before it, and that a flush after Close returns.
func TestRingFlush(t *testing.T) {
	p := loadSocketsOrSkip(t, SocketOptions{Closed: func(*ClosedSocket) {}})
	var records atomic.Int64
	replaceRing(t, p, func([]byte) error {
		for range 200 { // so that a flush that does not wait returns before
			runtime.Gosched()
		}
		records.Add(1)
		return nil
	})
	for round := range int64(5) {
		// Each connection has two sockets. That which closes last may be in TIME_WAIT or not.
		closeConnections(t, 20)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if err := p.Flush(); err != nil {
					t.Error(err)
				}
				if got := records.Load(); got < 20*(round+1) {
					t.Errorf("got %d records after a flush, want at least %d", got, 20*(round+1))
				}
			})
		}
		wg.Wait()
	}
	if err := p.ring.close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Flush(); err != nil {
		t.Errorf("got error %v of a flush after Close, want none", err)
	}
}

// TestRingError checks that a flush returns the error of an unexpected record, and that Close returns.
func TestRingError(t *testing.T) {
	p := loadSocketsOrSkip(t, SocketOptions{Closed: func(*ClosedSocket) {}})
	want := errors.New("unexpected record")
	replaceRing(t, p, func([]byte) error { return want })
	testenv.Eventually(t, func() bool {
		closeConnections(t, 1)
		return errors.Is(p.Flush(), want)
	})
	if err := p.Flush(); !errors.Is(err, want) {
		t.Errorf("got error %v of the next flush, want %v", err, want)
	}
}
