package main

import (
	"context"
	"net"
	"os"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// keepWatchdog tells systemd until ctx ends that the exporter is alive, if its
// unit has WatchdogSec=. An exporter that is stopped, or that the kernel does
// not let run, falls silent, and systemd starts it anew.
func (e *exporter) keepWatchdog(ctx context.Context) {
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		e.log.Warn("The watchdog of systemd is not kept", "err", err)
	}
	if limit <= 0 {
		return
	}
	// Half of the limit, as systemd advises, leaves room for a busy machine.
	ticker := time.NewTicker(limit / 2)
	defer ticker.Stop()
	for {
		e.notify(daemon.SdNotifyWatchdog)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// openManager opens the socket at which systemd wants to be told of the state of
// the service, if it does. It stays open, since no other can be opened from
// inside the sandbox.
func (e *exporter) openManager() {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		e.log.Warn("Cannot notify systemd", "err", err)
		return
	}
	e.manager = conn
}

// notify tells systemd about the state of the service if it wants to know. A
// service manager that does not listen is no reason to stop.
func (e *exporter) notify(state string) {
	if e.manager == nil {
		return
	}
	if _, err := e.manager.Write([]byte(state)); err != nil {
		e.log.Debug("Cannot notify systemd", "err", err)
	}
}
