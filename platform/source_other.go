//go:build !linux

package platform

import (
	"errors"
	"fmt"
	"runtime"
)

func newSource(Options) (Source, error) {
	return nil, fmt.Errorf("platform: processes on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
