package webserver

import (
	"io"
	"net"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

func TestTCPInfo(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for i := range 3 {
		if got := acceptQueueLength(l); got != i {
			t.Errorf("got accept queue length %d, want %d", got, i)
		}
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		testenv.WaitFor(t, "the connection to be queued", func() bool { return acceptQueueLength(l) == i+1 })
		if i == 0 {
			if _, err := io.WriteString(c, "x"); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, want := range []bool{true, false} {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if want {
			testenv.WaitFor(t, "bytes to be received", func() bool { return hasReceivedBytes(c) })
		} else if hasReceivedBytes(c) {
			t.Errorf("connection %d: got received bytes, want none", i)
		}
	}
	pipe, _ := net.Pipe()
	if hasReceivedBytes(pipe) || acceptQueueLength(pipe) != 0 {
		t.Error("got TCP_INFO of a pipe, want none")
	}
}
