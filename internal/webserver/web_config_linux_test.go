package webserver

import (
	"log/slog"
	"path/filepath"
	"syscall"
	"testing"
)

// TestWebConfigRejectsFIFO would block if the file were opened without
// O_NONBLOCK.
func TestWebConfigRejectsFIFO(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenWebConfig(path, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("got no error for a FIFO, want one")
	}
}
