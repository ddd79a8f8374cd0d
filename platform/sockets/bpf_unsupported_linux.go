//go:build !amd64 && !arm64

package sockets

import (
	"errors"
	"fmt"
	"runtime"
)

func openBPF(Options) (Reader, error) {
	return nil, fmt.Errorf("BPF programs on %s: %w", runtime.GOARCH, errors.ErrUnsupported)
}
