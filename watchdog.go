package main

import (
	"context"
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
