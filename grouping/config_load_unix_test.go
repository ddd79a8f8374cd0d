//go:build unix

package grouping

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"
)

// TestLoadDoesNotBlock checks that a FIFO and an infinite device are errors at once. The
// test hangs otherwise.
func TestLoadDoesNotBlock(t *testing.T) {
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
