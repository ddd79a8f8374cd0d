package webserver

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// hasReceivedBytes reports whether the kernel has received data from the peer of
// a TCP connection (tcpi_bytes_received, Linux 4.1). The server may not have
// read them yet.
func hasReceivedBytes(conn any) bool {
	info := tcpInfo(conn)
	return info != nil && info.Bytes_received > 0
}

// acceptQueueLength returns the number of connections in the accept queue of a
// TCP listener, which the kernel reports as tcpi_unacked for a socket in state
// LISTEN. It returns 0 for other listeners.
func acceptQueueLength(listener any) int {
	if info := tcpInfo(listener); info != nil {
		return int(info.Unacked)
	}
	return 0
}

// tcpInfo returns the TCP_INFO of a socket, or nil if it is not a TCP socket.
func tcpInfo(socket any) (info *unix.TCPInfo) {
	s, ok := socket.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nil
	}
	err = raw.Control(func(fd uintptr) {
		var err error
		if info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err != nil {
			info = nil
		}
	})
	if err != nil {
		return nil
	}
	return info
}
