package webserver

import (
	"net"
	"syscall"
)

// acceptBacklog is the length of the accept queue. If a client connects in a loop, others wait until
// the exporter has accepted the queue at acceptRate. The kernel refuses further
// connections for a second, then the client tries again.
const acceptBacklog = 256

// limitBacklog shortens the accept queue of a listener. The package net sets the limit of the
// kernel, usually 4096.
func limitBacklog(l net.Listener) {
	socket, ok := l.(*net.TCPListener)
	if !ok {
		return
	}
	if raw, err := socket.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = syscall.Listen(int(fd), acceptBacklog) }) // a longer queue works as well
	}
}
