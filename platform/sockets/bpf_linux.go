//go:build amd64 || arm64

package sockets

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"syscall"

	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/platform/bpf"
	"github.com/seed57308aee/process_exporter/platform/internal/host"
	"github.com/seed57308aee/process_exporter/procfs"
)

// A bpfReader reads sockets with BPF programs. An iterator reports the open sockets of all
// processes with the counters of the kernel, and tracepoint programs report the last counters
// of each connection. So the Traffic is exact, whenever Read is called.
type bpfReader struct {
	programs *bpf.SocketPrograms
	times    host.TickConverter

	mu    sync.Mutex // guards what follows: the programs report closed sockets at any time
	table table
	sums  *accounts // Traffic since the last Report
	lost  uint64    // closed sockets whose earlier counters the table has dropped

	reported *accounts // memory of the last Report
}

// openBPF opens the Reader of BPF programs.
func openBPF(o Options) (Reader, error) {
	m, err := procfs.Open(cmp.Or(o.Root, "/proc"))
	if err != nil {
		return nil, err
	}
	own := m.IsProcfs() && m.InOwnPIDNamespace()
	if err := m.Close(); err != nil {
		return nil, err
	}
	if !own {
		return nil, errors.New("the process file system does not belong to the PID namespace of this process")
	}
	return newBPFReader(bpf.SocketOptions{})
}

// newBPFReader loads the programs.
func newBPFReader(o bpf.SocketOptions) (*bpfReader, error) {
	r := &bpfReader{times: host.NewTickConverter(), table: newTable(), sums: &accounts{}, reported: &accounts{}}
	r.sums.reset()
	o.Closed = r.closed
	programs, err := bpf.LoadSockets(o)
	if bpf.IsDenied(err) {
		return nil, fmt.Errorf("requires CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN: %w", err)
	}
	if err != nil {
		return nil, err
	}
	r.programs = programs
	debug.FreeOSMemory() // frees the BTF types of the kernel, about 10 MiB
	return r, nil
}

// Kind implements Reader.
func (r *bpfReader) Kind() (platform.SourceKind, error) { return platform.SourceBPF, nil }

// Close implements Reader.
func (r *bpfReader) Close() error { return r.programs.Close() }

// Read implements Reader.
func (r *bpfReader) Read(ctx context.Context, report *Report) error {
	// In the scan after the flush, a connection that had closed before is missing or has no ID.
	if err := r.programs.Flush(); err != nil {
		return fmt.Errorf("sockets: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	complete, err := r.scan(ctx)
	if err != nil {
		return fmt.Errorf("sockets: %w", err)
	}
	lost, err := r.programs.Lost()
	if err != nil {
		return fmt.Errorf("sockets: %w", err)
	}
	if complete {
		r.table.endScan(r.sums)
	} else {
		r.table.abortScan(r.sums)
	}
	r.sums.report(report, r.times.Ticks)
	r.sums, r.reported = r.reported, r.sums
	r.sums.reset()
	report.Parts = PartOpen | PartTraffic
	report.LostSockets = lost + r.lost
	report.Incomplete = !complete
	return nil
}

// scan reads the open sockets of all processes. It is not complete if ctx ends.
func (r *bpfReader) scan(ctx context.Context) (complete bool, err error) {
	if err := r.programs.Scan(); err != nil {
		return false, err
	}
	defer r.programs.Stop()
	r.table.beginScan()
	for ctx.Err() == nil {
		sockets, err := r.programs.Next()
		if err != nil {
			return false, err
		}
		if len(sockets) == 0 {
			return true, nil
		}
		for i := range sockets {
			r.table.add(&sockets[i])
		}
	}
	return false, nil
}

// closed accounts for a closed socket. The goroutine of the programs calls it.
func (r *bpfReader) closed(c *bpf.ClosedSocket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var last bpf.SocketCounters
	o := owner{pid: c.Pid, start: c.Start}
	if c.Pid == 0 {
		o = owner{}
	}
	s := r.table.remove(c.Id)
	switch {
	case s != nil:
		last = s.reported
		if c.Flags&bpf.SocketOwnerClosed == 0 && s.owner != (owner{}) {
			o = s.owner
		}
	case c.FirstScan != 0 && c.FirstScan <= r.table.completed:
		r.lost++ // it was in the table
		return
	case c.Flags&bpf.SocketCreated == 0:
		return // existed before the programs, and no scan has found it
	}
	t := r.sums.traffic(o)
	addTraffic(t, &last, &c.Counters, c.Flags)
}

// addTraffic adds what the counters of a socket have increased since last. The kernel updates
// them during a scan, so that one can be lower than before.
func addTraffic(t *Traffic, last, now *bpf.SocketCounters, flags uint32) {
	increase := func(last, now uint64) uint64 { return max(now, last) - last }
	sent := increase(last.Sent, now.Sent)
	t.SentBytes += sent
	t.ReceivedBytes += increase(last.Received, now.Received)
	t.SentSegments += uint64(laterSegments(last.Segments, now.Segments) - last.Segments)
	t.RetransmittedSegments += increase(uint64(last.Retransmitted), uint64(now.Retransmitted))
	t.ListenDrops += increase(uint64(last.Drops), uint64(now.Drops))
	if sent > 0 && now.RoundTrip > 0 && len(t.RoundTrips) < maxRoundTrips {
		t.RoundTrips = append(t.RoundTrips, now.RoundTrip)
	}
	if now.Error != 0 && last.Error == 0 {
		t.Failures[failureOf(now.Error)]++
	}
	opened := increase(uint64(last.Established), uint64(now.Established))
	switch {
	case flags&bpf.SocketCreated == 0:
	case flags&bpf.SocketOutgoing != 0:
		t.OpenedOutgoing += opened
	default:
		t.OpenedIncoming += opened
	}
}

// laterSegments returns the later one of two numbers of sent segments. The kernel counts them in
// 32 bits, which a fast connection exceeds within minutes.
func laterSegments(x, y uint32) uint32 {
	if int32(y-x) > 0 {
		return y
	}
	return x
}

// maxRoundTrips limits the memory of the round-trip times of one process.
const maxRoundTrips = 1 << 16

// failureOf returns the Failure of an errno.
func failureOf(errno uint32) Failure {
	switch syscall.Errno(errno) {
	case syscall.ECONNREFUSED:
		return FailureRefused
	case syscall.EHOSTUNREACH, syscall.ENETUNREACH:
		return FailureUnreachable
	case syscall.ETIMEDOUT:
		return FailureTimeout
	case syscall.ECONNRESET, syscall.EPIPE: // EPIPE after the peer has sent a FIN
		return FailureReset
	}
	return FailureOther
}
