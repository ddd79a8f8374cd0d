//go:build unix

package grouping

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"
)

// TestLoadDoesNotWait guards that what never ends, or never answers, is an error
// at once. The test hangs if it is not.
func TestLoadDoesNotWait(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, "/dev/zero"} {
		var ce *ConfigError
		if c, err := Load(path); c != nil || !errors.As(err, &ce) {
			t.Errorf("%s: got %v, error %v, want a ConfigError", path, c, err)
		}
	}
}
