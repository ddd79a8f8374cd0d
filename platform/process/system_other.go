//go:build !linux

package process

import (
	"fmt"
	"runtime"
)

func openSystem(string) (system, error) {
	return nil, fmt.Errorf("processes on %s: %w", runtime.GOOS, ErrUnsupported)
}
