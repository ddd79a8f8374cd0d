//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"time"

	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/platform/sockets"
)

// bytesPerConnection is what the verb connect sends, and receives.
const bytesPerConnection = 100_003

// checkNetwork runs countTraffic in another process: the BPF library has read the mounts of this
// one before /proc was mounted.
func (s *suite) checkNetwork() error {
	if !s.hasBPF() {
		return errSkipped
	}
	out, err := exec.Command(link("sockets"), "sockets").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// countTraffic compares the bytes and connections that a Reader of sockets attributes to this process
// and to workers with what they have transferred over the loopback interface.
func countTraffic() error {
	r, err := sockets.Open(sockets.Options{Kind: platform.SourceBPF})
	if err != nil {
		return err
	}
	defer r.Close()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	closed := make(chan struct{})
	go echo(l, closed)
	port := l.Addr().(*net.TCPAddr).Port
	const workers, connections = 8, 5
	want := make(map[int]sockets.Traffic)
	size := uint64(bytesPerConnection * connections)
	for range workers {
		w, err := start("network", nil, slices.Repeat([]string{fmt.Sprintf("connect=%d", port)}, connections)...)
		if err != nil {
			return err
		}
		w.end()
		for range connections { // else the next worker may close them: until execve(2) it has copies of all descriptors
			<-closed
		}
		want[w.cmd.Process.Pid] = sockets.Traffic{SentBytes: size, ReceivedBytes: size, OpenedOutgoing: connections}
	}
	want[os.Getpid()] = sockets.Traffic{
		SentBytes: workers * size, ReceivedBytes: workers * size, OpenedIncoming: workers * connections,
	}
	return compareTraffic(r, want)
}

// compareTraffic reads until the traffic of each process is as expected.
func compareTraffic(r sockets.Reader, want map[int]sockets.Traffic) error {
	got := make(map[int]sockets.Traffic)
	var report sockets.Report
	for end := time.Now().Add(time.Minute); ; time.Sleep(500 * time.Millisecond) {
		if err := r.Read(context.Background(), &report); err != nil {
			return err
		}
		for _, p := range report.Processes {
			sum := got[p.PID]
			sum.SentBytes += p.Traffic.SentBytes
			sum.ReceivedBytes += p.Traffic.ReceivedBytes
			sum.OpenedIncoming += p.Traffic.OpenedIncoming
			sum.OpenedOutgoing += p.Traffic.OpenedOutgoing
			got[p.PID] = sum
		}
		err := differentTraffic(got, want, report.LostSockets)
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}

func differentTraffic(got, want map[int]sockets.Traffic, lost uint64) error {
	for pid, w := range want {
		g := got[pid]
		if g.SentBytes != w.SentBytes || g.ReceivedBytes != w.ReceivedBytes ||
			g.OpenedIncoming != w.OpenedIncoming || g.OpenedOutgoing != w.OpenedOutgoing {
			return fmt.Errorf("process %d: got %+v, want %+v; %d lost events", pid, g, w, lost)
		}
	}
	return nil
}

// echo returns what each connection sends. It sends to closed when it has closed a connection.
func echo(l net.Listener, closed chan<- struct{}) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			_, _ = io.Copy(c, c) // the worker notices an error
			_ = c.Close()
			closed <- struct{}{}
		}()
	}
}

// connect exchanges bytesPerConnection bytes with a server.
func connect(port int) error {
	c, err := net.Dial("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return err
	}
	defer c.Close()
	go func() { _, _ = c.Write(make([]byte, bytesPerConnection)) }() // the reader notices an error
	_, err = io.CopyN(io.Discard, c, bytesPerConnection)
	return err
}
