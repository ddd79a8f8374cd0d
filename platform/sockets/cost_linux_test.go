//go:build amd64 || arm64

package sockets

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/platform/bpf"
)

// burst is the time of one measurement.
const burst = 100 * time.Millisecond

// A cost is the result of one burst.
type cost struct {
	rate float64 // per second
	cpu  float64 // nanoseconds of CPU time for each
}

// measure runs work for a burst. work returns how often it has done something.
func measure(work func(end *atomic.Bool) float64) cost {
	runtime.GC()
	var end atomic.Bool
	timer := time.AfterFunc(burst, func() { end.Store(true) })
	defer timer.Stop()
	start, cpu := time.Now(), processCPUTime()
	n := work(&end)
	return cost{n / time.Since(start).Seconds(), float64(processCPUTime()-cpu) / n}
}

// comparePairs measures work in pairs of bursts, without and with the programs, in alternating
// order. It reports the medians, and the quartiles of the changes of the pairs.
func comparePairs(b *testing.B, work func(end *atomic.Bool) float64) {
	b.Helper()
	var results [2][]cost // without and with the programs
	for i := 0; b.Loop(); i++ {
		for j := range 2 {
			with := (i + j) % 2
			results[with] = append(results[with], measureWith(b, with, work))
		}
	}
	quartiles := func(value func(i int) float64) (q [3]float64) {
		values := make([]float64, len(results[0]))
		for i := range values {
			values[i] = value(i)
		}
		slices.Sort(values)
		for i := range q {
			q[i] = values[len(values)*(i+1)/4]
		}
		return q
	}
	for with, unit := range []string{"without", "with"} {
		b.ReportMetric(quartiles(func(i int) float64 { return results[with][i].rate })[1], "per-s-"+unit)
		b.ReportMetric(quartiles(func(i int) float64 { return results[with][i].cpu })[1], "cpu-ns-"+unit)
	}
	rate := quartiles(func(i int) float64 { return 100 * (results[1][i].rate/results[0][i].rate - 1) })
	cpu := quartiles(func(i int) float64 { return 100 * (results[1][i].cpu/results[0][i].cpu - 1) })
	for i, name := range []string{"lower", "median", "upper"} {
		b.ReportMetric(rate[i], "rate-%-"+name)
		b.ReportMetric(cpu[i], "cpu-%-"+name)
	}
}

// measureWith measures with the programs if with is 1.
func measureWith(b *testing.B, with int, work func(end *atomic.Bool) float64) cost {
	b.Helper()
	if with == 0 {
		return measure(work)
	}
	r, err := newBPFReader(bpf.SocketOptions{})
	if err != nil {
		b.Skip(err)
	}
	defer r.Close()
	c := measure(work)
	var report Report
	if err := r.Read(context.Background(), &report); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(report.LostSockets), "lost")
	return c
}

// A tcpPair has two ends of a connection, and the listener.
type tcpPair struct{ listener, client, server int }

// newListener returns a listening socket.
func newListener() (fd int, address unix.Sockaddr, err error) {
	if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return 0, nil, err
	}
	err = errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 128))
	if err == nil {
		address, err = unix.Getsockname(fd)
	}
	return fd, address, err
}

// connectTo connects to a listener.
func connectTo(listener int, address unix.Sockaddr) (p tcpPair, err error) {
	p.listener = listener
	if p.client, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return p, err
	}
	if err = unix.Connect(p.client, address); err != nil {
		return p, errors.Join(err, unix.Close(p.client))
	}
	p.server, _, err = unix.Accept4(listener, unix.SOCK_CLOEXEC)
	return p, err
}

// BenchmarkConnections opens and closes connections as fast as two threads can. A reset ends each,
// so that no port stays in use.
func BenchmarkConnections(b *testing.B) {
	comparePairs(b, func(end *atomic.Bool) float64 {
		var total atomic.Int64
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				listener, address, err := newListener()
				if err != nil {
					b.Error(err)
					return
				}
				defer unix.Close(listener)
				for !end.Load() {
					p, err := connectTo(listener, address)
					if err != nil {
						b.Error(err)
						return
					}
					_ = unix.SetsockoptLinger(p.client, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
					_, _ = unix.Close(p.client), unix.Close(p.server)
					total.Add(1)
				}
			})
		}
		wg.Wait()
		return float64(total.Load())
	})
}

// BenchmarkBulk transfers bytes over one connection on loopback, in units of 64 KiB.
func BenchmarkBulk(b *testing.B) {
	comparePairs(b, func(end *atomic.Bool) float64 {
		listener, address, err := newListener()
		if err != nil {
			b.Fatal(err)
		}
		defer unix.Close(listener)
		p, err := connectTo(listener, address)
		if err != nil {
			b.Fatal(err)
		}
		go func() {
			block := make([]byte, 64<<10)
			for !end.Load() {
				if _, err := unix.Write(p.client, block); err != nil {
					break
				}
			}
			_ = unix.Close(p.client)
		}()
		block, total := make([]byte, 64<<10), 0
		for {
			n, err := unix.Read(p.server, block)
			if n <= 0 || err != nil {
				break
			}
			total += n
		}
		_ = unix.Close(p.server)
		return float64(total) / (64 << 10)
	})
}
