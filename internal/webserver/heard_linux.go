package webserver

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// heardFrom reports whether the kernel has received anything from a client. The
// server may be about to read that, or have it in hand and wait for the CPU.
func heardFrom(conn net.Conn) bool {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	var info *unix.TCPInfo
	var refused error
	err = raw.Control(func(fd uintptr) {
		info, refused = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	})
	return err == nil && refused == nil && info.Bytes_received > 0
}
