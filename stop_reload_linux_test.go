package main

import (
	"log/slog"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/internal/webserver"
)

// TestStopDuringReload stops an exporter whose reload waits for a file for ever.
func TestStopDuringReload(t *testing.T) {
	e := &exporter{settings: &settings{configPath: "never read"}, log: slog.New(slog.DiscardHandler)}
	e.reloading.Lock() // and never unlocked, as by a reload that waits
	signals := signalSet{stop: make(chan os.Signal, 2), reload: make(chan os.Signal, 1)}
	signals.reload <- syscall.SIGHUP
	stopped := make(chan error, 1)
	go func() { stopped <- e.wait(t.Context(), webserver.NewServers(), signals) }()
	eventually(t, "the reload to begin", func() bool { return len(signals.reload) == 0 })
	signals.stop <- syscall.SIGTERM
	select {
	case err := <-stopped:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(testTimeout):
		t.Error("it does not stop")
	}
}
