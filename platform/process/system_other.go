//go:build !linux

package process

import (
	"fmt"
	"runtime"
)

func openSystem(string) (system, error) {
	return nil, fmt.Errorf("process: processes on %s: %w", runtime.GOOS, ErrUnsupported)
}
