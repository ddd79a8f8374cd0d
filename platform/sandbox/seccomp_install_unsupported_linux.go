//go:build !(amd64 || arm64)

package sandbox

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// installFilter returns an error: there is no system call table for this
// architecture.
func installFilter() error {
	return fmt.Errorf("not supported on %s: %w", runtime.GOARCH, unix.ENOTSUP)
}
