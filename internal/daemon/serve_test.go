package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/internal/config"
	"github.com/seed57308aee/process_exporter/internal/webserver"
	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

// fallbackSource is a Source that reads /proc because BPF failed with reason.
type fallbackSource struct {
	platform.Source
	reason error
}

func (f fallbackSource) Kind() (platform.SourceKind, error) { return platform.SourceProcfs, f.reason }

// verifierError is an error with the log of the BPF verifier.
type verifierError struct{ error }

func (verifierError) Detail() string { return "R9 !read_ok\nand 1,000 more lines" }

// TestVerifierLog checks that the log of the BPF verifier is a debug line, and
// that the reason for the fallback is one line.
func TestVerifierLog(t *testing.T) {
	reason := fmt.Errorf("platform: %w", verifierError{errors.New("bpf: load: not accepted")})
	for level, want := range map[slog.Level]int{slog.LevelInfo: 1, slog.LevelDebug: 2} {
		var text strings.Builder
		e := &Exporter{
			log:     slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: level})),
			tracker: grouping.NewTracker(fallbackSource{reason: reason}, grouping.Default(), grouping.Options{}),
		}
		e.logSource()
		lines := strings.Count(text.String(), "\n")
		isDebug := level == slog.LevelDebug
		if lines != want || !strings.Contains(text.String(), "not accepted") || strings.Contains(text.String(), "R9") != isDebug {
			t.Errorf("%v: got %d lines, want %d: %s", level, lines, want, text.String())
		}
	}
}

// TestStopDuringReload stops an exporter while a reload blocks.
func TestStopDuringReload(t *testing.T) {
	e := &Exporter{settings: &config.Settings{ConfigPath: "never read"}, log: slog.New(slog.DiscardHandler)}
	e.reloading.Lock() // as a reload that blocks does
	signals := signalChannels{stop: make(chan os.Signal, 2), reload: make(chan os.Signal, 1)}
	signals.reload <- syscall.SIGHUP
	stopped := make(chan error, 1)
	go func() { stopped <- e.wait(t.Context(), webserver.NewServers(), signals) }()
	testenv.WaitFor(t, "the start of the reload", func() bool { return len(signals.reload) == 0 })
	signals.stop <- syscall.SIGTERM
	select {
	case err := <-stopped:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(testTimeout):
		t.Error("timed out waiting for the stop")
	}
}

// TestReservedPaths checks that metrics cannot have a path of the daemon.
func TestReservedPaths(t *testing.T) {
	for _, path := range reservedPaths() {
		err := ValidateTelemetryPath(parse(t, "--web.telemetry-path="+path))
		if err == nil || !strings.Contains(err.Error(), "use another path") {
			t.Errorf("%s: got error %v, want one about another path", path, err)
		}
	}
	if err := ValidateTelemetryPath(parse(t)); err != nil {
		t.Errorf("got error %v for the default path, want none", err)
	}
}
