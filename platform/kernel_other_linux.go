//go:build !amd64 && !arm64

package platform

import (
	"errors"
	"fmt"
	"runtime"
)

func openKernel(*source) (Source, error) {
	return nil, fmt.Errorf("programs for the kernel on %s: %w", runtime.GOARCH, errors.ErrUnsupported)
}
