//go:build !linux

package webserver

import "net"

// limitBacklog does nothing: the accept queue is limited only on Linux.
func limitBacklog(net.Listener) {}
