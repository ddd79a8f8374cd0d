package webserver

import (
	"context"
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestListenerWithLinger accepts a connection from a listener with SO_LINGER, as an earlier process
// can leave it. The option does not apply to the connection.
func TestListenerWithLinger(t *testing.T) {
	discard := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		if controlErr := raw.Control(func(fd uintptr) {
			err = unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		}); controlErr != nil {
			return controlErr
		}
		return err
	}}
	listener, err := discard.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := newConnLimiter(1, false).listener(listener).Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.(*trackedConn).Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		if got, err := unix.GetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER); err != nil || got.Onoff != 0 {
			t.Errorf("got SO_LINGER %+v, error %v, want it off", got, err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}
