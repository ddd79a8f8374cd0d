//go:build !linux

package platform

import (
	"fmt"
	"runtime"
)

func openSystem(Options) (system, error) {
	return nil, fmt.Errorf("platform: processes on %s: %w", runtime.GOOS, ErrUnsupported)
}
