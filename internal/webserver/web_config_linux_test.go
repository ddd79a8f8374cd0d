package webserver

import (
	"log/slog"
	"path/filepath"
	"syscall"
	"testing"
)

// TestWebConfigIsNoFIFO would hang if the file were opened to wait for a writer.
func TestWebConfigIsNoFIFO(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenWebConfig(path, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("got no error")
	}
}
