package daemon

import (
	"runtime"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/internal/config"
)

// testTimeout limits the wait for something that takes milliseconds on an idle machine.
const testTimeout = 30 * time.Second

// requireLinux skips a test that reads processes on other systems.
func requireLinux(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("processes can only be read on Linux")
	}
}

// parse returns the settings of a command line.
func parse(t testing.TB, args ...string) *config.Settings {
	t.Helper()
	s, err := config.Parse(args)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
