//go:build !amd64 && !arm64

package platform

import (
	"errors"
	"fmt"
	"runtime"
)

func openBPF(*procfsSource, Options) (Source, error) {
	return nil, fmt.Errorf("BPF programs on %s: %w", runtime.GOARCH, errors.ErrUnsupported)
}
