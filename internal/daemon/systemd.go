package daemon

import (
	"context"
	"net"
	"os"
	"time"

	sddaemon "github.com/coreos/go-systemd/v22/daemon"
)

// runWatchdog sends keep-alive messages to systemd until ctx ends, if the unit
// sets WatchdogSec=. If they stop, because the process is stopped or does not
// get CPU time, systemd restarts the service.
func (e *Exporter) runWatchdog(ctx context.Context) {
	interval, err := sddaemon.SdWatchdogEnabled(false)
	if err != nil {
		e.log.Warn("systemd watchdog is disabled", "err", err)
	}
	if interval <= 0 {
		return
	}
	ticker := time.NewTicker(interval / 2) // as sd_watchdog_enabled(3) recommends
	defer ticker.Stop()
	for {
		e.notify(sddaemon.SdNotifyWatchdog)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// openNotifySocket connects to the socket of NOTIFY_SOCKET, if set. The
// connection stays open, because the sandbox allows no other.
func (e *Exporter) openNotifySocket() {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		e.log.Warn("cannot notify systemd", "err", err)
		return
	}
	e.notifySocket = conn
}

// notify sends the state of the service to systemd, if it has a socket. Errors
// are not fatal.
func (e *Exporter) notify(state string) {
	if e.notifySocket == nil {
		return
	}
	if _, err := e.notifySocket.Write([]byte(state)); err != nil {
		e.log.Debug("cannot notify systemd", "err", err)
	}
}
