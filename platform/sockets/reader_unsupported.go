//go:build !linux

package sockets

import (
	"errors"
	"fmt"
)

func newReader(Options) (Reader, error) {
	return nil, fmt.Errorf("network sockets: %w", errors.ErrUnsupported)
}
